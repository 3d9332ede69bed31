"""RGBT and WLS-RF, the two classical baselines: features and learners on scikit-learn, reconstructed from the papers.

Networks do not belong here, and nothing fitted is pickled: model files hold plain arrays.
"""

from occfer.baselines.baseline import Baseline
from occfer.baselines.classical.rgbt import fit_rgbt, load_rgbt
from occfer.baselines.classical.wls_rf import fit_wls_rf, load_wls_rf
from occfer.methods import Method

__all__ = ["RGBT", "WLS_RF"]

RGBT = Baseline(Method("RGBT", branch=None, reconstruction=True), fit_rgbt, load_rgbt)
WLS_RF = Baseline(Method("WLS-RF", branch=None, reconstruction=True, needs_points=True), fit_wls_rf, load_wls_rf)
