"""The baselines of the paper's tables, in one table."""

from occfer.baselines.baseline import Baseline
from occfer.baselines.classical import RGBT, WLS_RF
from occfer.baselines.patches import GACNN, PG_CNN

__all__ = ["BASELINES", "Baseline"]

BASELINES: dict[str, Baseline] = {
    "pg-cnn": PG_CNN,
    "gacnn": GACNN,
    "rgbt": RGBT,
    "wls-rf": WLS_RF,
}
