"""The printed intervals against scipy, against formulas written out, and at their edges."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from occfer.errors import ReportError
from occfer.metrics.bounds import LEAST_CORRELATION, share_bounds, wilson_bounds
from occfer.metrics.intervals import (
    Interval,
    interval,
    is_old,
    mean_recall_interval,
    newcombe,
    paired_interval,
    wilson,
)


@pytest.mark.parametrize(("correct", "n"), [(0, 1), (0, 10), (8, 10), (10, 10), (581, 636), (3067, 3068)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_scipys(correct: int, n: int, level: float) -> None:
    theirs = stats.binomtest(correct, n).proportion_ci(level, method="wilson")
    found = wilson(correct, n, level)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= found.low <= correct / n <= found.high <= 1
    alone = interval(np.arange(n) < correct, [f"face {each}" for each in range(n)], level=level)
    assert alone == found, "single answers are independent"


@pytest.mark.parametrize(("correct", "n"), [(3, 2), (-1, 2), (0, 0)])
def test_what_is_no_proportion(correct: int, n: int) -> None:
    with pytest.raises(ReportError, match=f"{correct} of {n} is not a proportion"):
        wilson(correct, n)


def test_the_design_effect_by_hand() -> None:
    """Four subjects with two answers each, right on 2, 2, 0, 1: the ratio of the two variances, and Student's t."""
    right = np.array([1, 1, 1, 1, 0, 0, 1, 0], dtype=bool)
    found = interval(right, list("aabbccdd"))
    share = 5 / 8
    between = 4 / 3 * sum((hits - share * 2) ** 2 for hits in (2, 2, 0, 1)) / 8**2
    effect = between / (share * (1 - share) / 8)
    assert effect > 1 + LEAST_CORRELATION
    low, high = wilson_bounds(np.array(share), np.array(8 / effect), float(stats.t.ppf(0.975, 3)))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.how == f"Wilson, design effect {effect:.2f} over 4 subjects"


def test_a_correlation_is_reckoned_with_where_none_can_be_seen() -> None:
    """280 of 280 right, on 40 subjects: any correlation fits, so n counts as 280 / (1 + 6 x least correlation)."""
    names = [f"s{index % 40}" for index in range(280)]
    found = interval(np.ones(280, dtype=bool), names)
    n, z = 280 / (1 + 6 * LEAST_CORRELATION), stats.t.ppf(0.975, 39)
    assert (found.low, found.high) == pytest.approx((n / (n + z * z), 1))
    assert found.how == "Wilson, design effect 1.60 over 40 subjects"
    assert wilson(280, 280).low > found.low


def test_the_order_of_answers_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    right, names = rng.random(90) < 0.8, np.array([f"s{each}" for each in rng.integers(0, 15, 90)])
    turned = rng.permutation(90)
    assert interval(right, names.tolist()) == interval(right[turned], names[turned].tolist())
    other = rng.random(90) < 0.7
    assert paired_interval(right, other, names.tolist()) == paired_interval(
        right[turned], other[turned], names[turned].tolist()
    )


def test_more_alike_answers_and_fewer_subjects_tell_less() -> None:
    right = np.array([True] * 70 + [False] * 20)
    alike = [f"s{index // 9}" for index in range(90)]
    mixed = [f"s{index % 10}" for index in range(90)]
    few = [f"s{index % 3}" for index in range(90)]
    widths = [
        found.high - found.low
        for found in (wilson(70, 90), interval(right, mixed), interval(right, alike), interval(right, few))
    ]
    assert widths[0] < widths[1] < widths[2]
    assert widths[1] < widths[3], "three subjects: Student's t with two degrees of freedom"
    nothing = interval(np.array([True] * 9), ["anna"] * 9)
    assert nothing.how == "Wilson, design effect 1.80 over 1 subject" and nothing.low < 0.05


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_levels_widen(level: float) -> None:
    right, names = np.array([True, True, False] * 8), [f"s{index // 3}" for index in range(24)]
    inner, outer = (interval(right, names, level=each) for each in (level - 0.1, level))
    assert outer.low < inner.low < inner.high < outer.high
    assert outer.level == level


