"""The two baselines without a network of their own: reconstructions of classical methods, on scikit-learn."""

from occfer.baselines.baseline import Baseline
from occfer.baselines.classical.rgbt import fit_rgbt, load_rgbt
from occfer.baselines.classical.wls_rf import fit_wls_rf, load_wls_rf

__all__ = ["RGBT", "WLS_RF"]

RGBT = Baseline("RGBT", fit_rgbt, load_rgbt, reconstruction=True)
WLS_RF = Baseline("WLS-RF", fit_wls_rf, load_wls_rf, reconstruction=True, needs_points=True, finds_points=True)
