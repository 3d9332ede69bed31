"""The patch-gated networks PG-CNN (also called pACNN) and gACNN."""

from occfer.baselines.patches.row import GACNN, PG_CNN, patch_baseline

__all__ = ["GACNN", "PG_CNN", "patch_baseline"]
