"""The baselines of the paper's tables, in one table."""

from occfer.baselines.baseline import Baseline

__all__ = ["BASELINES", "Baseline"]

BASELINES: dict[str, Baseline] = {}
