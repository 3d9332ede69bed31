"""What a run leaves on disk: its folder, checkpoints, log and environment, and what a model file says of its model.

Nothing here trains or predicts; tables of predictions belong to `occfer.metrics`.
"""
