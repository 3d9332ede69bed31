"""Mean and standard deviation over folds or seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from occfer.errors import ReportError


@dataclass(frozen=True, slots=True)
class MeanAndSd:
    """The mean of some values, and how far they scatter.

    Attributes:
        mean: of the values.
        sd: their sample standard deviation (n - 1); None for a single value.
        n: number of values.
    """

    mean: float
    sd: float | None
    n: int

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"mean": self.mean, "sd": self.sd, "n": self.n}


def mean_and_sd(values: Sequence[float]) -> MeanAndSd:
    """Mean and sample standard deviation; raises ReportError without values.

    >>> mean_and_sd([0.25, 0.75])
    MeanAndSd(mean=0.5, sd=0.3535533905932738, n=2)
    >>> mean_and_sd([0.5])
    MeanAndSd(mean=0.5, sd=None, n=1)
    """
    if not values:
        raise ReportError("there are no values to average")
    # fsum: the result does not depend on the order of the values
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return MeanAndSd(mean, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return MeanAndSd(mean, math.sqrt(variance), len(values))
