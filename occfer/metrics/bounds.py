"""The bounds of 95 % intervals from counts per cluster, for one sample or for many at once.

A cluster holds the answers about one person (or about one face, where nobody knows whose it is). Answers about one
person are not independent: a model that is right about a face once tends to be right about it again. The share of
right answers then varies more than that of as many independent answers. The design effect is the ratio of the two
variances (Kish 1965), and n divided by it the effective number of answers. Score intervals of that number hold where
answers about one person are alike (Franco et al. 2019, doi:10.1093/jssam/smy019). `tests/occfer/metrics/
test_coverage.py` shows how often these intervals hold the truth.

Leading axes of the counts are samples: `(..., K)` stands for K clusters of each of many samples.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# The least correlation of two answers about one person that an interval of a share reckons with [decided]. Close to
# 100 % the few wrong answers say almost nothing about it: where all answers are right, any correlation fits. With the
# estimate alone, intervals that should hold the truth 95 times of 100 did so 90 times in places.
LEAST_CORRELATION = 0.1


def share_bounds(hits: Counts | npt.NDArray[np.bool_], sizes: Counts, level: float) -> tuple[Values, Values, Values]:
    """Wilson's interval of the share of right answers, on the effective number of answers.

    Args:
        hits: `(..., K)`, right answers in each cluster.
        sizes: `(..., K)`, answers in each cluster, at least one.
        level: the wanted coverage.

    Returns:
        Low and high, in [0, 1], and the design effect, each `(...)`. Where every cluster holds one answer, the effect
        is 1 and the bounds are Wilson's own.
    """
    n = np.asarray(sizes.sum(axis=-1), dtype=np.float64)
    share = hits.sum(axis=-1) / n
    return _weighted_bounds(share, n, (hits - share[..., None] * sizes) / n[..., None], sizes / n[..., None], level)


def mean_recall_bounds(hits: Counts, sizes: Counts, level: float) -> tuple[Values, Values, Values]:
    """The same of the mean recall over C classes: of the share of right answers, each weighted by 1 / (C n_class).

    Args:
        hits: `(..., K, C)`, right answers in each cluster and class.
        sizes: `(..., K, C)`, answers in each; every class has at least one.
        level: the wanted coverage.

    Returns:
        As `share_bounds`; the design effect then also tells how classes of unequal sizes and recalls change the
        variance, and is not 1 for single answers.
    """
    class_sizes = sizes.sum(axis=-2, keepdims=True)
    recall = hits.sum(axis=-2, keepdims=True) / class_sizes
    weight = 1 / (sizes.shape[-1] * class_sizes)
    residuals = ((hits - recall * sizes) * weight).sum(axis=-1)
    n = 1 / (np.square(weight) * class_sizes).sum(axis=(-2, -1))
    return _weighted_bounds(recall.mean(axis=(-2, -1)), n, residuals, (sizes * weight).sum(axis=-1), level)


def difference_bounds(counts: Counts, level: float) -> tuple[Values, Values, Values]:
    """Newcombe's interval of a difference of shares on the same questions, on the effective number of questions.

    It takes the design effect of the difference as estimated, and at least 1: Newcombe's interval is wide enough close
    to 100 %.

    Args:
        counts: `(..., K, 4)`, the questions of each cluster that both answered rightly, the first alone, the second
            alone, and neither.
        level: the wanted coverage.

    Returns:
        Low and high of first minus second, in [-1, 1], and the design effect, each `(...)`.
    """
    sizes, total = counts.sum(axis=-1), counts.sum(axis=-2)
    n = np.asarray(total.sum(axis=-1), dtype=np.float64)
    gains = counts[..., 1] - counts[..., 2]
    difference = gains.sum(axis=-1) / n
    residuals = (gains - difference[..., None] * sizes) / n[..., None]
    simple = ((total[..., 1] + total[..., 2]) / n - np.square(difference)) / n
    effect = _design_effect(residuals, simple, np.ones_like(n))
    single = (sizes == 1).all(axis=-1)
    effect = np.where(single, 1.0, effect)
    z = _quantile(single, sizes.shape[-1], level)
    low, high = newcombe_bounds(total / effect[..., None], z)
    return np.clip(low, -1, difference), np.clip(high, difference, 1), effect


def wilson_bounds(share: Values, n: Values, z: Values | float) -> tuple[Values, Values]:
    """Wilson's score interval without continuity correction (Wilson 1927), for any n > 0 and quantile z."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    arm = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # rounding must not cut the share itself off, nor pass 0 or 1
    return np.clip(middle - arm, 0, share), np.clip(middle + arm, share, 1)


