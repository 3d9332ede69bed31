"""`occfer demo`: a page on which a trained model answers to a face, clean and occluded, as the visitor chooses.

How faces are found, occluded and recognised belongs to the rooms below, and nothing here keeps what is shown.
"""
