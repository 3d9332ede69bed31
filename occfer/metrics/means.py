"""The mean of numbers about faces, with an interval and a test that know where several are about one person."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from occfer.errors import ReportError
from occfer.metrics.bounds import Values
from occfer.metrics.intervals import LEVEL, Interval, counted


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean of differences between shares.

    Attributes:
        n: number of faces.
        mean: of their numbers, in [-1, 1].
        interval: its 95 % interval.
        p: two-sided p-value of the hypothesis that the mean is 0 where many such faces are drawn.
    """

    n: int
    mean: float
    interval: Interval
    p: float

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def mean_estimate(values: Values, persons: Sequence[str], what: str = "subjects", level: float = LEVEL) -> MeanEstimate:
    """The mean, with Student's t over persons: a person's faces count together, however alike they are.

    The variance is that of the means that leave one person out (the jackknife), so persons may have different numbers
    of faces. A single person says nothing about others: then the interval holds everything, and p is 1.

    Args:
        values: `(N,)`, in [-1, 1].
        persons: N names.
        what: what the interval calls the persons.
        level: the wanted coverage.

    Raises:
        ReportError: there are no values, or not one person per value.

    >>> found = mean_estimate(np.array([0.1, 0.3, 0.2, 0.0]), ["a", "a", "b", "c"])
    >>> print(f"{found.mean:.2f}, {found.interval.low:.2f} to {found.interval.high:.2f}, p = {found.p:.2f}")
    0.15, -0.11 to 0.41, p = 0.13
    >>> print(found.interval.how)
    Student's t over 3 subjects
    """
    if len(values) != len(persons) or not len(values):
        raise ReportError(f"{len(values)} values and {len(persons)} persons do not fit: each value needs one")
    mean = math.fsum(values) / len(values)
    names, person_of = np.unique(np.asarray(persons), return_inverse=True)
    count = len(names)
    how = f"Student's t over {counted(count, what)}"
    if count == 1:
        return MeanEstimate(len(values), mean, Interval(-1.0, 1.0, how, level), 1.0)
    deviations = np.bincount(person_of, weights=values - mean, minlength=count)
    others = len(values) - np.bincount(person_of, minlength=count)
    error = math.sqrt((count - 1) / count * math.fsum(np.square(deviations / others)))
    arm = float(stdtrit(count - 1, (1 + level) / 2)) * error
    bounds = Interval(max(-1.0, mean - arm), min(1.0, mean + arm), how, level)
    return MeanEstimate(len(values), mean, bounds, _p(mean, error, count))


def _p(mean: float, error: float, count: int) -> float:
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(count - 1, -abs(mean) / error))