def newcombe_bounds(counts: Values, z: Values | float) -> tuple[Values, Values]:
    """Newcombe's interval of the difference of two shares on the same questions (1998, Stat. Med. 17:2635, method 10).

    It joins the two Wilson intervals through the correlation of the answers.

    Args:
        counts: `(..., 4)`: both right, the first alone, the second alone, neither; not always whole.
        z: the quantile.
    """
    both, only_a, only_b, neither = np.moveaxis(counts, -1, 0)
    n = counts.sum(axis=-1)
    a, b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson_bounds(a, n, z), wilson_bounds(b, n, z)
    determinant = both * neither - only_a * only_b
    # his continuity correction, where the correlation is positive
    corrected = np.where(determinant > 0, np.maximum(determinant - n / 2, 0), determinant)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    # at an empty margin the correlation counts as 0
    root = np.sqrt(margins)
    correlation = np.divide(corrected, root, out=np.zeros_like(root), where=root > 0)

    def reach(one: Values, other: Values) -> Values:
        return np.asarray(np.sqrt(np.maximum(one**2 - 2 * correlation * one * other + other**2, 0)))

    return a - b - reach(a - low_a, high_b - b), a - b + reach(b - low_b, high_a - a)


def _weighted_bounds(
    share: Values, n: Values, residuals: Values, weights: Values, level: float
) -> tuple[Values, Values, Values]:
    """Wilson's interval of a weighted share on n divided by the design effect.

    Args:
        share: `(...)`, the sum of weight x answer over all answers; the weights add up to 1.
        n: `(...)`, 1 / the sum of the squared weights (Kish): the number of answers where all weigh alike.
        residuals: `(..., K)`, the sum of weight x (answer - its mean) in each cluster.
        weights: `(..., K)`, the sum of the weights in each cluster.
        level: the wanted coverage.
    """
    answers_per_cluster = n * np.square(weights).sum(axis=-1)
    least = 1 + LEAST_CORRELATION * (answers_per_cluster - 1)
    # n is K where every cluster holds one answer and all weigh alike: nothing to estimate
    single = np.isclose(n, weights.shape[-1]) & np.isclose(answers_per_cluster, 1)
    effect = np.where(single, 1.0, _design_effect(residuals, share * (1 - share) / n, least))
    low, high = wilson_bounds(share, n / effect, _quantile(single, weights.shape[-1], level))
    return low, high, effect


def _design_effect(residuals: Values, simple: Values, least: Values) -> Values:
    """The variance between clusters over that of independent answers, and not below `least`.

    Args:
        residuals: `(..., K)`, which add up to 0: what each cluster adds to the estimate beyond its share.
        simple: `(...)`, the variance that independent answers would have; 0 where nothing can be estimated.
        least: `(...)`, at least 1.
    """
    clusters = residuals.shape[-1]
    between = clusters / max(clusters - 1, 1) * np.square(residuals).sum(axis=-1)
    estimated = np.divide(between, simple, out=np.ones_like(between), where=simple > 0)
    return np.asarray(np.maximum(estimated, least))


def _quantile(single: npt.NDArray[np.bool_], clusters: int, level: float) -> Values:
    """The normal quantile for single answers; else Student's t, since few persons tell little about the design effect.

    It has one degree of freedom less than there are clusters; one person counts as two, and tells almost nothing.
    """
    upper = (1 + level) / 2
    return np.asarray(np.where(single, ndtri(upper), stdtrit(max(clusters - 1, 1), upper)))