def newcombe_by_hand(counts: Sequence[float], z: float) -> tuple[float, float]:
    """Method 10 of the paper, term by term, from its four counts."""
    e, f, g, h = counts
    n = e + f + g + h

    def bounds(x: float) -> tuple[float, float]:
        middle, half = x + z * z / 2, z * math.sqrt(x * (n - x) / n + z * z / 4)
        return (middle - half) / (n + z * z), (middle + half) / (n + z * z)

    p1, p2 = (e + f) / n, (e + g) / n
    (l1, u1), (l2, u2) = bounds(e + f), bounds(e + g)
    product = (e + f) * (g + h) * (e + g) * (f + h)
    if product == 0:
        phi = 0.0
    else:
        top = e * h - f * g
        top = top - n / 2 if top > n / 2 else 0.0 if top >= 0 else top
        phi = top / math.sqrt(product)
    low = (p1 - p2) - math.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2)
    high = (p1 - p2) + math.sqrt((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2)
    return low, high


def counted(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a), np.array(b)


@pytest.mark.parametrize(
    "counts", [(36, 12, 2, 0), (53, 0, 1, 0), (0, 30, 5, 15), (20, 1, 1, 28), (0, 29, 1, 0), (5, 20, 20, 5)]
)
def test_newcombes_interval_is_the_papers(counts: tuple[int, int, int, int]) -> None:
    found = newcombe(*counted(*counts))
    assert (found.low, found.high) == pytest.approx(newcombe_by_hand(counts, z=1.959963984540054), abs=1e-12)
    both, only_a, only_b, neither = counts
    turned = newcombe(*counted(both, only_b, only_a, neither))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    difference = (only_a - only_b) / sum(counts)
    assert -1 <= found.low <= difference <= found.high <= 1


def test_newcombes_interval_of_independent_answers_joins_two_wilson_intervals() -> None:
    """Without correlation: the root of the summed squares of the two arms (his method 10 of the unpaired case)."""
    a, b = counted(9, 21, 21, 49)  # exactly independent: 30 % each
    share, bounds = 0.3, wilson(30, 100)
    arm = math.hypot(share - bounds.low, bounds.high - share)
    found = newcombe(a, b)
    assert (found.low, found.high) == pytest.approx((-arm, arm))


def test_the_difference_reckons_with_persons_by_hand() -> None:
    """Twelve subjects with five pairs each: Newcombe's interval of the counts divided by the design effect."""
    rng = np.random.default_rng(0)
    persons = [f"s{index % 12}" for index in range(60)]
    ease = rng.normal(size=12)
    a, b = (np.array([rng.normal() + ease[index % 12] < 0.9 for index in range(60)]) for _ in range(2))
    b &= np.array([index % 12 > 3 for index in range(60)])
    gains = a.astype(int) - b
    d = gains.mean()
    sums = [
        sum(gain - d for gain, name in zip(gains, persons, strict=True) if name == f"s{each}") for each in range(12)
    ]
    effect = (12 / 11 * sum(each**2 for each in sums) / 60**2) / ((np.abs(gains).mean() - d**2) / 60)
    assert effect > 1
    counts = [int(each.sum()) / effect for each in (a & b, a & ~b, ~a & b, ~a & ~b)]
    found = paired_interval(a, b, persons, what="faces")
    assert (found.low, found.high) == pytest.approx(newcombe_by_hand(counts, z=stats.t.ppf(0.975, 11)))
    assert found.how == f"Newcombe, design effect {effect:.2f} over 12 faces"
    assert paired_interval(a, b, [str(index) for index in range(60)]) == newcombe(a, b)


def test_uar_by_hand() -> None:
    """Two classes of 6 and 2: weights 1/12 and 1/4, so n counts as 1 / (6/144 + 2/16) = 6."""
    right = np.array([1, 1, 1, 1, 0, 1, 1, 0], dtype=bool)
    truth = np.array([0] * 6 + [3] * 2)
    names = list("aabbccab")
    weight = np.where(truth == 0, 1 / 12, 1 / 4)
    recall = np.where(truth == 0, 5 / 6, 1 / 2)
    uar, n = (5 / 6 + 1 / 2) / 2, 1 / np.square(weight).sum()
    assert n == pytest.approx(6)
    member = {name: np.array([each == name for each in names]) for name in "abc"}
    between = 3 / 2 * sum(((right - recall) * weight)[each].sum() ** 2 for each in member.values())
    least = 1 + LEAST_CORRELATION * (n * sum(weight[each].sum() ** 2 for each in member.values()) - 1)
    effect = max(between / (uar * (1 - uar) / n), least)
    low, high = wilson_bounds(np.array(uar), np.array(n / effect), float(stats.t.ppf(0.975, 2)))
    found = mean_recall_interval(right, truth, names)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_uar_of_classes_alike_is_accuracy() -> None:
    rng = np.random.default_rng(1)
    truth, names = np.arange(84) % 7, [f"s{index // 7}" for index in range(84)]
    right = np.ones(84, dtype=bool)
    right[rng.integers(0, 84, 3)] = False
    of_all, of_classes = interval(right, names), mean_recall_interval(right, truth, names)
    assert (of_classes.low, of_classes.high) == pytest.approx((of_all.low, of_all.high), abs=0.01)
    alone = mean_recall_interval(right[:7], truth[:7], names[:7])
    only = interval(right[:7], names[:7])
    assert (alone.low, alone.high) == pytest.approx((only.low, only.high), abs=0.2)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 6), st.integers(0, 2)), min_size=1, max_size=60))
