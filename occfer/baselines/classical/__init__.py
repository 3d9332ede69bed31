"""The two baselines without a network of their own: reconstructions of classical methods, on scikit-learn."""

from occfer.baselines.baseline import Baseline
from occfer.baselines.classical.rgbt import fit_rgbt, load_rgbt

__all__ = ["RGBT"]

RGBT = Baseline("RGBT", fit_rgbt, load_rgbt, reconstruction=True)
