"""What is measured of a model's predictions: accuracies with their intervals, calibration, paired tests, groups, and
the figures that show them. Models and manifests stay outside: every module here starts from the answers themselves, as
plain arrays or as the table `predictions.csv`.
"""
