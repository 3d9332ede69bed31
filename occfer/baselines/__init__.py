"""The baselines of the paper's tables: how each is fitted in a run, and how its model file is used again.

Data, run folder, resumption and metrics are not theirs: they get them from the session they are fitted in.
"""

from occfer.baselines.baseline import Baseline
from occfer.baselines.classical import RGBT, WLS_RF
from occfer.baselines.patches import GACNN, PG_CNN

__all__ = ["BASELINES", "Baseline"]

# A new baseline is one line here.
BASELINES: dict[str, Baseline] = {
    "pg-cnn": PG_CNN,
    "gacnn": GACNN,
    "rgbt": RGBT,
    "wls-rf": WLS_RF,
}
