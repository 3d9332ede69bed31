"""Right and wrong answers about persons, of a known accuracy and a known correlation within each person.

Each person has an own chance of a right answer, drawn from a beta distribution (for the four outcomes of two methods, a
Dirichlet distribution); answers about one person are then correlated as wanted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, binom

from occfer.metrics.bounds import Values, difference_bounds, mean_recall_bounds, share_bounds, wilson_bounds
from occfer.metrics.significance import sign_flip_p

SUBJECTS = (10, 40, 118)
FEW_SUBJECTS = (3, 4, 6)
ACCURACIES = (0.8, 0.978, 0.995)
CORRELATIONS = (0.0, 0.1)
LEVEL = 0.95
# Shares of: both right, the first alone, the second alone, neither.
OUTCOMES = ((0.74, 0.06, 0.06, 0.14), (0.70, 0.15, 0.05, 0.10), (0.96, 0.018, 0.003, 0.019), (0.99, 0.005, 0.005, 0.0))
# Recalls of seven classes.
RECALLS = (
    (0.8,) * 7,
    (0.978,) * 7,
    (0.995,) * 7,
    (0.6, 0.8, 0.4, 0.95, 0.5, 0.9, 0.85),
    (0.97, 0.98, 0.9, 0.999, 0.95, 0.99, 0.98),
)
# Shares of the 118 subjects of CK+ that show each of six expressions; every neutral face stands beside one of them.
CK_PLUS = tuple(count / 118 for count in (45, 59, 25, 69, 28, 83))


@dataclass(frozen=True, slots=True)
class Covered:
    """How often an interval held the truth, with what the simulated answers were like."""

    subjects: int
    truth: str
    correlation: float
    coverage: float
    width: float

    def line(self) -> str:
        """For print."""
        return (
            f"{self.subjects:4} subjects, {self.truth:22} correlation {self.correlation:3}: coverage "
            f"{self.coverage:.3f}, mean width {self.width:.3f}"
        )


def sizes_like(kind: str, subjects: int) -> np.ndarray:
    """Answers about each subject: `unequal` 2 to 8, `seven`, `many` (28), or `skewed` (a few hold most)."""
    rng = np.random.default_rng(7)
    if kind == "unequal":
        return rng.integers(2, 9, subjects)
    if kind == "skewed":
        return rng.geometric(0.15, subjects)
    return np.full(subjects, {"single": 1, "seven": 7, "many": 28}[kind])


def hits(rng: np.random.Generator, samples: int, sizes: np.ndarray, accuracy: float, correlation: float) -> np.ndarray:
    """`(samples, K)` right answers about each of K persons."""
    chance: float | np.ndarray = accuracy
    if correlation:
        strength = 1 / correlation - 1
        chance = rng.beta(accuracy * strength, (1 - accuracy) * strength, (samples, len(sizes)))
    return rng.binomial(sizes, chance, (samples, len(sizes)))


def outcomes(
    rng: np.random.Generator, samples: int, sizes: np.ndarray, shares: Sequence[float], correlation: float
) -> np.ndarray:
    """`(samples, K, 4)` outcomes of two methods."""
    chances: np.ndarray = np.asarray(shares)
    if correlation:
        strength = np.maximum(chances * (1 / correlation - 1), 1e-12)
        drawn = rng.gamma(strength, size=(samples, len(sizes), 4))
        chances = drawn / np.maximum(drawn.sum(axis=-1, keepdims=True), 1e-300)
    return rng.multinomial(np.broadcast_to(sizes, (samples, len(sizes))), chances)


def class_sizes(kind: str, subjects: int) -> np.ndarray:
    """`(K, 7)` answers about each subject and class: as in CK+, or `each` class once."""
    if kind == "each":
        return np.ones((subjects, 7), dtype=np.int64)
    shown = np.random.default_rng(5).random((subjects, 6)) < CK_PLUS
    return np.column_stack([shown, np.maximum(shown.sum(axis=1), 1)]).astype(np.int64)


def class_hits(
    rng: np.random.Generator, samples: int, sizes: np.ndarray, recalls: Sequence[float], correlation: float
) -> np.ndarray:
    """`(samples, K, C)` right answers; a person who is easy in one class is easy in all."""
    if not correlation:
        return rng.binomial(sizes, recalls, (samples, *sizes.shape))
    ease = rng.random((samples, len(sizes)))
    grid = np.linspace(0, 1, 2001)
    strength = 1 / correlation - 1
    chance = [np.interp(ease, grid, beta.ppf(grid, each * strength, (1 - each) * strength)) for each in recalls]
    return rng.binomial(sizes, np.stack(chance, axis=-1))


Bounds = Callable[[np.ndarray, np.ndarray], tuple[Values, Values]]


def ours(right: np.ndarray, sizes: np.ndarray) -> tuple[Values, Values]:
    """The interval that occfer prints."""
    return share_bounds(right, sizes, LEVEL)[:2]


def wilson_alone(right: np.ndarray, sizes: np.ndarray) -> tuple[Values, Values]:
    """As if all answers were independent."""
    n = np.asarray(sizes.sum(), dtype=np.float64)
    return wilson_bounds(right.sum(axis=-1) / n, n, 1.959964)


def bootstrap(right: np.ndarray, sizes: np.ndarray) -> tuple[Values, Values]:
    """The percentile bootstrap over subjects, which version 0.1 printed."""
    rng = np.random.default_rng(2)
    low_high = []
    for each in right:
        drawn = rng.integers(len(sizes), size=(400, len(sizes)))
        low_high.append(np.quantile(each[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975]))
    low, high = np.transpose(low_high)
    return low, high


def covered(low: Values, high: Values, truth: float, subjects: int, name: str, correlation: float) -> Covered:
    """How often `truth` lies within the bounds."""
    assert (high > low).all(), "an interval of zero width"
    held = (low <= truth + 1e-12) & (truth - 1e-12 <= high)
    return Covered(subjects, name, correlation, float(held.mean()), float((high - low).mean()))


def accuracies(
    kind: str,
    samples: int,
    bounds: Bounds = ours,
    correlations: Sequence[float] = CORRELATIONS,
    subject_counts: Sequence[int] = SUBJECTS,
) -> list[Covered]:
    """The interval of an accuracy over the grid."""
    rng = np.random.default_rng(11)
    found = []
    for subjects in subject_counts:
        sizes = sizes_like(kind, subjects)
        for accuracy in ACCURACIES:
            for correlation in correlations:
                low, high = bounds(hits(rng, samples, sizes, accuracy, correlation), sizes)
                held = (low <= accuracy) & (accuracy <= high)
                coverage, width = float(held.mean()), float((high - low).mean())
                found.append(Covered(subjects, f"accuracy {accuracy}", correlation, coverage, width))
    return found


def differences(kind: str, samples: int, subject_counts: Sequence[int] = SUBJECTS) -> list[Covered]:
    """The interval of a difference over the grid."""
    rng = np.random.default_rng(12)
    found = []
    for subjects in subject_counts:
        sizes = sizes_like(kind, subjects)
        for shares in OUTCOMES:
            for correlation in CORRELATIONS:
                low, high, _ = difference_bounds(outcomes(rng, samples, sizes, shares, correlation), LEVEL)
                name = "/".join(map(str, shares))
                found.append(covered(low, high, shares[1] - shares[2], subjects, name, correlation))
    return found


def false_findings(kind: str, samples: int, correlation: float, subjects: int = 118) -> tuple[float, float]:
    """How often a test finds a difference, p < 0.05, between two methods that are equally good.

    Returns:
        Of McNemar's exact test, as if all pairs were independent; and of sign flips by subject.
    """
    rng = np.random.default_rng(14)
    drawn = outcomes(rng, samples, sizes_like(kind, subjects), OUTCOMES[0], correlation)
    only_a, only_b = drawn[:, :, 1], drawn[:, :, 2]
    less, both = np.minimum(only_a.sum(axis=1), only_b.sum(axis=1)), (only_a + only_b).sum(axis=1)
    alone = 2 * binom.cdf(less, both, 0.5)
    flipped = np.array([sign_flip_p(each) for each in only_a - only_b])
    return float((alone < 0.05).mean()), float((flipped < 0.05).mean())


def mean_recalls(kind: str, samples: int) -> list[Covered]:
    """The interval of UAR over the grid."""
    rng = np.random.default_rng(13)
    found = []
    for subjects in SUBJECTS:
        sizes = class_sizes(kind, subjects)
        for recalls in RECALLS:
            for correlation in CORRELATIONS:
                right = class_hits(rng, samples, sizes, recalls, correlation)
                low, high, _ = mean_recall_bounds(right, np.broadcast_to(sizes, right.shape), LEVEL)
                truth = float(np.mean(recalls))
                found.append(covered(low, high, truth, subjects, f"UAR {truth:.3f}", correlation))
    return found
