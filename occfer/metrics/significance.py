"""Whether two methods differ: an exact test on the same pairs, Holm's correction, several seeds as one p-value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from occfer.errors import ReportError
from occfer.metrics.measures import RightOrWrong

TestName = Literal["exact McNemar", "exact sign flips by subject", "exact sign flips by face"]
MCNEMAR: TestName = "exact McNemar"
"""The test where each pair shows somebody else; earlier versions used it everywhere."""
_BY: dict[str, TestName] = {"subjects": "exact sign flips by subject", "faces": "exact sign flips by face"}


def check_paired(right_a: RightOrWrong, right_b: RightOrWrong) -> None:
    """Raises ReportError unless both hold the answers to the same, non-empty list of pairs."""
    if right_a.shape != right_b.shape or not len(right_a):
        raise _not_paired(right_a, right_b)


def _not_paired(right_a: RightOrWrong, right_b: RightOrWrong) -> ReportError:
    return ReportError(
        f"a paired test needs the answers to the same questions, not {len(right_a)} answers and {len(right_b)} others"
    )


@dataclass(frozen=True, slots=True)
class PairedOutcome:
    """An exact test of two methods on the same pairs.

    Attributes:
        only_a, only_b: number of pairs that only one of the two answered rightly.
        p_value: two-sided, of the hypothesis that both are equally good.
        how: which test it is.
    """

    only_a: int
    only_b: int
    p_value: float
    how: TestName


def paired_outcome(
    right_a: RightOrWrong, right_b: RightOrWrong, persons: Sequence[str], what: str = "subjects"
) -> PairedOutcome:
    """The exact sign-flip test over people (Fisher 1935), which is McNemar's exact test (1947) for one pair of each.

    Each person counts with a whole number: on how many of his pairs A alone is right, minus on how many B alone is. If
    the methods are equally good, each number could as well have the other sign, whatever the answers about one person
    have in common. The p-value is the share of all choices of signs whose sum lies as far from 0 as the one that was
    found. Pairs that both got right, or both got wrong, do not tell the methods apart and do not count.

    Args:
        right_a, right_b: `(N,)`, whether each method is right about each pair, in the same order.
        persons: N names, see `occfer.metrics.accuracy.persons_of`.
        what: they are, `subjects` or `faces`.

    Raises:
        ReportError: the numbers of answers differ.

    >>> only_the_last = np.array([False] * 9 + [True])
    >>> paired_outcome(~only_the_last, only_the_last, list("abcdefghij"))
    PairedOutcome(only_a=9, only_b=1, p_value=0.021484375, how='exact McNemar')
    >>> paired_outcome(~only_the_last, only_the_last, list("aaabbbcccd"))
    PairedOutcome(only_a=9, only_b=1, p_value=0.25, how='exact sign flips by subject')
    """
    if right_a.shape != right_b.shape or len(right_a) != len(persons):
        raise _not_paired(right_a, right_b)
    only_a, only_b = right_a & ~right_b, right_b & ~right_a
    names, person_of = np.unique(np.asarray(persons, dtype=np.str_), return_inverse=True)
    differences = np.bincount(person_of, weights=only_a.astype(np.int64) - only_b, minlength=len(names))
    how = MCNEMAR if len(names) == len(persons) else _BY[what]
    p_value = sign_flip_p(differences.astype(np.int64))
    return PairedOutcome(int(only_a.sum()), int(only_b.sum()), p_value, how)


def sign_flip_p(differences: npt.NDArray[np.int64]) -> float:
    """The share of all choices of signs for `(K,)` whole numbers whose sum is at least as far from 0 as theirs.

    No sign is drawn: people with the same number are counted together by the binomial distribution, and the numbers are
    joined one after the other, so that the distribution of the sum is exact.
    """
    found = abs(int(differences.sum()))
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if found == 0:
        return 1.0
    shares = np.ones(1)  # of the sum of the numbers whose sign is +
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        grown = np.zeros(len(shares) + size * count)
        for number, share in enumerate(binom.pmf(np.arange(count + 1), count, 0.5)):
            grown[number * size : number * size + len(shares)] += share * shares
        shares = grown
    below = (len(shares) - 1 - found) // 2  # with this sum of +, the whole sum is -found
    return min(1.0, 2 * float(shares[: below + 1].sum()))


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
