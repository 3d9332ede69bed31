"""Confidence intervals to print: of an accuracy, of a mean recall, of a difference of accuracies on the same pairs.

All of them are score intervals on n divided by the design effect, see `occfer.metrics.bounds`. None has zero width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from occfer.errors import ReportError
from occfer.metrics.bounds import Values, difference_bounds, mean_recall_bounds, share_bounds
from occfer.metrics.measures import ClassIndices, RightOrWrong
from occfer.metrics.significance import check_paired

LEVEL = 0.95
METHOD = "Wilson's for accuracies and UAR, Newcombe's for differences, on n divided by the design effect"


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a proportion, or of the difference between two.

    Attributes:
        low, high: in [0, 1]; of a difference, in [-1, 1].
        how: `Wilson` (of a difference, `Newcombe`), and `design effect 1.49 over 118 subjects` where answers are
            several per person. Files of version 0.1 also say `bootstrap over N subjects` or that it is too narrow.
        level: the wanted coverage.
    """

    low: float
    high: float
    how: str = "Wilson"
    level: float = LEVEL

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"low": self.low, "high": self.high, "how": self.how, "level": self.level}


def is_old(found: Interval) -> bool:
    """Whether version 0.1 made it in a way that is too narrow: a bootstrap, or as if answers were independent."""
    return found.how.startswith("bootstrap") or "too narrow" in found.how


def wilson(correct: int, n: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval of `correct / n`, without continuity correction (Wilson 1927).

    Unlike the normal approximation, it stays within [0, 1] and keeps a width where every answer is right. It takes
    answers as independent.

    Raises:
        ReportError: unless 0 <= correct <= n and n > 0.

    >>> found = wilson(8, 10)
    >>> print(f"{found.low:.3f} to {found.high:.3f}")
    0.490 to 0.943
    """
    if not 0 <= correct <= n or n == 0:
        raise ReportError(f"{correct} of {n} is not a proportion")
    low, high, _ = share_bounds(np.arange(n) < correct, np.ones(n, dtype=np.int64), level)
    return Interval(float(low), float(high), "Wilson", level)


def interval(right: RightOrWrong, clusters: Sequence[str], *, what: str = "subjects", level: float = LEVEL) -> Interval:
    """The interval to show beside an accuracy, see `occfer.metrics.bounds.share_bounds`.

    Args:
        right: `(N,)`, whether each answer is right.
        clusters: N names: whose face each answer is about.
        what: what the interval calls the clusters.
        level: the wanted coverage.

    Raises:
        ReportError: there are no answers, or not one cluster name per answer.

    >>> right = np.array([True, True, False, True] * 10)
    >>> print(interval(right, [f"subject {index // 2}" for index in range(40)]).how)
    Wilson, design effect 1.10 over 20 subjects
    >>> print(interval(right, [f"subject {index}" for index in range(40)]).how)
    Wilson
    """
    cluster_of, count = _numbered(len(right), clusters)
    hits = np.bincount(cluster_of, weights=right, minlength=count).astype(np.int64)
    bounds = share_bounds(hits, np.bincount(cluster_of), level)
    return _interval(bounds, "Wilson", "" if count == len(right) else counted(count, what), level)


def mean_recall_interval(
    right: RightOrWrong,
    truth: ClassIndices,
    clusters: Sequence[str],
    *,
    what: str = "subjects",
    level: float = LEVEL,
) -> Interval:
    """The interval to show beside UAR, the mean recall over the classes that occur; see `mean_recall_bounds`.

    Args:
        right, clusters, what, level: as for `interval`.
        truth: `(N,)` indices of classes.

    Raises:
        ReportError: as `interval`.
    """
    cluster_of, count = _numbered(len(right), clusters)
    _, class_of = np.unique(truth, return_inverse=True)
    classes = int(class_of.max()) + 1
    sizes, hits = (_table(cluster_of, class_of, count, classes, chosen) for chosen in (np.ones_like(right), right))
    return _interval(mean_recall_bounds(hits, sizes, level), "Wilson", counted(count, what), level)


def newcombe(right_a: RightOrWrong, right_b: RightOrWrong, level: float = LEVEL) -> Interval:
    """The interval of accuracy a minus accuracy b on the same pairs (Newcombe 1998, Stat. Med. 17:2635, method 10).

    It takes pairs as independent.

    Args:
        right_a, right_b: `(N,)`, whether each method is right about each pair, in the same order.
        level: the wanted coverage.

    Raises:
        ReportError: there are no answers, or their numbers differ.

    >>> found = newcombe(np.array([True] * 9 + [False] * 5), np.array([True] * 5 + [False] * 9))
    >>> print(f"{found.low:.3f} to {found.high:.3f}")
    0.006 to 0.498
    """
    return paired_interval(right_a, right_b, [str(each) for each in range(len(right_a))], level=level)


def paired_interval(
    right_a: RightOrWrong,
    right_b: RightOrWrong,
    clusters: Sequence[str],
    *,
    what: str = "subjects",
    level: float = LEVEL,
) -> Interval:
    """The interval to show beside the difference of two accuracies, a minus b; see `difference_bounds`.

    Args:
        right_a, right_b: `(N,)`, whether each method is right about each pair, in the same order.
        clusters: N names: whose face each pair shows.
        what: what the interval calls the clusters.
        level: the wanted coverage.

    Raises:
        ReportError: there are no answers, or their numbers differ.
    """
    check_paired(right_a, right_b)
    cluster_of, count = _numbered(len(right_a), clusters)
    cell = 2 * ~right_a + ~right_b  # both, a alone, b alone, neither
    counts = _table(cluster_of, cell.astype(np.int64), count, 4, np.ones_like(right_a))
    bounds = difference_bounds(counts, level)
    return _interval(bounds, "Newcombe", "" if count == len(right_a) else counted(count, what), level)


def counted(count: int, what: str) -> str:
    """`118 subjects`, `1 subject`."""
    return f"{count} {what if count > 1 else what.removesuffix('s')}"


def _numbered(answers: int, clusters: Sequence[str]) -> tuple[ClassIndices, int]:
    """The cluster's number for each answer, and how many clusters there are."""
    if answers != len(clusters) or not answers:
        raise ReportError(f"{answers} answers and {len(clusters)} clusters do not fit: each answer needs one")
    names, cluster_of = np.unique(np.asarray(clusters), return_inverse=True)
    return cluster_of, len(names)


def _table(
    rows: ClassIndices, columns: ClassIndices, row_count: int, column_count: int, chosen: RightOrWrong
) -> npt.NDArray[np.int64]:
    """How many chosen answers lie in each row and column."""
    places = (rows * column_count + columns)[chosen.astype(np.bool_)]
    return np.bincount(places, minlength=row_count * column_count).reshape(row_count, column_count)


def _interval(bounds: tuple[Values, Values, Values], name: str, over: str, level: float) -> Interval:
    low, high, effect = map(float, bounds)
    return Interval(low, high, f"{name}, design effect {effect:.2f} over {over}" if over else name, level)
