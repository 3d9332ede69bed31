"""How sure an accuracy is, and whether two differ: intervals, exact McNemar, Holm, mean and deviation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from occfer.errors import ReportError

LEVEL = 0.95
DRAWS = 10_000
# A percentile bootstrap over a handful of clusters is far too narrow: below this, the Wilson interval is shown.
LEAST_CLUSTERS = 10
DRAWN_AT_ONCE = 1_000_000  # keeps the memory of a bootstrap small for a million faces too

Right = npt.NDArray[np.bool_]
# 1 where the first of two methods alone is right, -1 where the second alone is, else 0
Gain = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a proportion, or of the difference between two.

    Attributes:
        low, high: in [0, 1]; of a difference, in [-1, 1].
        how: `Wilson` (of a difference, `Newcombe`), perhaps with a doubt, or `bootstrap over N subjects`.
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

    Raises:
        ReportError: unless 0 <= correct <= n and n > 0.
    """
    if not 0 <= correct <= n or n == 0:
        raise ReportError(f"{correct} of {n} is no proportion")
    low, high = binomtest(correct, n).proportion_ci(level, method="wilson")
    return Interval(float(low), float(high), "Wilson", level)


def cluster_bootstrap(
    right: Right | Gain,
    clusters: Sequence[str],
    *,
    what: str = "subjects",
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """The percentile interval of the pooled accuracy when whole clusters are drawn anew, with replacement.

    Answers on one person are not independent, so the Wilson interval over answers is too narrow.

    Args:
        right: `(N,)`, whether each answer is right; or the gain of each, for the difference of two accuracies.
        clusters: N names: whose each answer is.
        what: how the interval names the clusters.
        level: its coverage.
        draws: of a set of as many clusters.
        seed: of the draws (Philox).

    Raises:
        ReportError: no answers, or not one cluster name for each.
    """
    if len(right) != len(clusters) or not len(right):
        raise ReportError(f"{len(right)} answers and {len(clusters)} clusters do not fit")
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    size = np.bincount(member)
    hits = np.bincount(member, weights=right)
    rng = np.random.Generator(np.random.Philox(seed))
    at_once = max(1, DRAWN_AT_ONCE // len(size))
    accuracies: list[npt.NDArray[np.float64]] = []
    for start in range(0, draws, at_once):
        drawn = rng.integers(len(size), size=(min(at_once, draws - start), len(size)))
        accuracies.append(hits[drawn].sum(axis=1) / size[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(accuracies), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), f"bootstrap over {len(size)} {what}", level)


def interval(right: Right, clusters: Sequence[str], *, what: str = "subjects", level: float = LEVEL) -> Interval:
    """The interval to show beside an accuracy.

    By clusters where some hold several answers and there are at least `LEAST_CLUSTERS`, else Wilson's; `how` says where
    that is too narrow because there are only a few clusters.

    Args: as for `cluster_bootstrap`.
    """
    count = len(set(clusters))
    if LEAST_CLUSTERS <= count < len(right):
        return cluster_bootstrap(right, clusters, what=what, level=level)
    simple = wilson(int(right.sum()), len(right), level)
    if count < len(right):
        return replace(simple, how=_doubted(simple.how, count, what))
    return simple


def newcombe(right_a: Right, right_b: Right, level: float = LEVEL) -> Interval:
    """The interval of accuracy a minus accuracy b on the same questions (Newcombe 1998, Stat. Med. 17:2635, method 10).

    It joins the two Wilson intervals by the correlation of the answers, and keeps its coverage where few differ.

    Args:
        right_a, right_b: `(N,)`, answers to the same questions in the same order.
        level: its coverage.

    Raises:
        ReportError: no answers, or the numbers differ.
    """
    _check_paired(right_a, right_b)
    n = len(right_a)
    a, b = float(right_a.mean()), float(right_b.mean())
    first, second = wilson(int(right_a.sum()), n, level), wilson(int(right_b.sum()), n, level)
    correlation = _correlation(right_a, right_b)

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))

    low = a - b - reach(a - first.low, second.high - b)
    high = a - b + reach(b - second.low, first.high - a)
    return Interval(low, high, "Newcombe", level)


def _correlation(right_a: Right, right_b: Right) -> float:
    """Newcombe's phi: of the four counts, with a continuity correction where it is positive; 0 at an empty margin."""
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
    right_a: Right, right_b: Right, clusters: Sequence[str], *, what: str = "subjects", level: float = LEVEL
) -> Interval:
    """The interval to show beside the difference of two accuracies, a minus b, chosen as `interval` does.

    Args:
        right_a, right_b: `(N,)`, answers to the same questions in the same order.
        clusters: N names: whose each answer is.
        what: how the interval names the clusters.
        level: its coverage.

    Raises:
        ReportError: no answers, or the numbers differ.
    """
    _check_paired(right_a, right_b)
    count = len(set(clusters))
    if LEAST_CLUSTERS <= count < len(right_a):
        gain = right_a.astype(np.int64) - right_b
        return cluster_bootstrap(gain, clusters, what=what, level=level)
    simple = newcombe(right_a, right_b, level)
    return replace(simple, how=_doubted(simple.how, count, what)) if count < len(right_a) else simple


def _doubted(how: str, count: int, what: str) -> str:
    return f"{how}, too narrow for several answers on each of only {count} {what}"


def _check_paired(right_a: Right, right_b: Right) -> None:
    if right_a.shape != right_b.shape or not len(right_a):
        raise ReportError(f"a paired test needs the same questions: {len(right_a)} and {len(right_b)} answers")


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two methods' answers to the same questions.

    Attributes:
        only_a, only_b: questions that one alone answered rightly.
        p_value: two-sided, that they are equally good.
    """

    only_a: int
    only_b: int
    p_value: float


def mcnemar(right_a: Right, right_b: Right) -> McNemar:
    """The exact test: of the questions that one method alone got right, half should be either's (McNemar 1947).

    Args:
        right_a, right_b: `(N,)`, answers to the same questions in the same order.

    Raises:
        ReportError: the numbers of answers differ.
    """
    if right_a.shape != right_b.shape:
        raise ReportError(f"a paired test needs the same questions: {len(right_a)} and {len(right_b)} answers")
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    discordant = only_a + only_b
    p_value = float(binomtest(only_a, discordant).pvalue) if discordant else 1.0
    return McNemar(only_a, only_b, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for testing all of them (Holm 1979): step-down Bonferroni, in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def shown_p(p_value: float) -> str:
    """A p-value with three digits, or that it is below 0.001."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and deviation over folds or seeds.

    Attributes:
        mean: of the values.
        sd: their sample standard deviation (n - 1); None for a single value.
        n: how many.
    """

    mean: float
    sd: float | None
    n: int

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"mean": self.mean, "sd": self.sd, "n": self.n}


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation; raises ReportError without values."""
    if not values:
        raise ReportError("no values to average")
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Spread(mean, None, 1)
    return Spread(mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)), len(values))
