"""Whether two methods differ: exact McNemar on the same pairs, Holm's correction, several seeds as one p-value."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from occfer.errors import ReportError
from occfer.metrics.measures import RightOrWrong


def check_paired(right_a: RightOrWrong, right_b: RightOrWrong) -> None:
    """Raises ReportError unless both hold the answers to the same, non-empty list of pairs."""
    if right_a.shape != right_b.shape or not len(right_a):
        raise _not_paired(right_a, right_b)


def _not_paired(right_a: RightOrWrong, right_b: RightOrWrong) -> ReportError:
    return ReportError(
        f"a paired test needs the answers to the same questions, not {len(right_a)} answers and {len(right_b)} others"
    )


@dataclass(frozen=True, slots=True)
class McNemar:
    """The exact McNemar test of two methods on the same pairs.

    Attributes:
        only_a, only_b: number of pairs that only one of the two answered rightly.
        p_value: two-sided, of the hypothesis that both are equally good.
    """

    only_a: int
    only_b: int
    p_value: float


def mcnemar(right_a: RightOrWrong, right_b: RightOrWrong) -> McNemar:
    """The exact test: equally good methods share the pairs that only one of them got right by halves (McNemar 1947).

    Pairs that both got right, or both got wrong, do not tell the methods apart and do not count.

    Args:
        right_a, right_b: `(N,)`, whether each method is right about each pair, in the same order.

    Raises:
        ReportError: the numbers of answers differ.

    >>> only_the_last = np.array([False] * 9 + [True])
    >>> mcnemar(~only_the_last, only_the_last)
    McNemar(only_a=9, only_b=1, p_value=0.021484375)
    """
    if right_a.shape != right_b.shape:
        raise _not_paired(right_a, right_b)
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    discordant = only_a + only_b
    p_value = float(binomtest(only_a, discordant).pvalue) if discordant else 1.0
    return McNemar(only_a, only_b, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for testing all of them (Holm 1979), in the order given.

    A table tests a dozen methods, so one of them easily falls below 0.05 by chance. Holm's step-down procedure bounds
    the chance of any false finding, as Bonferroni's does, and finds more.

    >>> holm([0.04, 0.01, 0.03, 0.02])
    [0.06, 0.04, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def over_seeds(p_values: Sequence[float]) -> float:
    """One p-value from the tests of several seeds: min(1, 2 x their median), which holds however they depend on each
    other (Rueger 1978) [decided]. Seeds share the test images, so their tests are not independent.

    >>> over_seeds([0.01, 0.2, 0.02]), over_seeds([0.03]), over_seeds([0.9, 0.8, 0.7])
    (0.04, 0.03, 1.0)
    """
    return p_values[0] if len(p_values) == 1 else min(1.0, 2 * float(np.median(p_values)))


def shown_p(p_value: float) -> str:
    """A p-value as text: three digits, or that it is below 0.001.

    >>> shown_p(0.0213), shown_p(2e-9)
    ('0.021', '< 0.001')
    """
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
