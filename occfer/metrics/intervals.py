"""Confidence intervals: of an accuracy, and of the difference between two accuracies on the same pairs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from occfer.errors import ReportError
from occfer.metrics.measures import RightOrWrong
from occfer.metrics.significance import check_paired

LEVEL = 0.95
DRAWS = 10_000
# A percentile bootstrap over a handful of clusters is far too narrow: with fewer clusters, Wilson's interval is shown.
LEAST_CLUSTERS = 10
DRAWN_AT_ONCE = 1_000_000  # bounds the memory of a bootstrap over a million faces


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a proportion, or of the difference between two.

    Attributes:
        low, high: in [0, 1]; of a difference, in [-1, 1].
        how: `Wilson` (of a difference, `Newcombe`), perhaps with a warning, or `bootstrap over N subjects`.
        level: its coverage.
    """

    low: float
    high: float
    how: str = "Wilson"
    level: float = LEVEL

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"low": self.low, "high": self.high, "how": self.how, "level": self.level}


def wilson(correct: int, n: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval of `correct / n`, without continuity correction (Wilson 1927).

    Unlike the normal approximation, it stays within [0, 1] and keeps a width where every answer is right.

    Raises:
        ReportError: unless 0 <= correct <= n and n > 0.

    >>> found = wilson(8, 10)
    >>> print(f"{found.low:.3f} to {found.high:.3f}")
    0.490 to 0.943
    """
    if not 0 <= correct <= n or n == 0:
        raise ReportError(f"{correct} of {n} is not a proportion")
    low, high = binomtest(correct, n).proportion_ci(level, method="wilson")
    return Interval(float(low), float(high), "Wilson", level)


def cluster_bootstrap(
    right: RightOrWrong | npt.NDArray[np.int64],
    clusters: Sequence[str],
    *,
    what: str = "subjects",
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """The percentile interval of the pooled accuracy when whole clusters are drawn with replacement.

    Answers about one person are not independent: a model that is right about a face once tends to be right about it
    again. The accuracy then varies more than that of as many independent answers (survey statistics calls the ratio
    of the variances the design effect), so Wilson's interval is too narrow. Drawing persons, each with all answers
    about them, keeps the dependence.

    Args:
        right: `(N,)`, whether each answer is right; or, for the difference of two accuracies, 1 where only the first
            method is right, -1 where only the second is, else 0.
        clusters: N names: whose face each answer is about.
        what: what the interval calls the clusters.
        level: its coverage.
        draws: number of bootstrap samples, each of as many clusters as there are.
        seed: of the random draws (Philox).

    Raises:
        ReportError: there are no answers, or not one cluster name per answer.
    """
    if len(right) != len(clusters) or not len(right):
        raise ReportError(f"{len(right)} answers and {len(clusters)} clusters do not fit: each answer needs one")
    _, cluster_of = np.unique(np.asarray(clusters), return_inverse=True)
    size = np.bincount(cluster_of)
    hits = np.bincount(cluster_of, weights=right)
    rng = np.random.Generator(np.random.Philox(seed))
    at_once = max(1, DRAWN_AT_ONCE // len(size))
    accuracies: list[npt.NDArray[np.float64]] = []
    for start in range(0, draws, at_once):
        drawn = rng.integers(len(size), size=(min(at_once, draws - start), len(size)))
        accuracies.append(hits[drawn].sum(axis=1) / size[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(accuracies), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), f"bootstrap over {len(size)} {what}", level)


def interval(right: RightOrWrong, clusters: Sequence[str], *, what: str = "subjects", level: float = LEVEL) -> Interval:
    """The interval to show beside an accuracy.

    It is a bootstrap over clusters if some hold several answers and there are at least `LEAST_CLUSTERS`, else Wilson's.
    With several answers per cluster but too few clusters, `how` says that Wilson's interval is too narrow.

    Args: as for `cluster_bootstrap`.

    >>> right = np.array([True, True, False, True] * 10)
    >>> print(interval(right, [f"subject {index // 2}" for index in range(40)]).how)
    bootstrap over 20 subjects
    >>> print(interval(right, ["anna", "ben"] * 20).how)
    Wilson, too narrow for several answers on each of only 2 subjects
    >>> print(interval(right, [f"subject {index}" for index in range(40)]).how)
    Wilson
    """
    count = len(set(clusters))
    if LEAST_CLUSTERS <= count < len(right):
        return cluster_bootstrap(right, clusters, what=what, level=level)
    simple = wilson(int(right.sum()), len(right), level)
    return replace(simple, how=_with_warning(simple.how, count, what)) if count < len(right) else simple


def newcombe(right_a: RightOrWrong, right_b: RightOrWrong, level: float = LEVEL) -> Interval:
    """The interval of accuracy a minus accuracy b on the same pairs (Newcombe 1998, Stat. Med. 17:2635, method 10).

    It joins the two Wilson intervals through the correlation of the answers, and keeps its coverage where few differ.

    Args:
        right_a, right_b: `(N,)`, whether each method is right about each pair, in the same order.
        level: its coverage.

    Raises:
        ReportError: there are no answers, or their numbers differ.

    >>> found = newcombe(np.array([True] * 9 + [False] * 5), np.array([True] * 5 + [False] * 9))
    >>> print(f"{found.low:.3f} to {found.high:.3f}")
    0.006 to 0.498
    """
    check_paired(right_a, right_b)
    n = len(right_a)
    a, b = float(right_a.mean()), float(right_b.mean())
    first, second = wilson(int(right_a.sum()), n, level), wilson(int(right_b.sum()), n, level)
    correlation = _correlation(right_a, right_b)

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))

    low = a - b - reach(a - first.low, second.high - b)
    high = a - b + reach(b - second.low, first.high - a)
    return Interval(low, high, "Newcombe", level)


def _correlation(right_a: RightOrWrong, right_b: RightOrWrong) -> float:
    """Newcombe's phi of the four counts, with a continuity correction where it is positive; 0 at an empty margin."""
    n = len(right_a)
    a, b = int(right_a.sum()), int(right_b.sum())
    both, neither = int((right_a & right_b).sum()), int((~right_a & ~right_b).sum())
    margins = a * (n - a) * b * (n - b)
    if not margins:
        return 0.0
    determinant = both * neither - (a - both) * (b - both)
    corrected = max(determinant - n / 2, 0.0) if determinant > 0 else determinant
    return corrected / math.sqrt(margins)


def paired_interval(
    right_a: RightOrWrong,
    right_b: RightOrWrong,
    clusters: Sequence[str],
    *,
    what: str = "subjects",
    level: float = LEVEL,
) -> Interval:
    """The interval to show beside the difference of two accuracies, a minus b, chosen as `interval` chooses.

    Args:
        right_a, right_b: `(N,)`, whether each method is right about each pair, in the same order.
        clusters: N names: whose face each answer is about.
        what: what the interval calls the clusters.
        level: its coverage.

    Raises:
        ReportError: there are no answers, or their numbers differ.
    """
    check_paired(right_a, right_b)
    count = len(set(clusters))
    if LEAST_CLUSTERS <= count < len(right_a):
        gains = right_a.astype(np.int64) - right_b
        return cluster_bootstrap(gains, clusters, what=what, level=level)
    simple = newcombe(right_a, right_b, level)
    return replace(simple, how=_with_warning(simple.how, count, what)) if count < len(right_a) else simple


def _with_warning(how: str, count: int, what: str) -> str:
    return f"{how}, too narrow for several answers on each of only {count} {what}"
