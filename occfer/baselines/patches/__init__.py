"""The patch-gated networks PG-CNN (also called pACNN) and gACNN, from landmarks to trained model.

Epochs, checkpoints and validation are those of `occfer.engine.loop` and do not belong here.
"""

from occfer.baselines.patches.baseline import GACNN, PG_CNN, patch_baseline

__all__ = ["GACNN", "PG_CNN", "patch_baseline"]