def test_none_has_zero_width_and_each_holds_its_figure(answers: list[tuple[bool, bool, int, int]]) -> None:
    a, b, person, truth = (np.array(each) for each in zip(*answers, strict=True))
    names = [f"s{each}" for each in person]
    recalls = [a[truth == each].mean() for each in set(truth.tolist())]
    for found, figure, least in (
        (interval(a, names), a.mean(), 0),
        (mean_recall_interval(a, truth, names), np.mean(recalls), 0),
        (paired_interval(a, b, names), a.mean() - b.mean(), -1),
    ):
        assert least <= found.low <= figure + 1e-12 and figure - 1e-12 <= found.high <= 1
        assert found.high - found.low > 1e-6


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 30), st.integers(1, 12), st.data())
def test_a_right_answer_more_from_each_person_lowers_no_bound(persons: int, size: int, data: st.DataObject) -> None:
    """All persons are alike, so the design effect is at its least."""
    hits = data.draw(st.integers(0, size - 1))
    fewer, more = (share_bounds(np.full(persons, each), np.full(persons, size), 0.95) for each in (hits, hits + 1))
    assert fewer[0] <= more[0] and fewer[1] <= more[1]


def test_answers_and_clusters_must_fit() -> None:
    with pytest.raises(ReportError, match="3 answers and 2 clusters do not fit"):
        interval(np.ones(3, dtype=bool), ["a", "b"])
    with pytest.raises(ReportError, match="0 answers"):
        mean_recall_interval(np.ones(0, dtype=bool), np.ones(0, dtype=np.int64), [])
    with pytest.raises(ReportError, match="same questions"):
        paired_interval(np.ones(2, dtype=bool), np.ones(3, dtype=bool), ["a", "b"])


@pytest.mark.parametrize(
    ("how", "old"),
    [
        ("bootstrap over 12 subjects", True),
        ("Wilson, too narrow for several answers on each of only 2 subjects", True),
        ("Wilson", False),
        ("Newcombe, design effect 1.20 over 12 subjects", False),
    ],
)
def test_intervals_of_version_0_1_are_known(how: str, old: bool) -> None:
    assert is_old(Interval(0.5, 0.6, how)) is old
