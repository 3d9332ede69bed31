"""Metrics and statistics against sums by hand, scikit-learn and scipy."""

import math
import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn import metrics as theirs

from occfer.errors import ReportError
from occfer.metrics.averages import mean_and_sd
from occfer.metrics.measures import measure, reliability
from occfer.metrics.significance import MCNEMAR, holm, paired_outcome, sign_flip_p

# three classes; answers 0 0 1 1 2 0
TRUTH = np.array([0, 0, 0, 1, 2, 2])
PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0],
        [0.6, 0.2, 0.2],
        [0.1, 0.8, 0.1],
        [0.0, 1.0, 0.0],
        [0.3, 0.3, 0.4],
        [0.5, 0.1, 0.4],
    ]
)


def random_answers(seed: int, n: int = 200, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, n), rng.dirichlet(np.ones(classes), n)


def test_a_table_by_hand() -> None:
    found = measure(TRUTH, PROBABILITIES)
    assert (found.n, found.correct, found.accuracy) == (6, 4, 4 / 6)
    assert found.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert found.recall == pytest.approx([2 / 3, 1, 1 / 2])
    assert found.uar == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    # F1 = 2 tp / (2 tp + fp + fn): 4/6, 2/3, 2/3
    assert found.macro_f1 == pytest.approx((4 / 6 + 2 / 3 + 2 / 3) / 3)
    assert found.loss == pytest.approx(-np.log([0.9, 0.6, 0.1, 1.0, 0.4, 0.4]).mean())


def test_calibration_by_hand() -> None:
    found = reliability(TRUTH, PROBABILITIES, bins=5)
    # confidences .9 .6 .8 1 .4 .5; bins are open below: .4 lies in (.2,.4], .8 in (.6,.8]
    assert found.n.tolist() == [0, 1, 2, 1, 2]
    assert found.confidence[1:] == pytest.approx([0.4, 0.55, 0.8, 0.95])
    assert found.accuracy[1:] == pytest.approx([1, 0.5, 0, 1])
    assert math.isnan(found.accuracy[0])
    assert found.ece == pytest.approx((1 * 0.6 + 2 * 0.05 + 1 * 0.8 + 2 * 0.05) / 6)


@pytest.mark.parametrize("seed", range(3))
def test_calibration_by_a_slow_sum(seed: int) -> None:
    """Eq. 3 of Guo et al., answer by answer and bin by bin; confidences on an edge belong to the bin below."""
    truth, probabilities = random_answers(seed, n=90)
    probabilities[:8] = np.array([0.4, 0.3, 0.1, 0.1, 0.1])  # 0.4 = 6 / 15
    total = 0.0
    for number in range(1, 16):
        inside = [i for i in range(90) if (number - 1) / 15 < max(probabilities[i]) <= number / 15]
        right = sum(int(np.argmax(probabilities[i])) == truth[i] for i in inside)
        total += abs(right - sum(max(probabilities[i]) for i in inside)) / 90
    found = reliability(truth, probabilities)
    assert found.ece == pytest.approx(total)
    assert np.bincount(found.bin_of, minlength=15).tolist() == found.n.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_mcnemar_is_the_sum_of_both_tails(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.random(60) < 0.8, rng.random(60) < 0.6
    each_alone = [str(number) for number in range(60)]
    found = paired_outcome(a, b, each_alone)
    assert found.how == MCNEMAR
    n = found.only_a + found.only_b
    least = min(found.only_a, found.only_b)
    tail = sum(math.comb(n, k) for k in range(least + 1)) / 2**n
    assert found.p_value == pytest.approx(min(1, 2 * tail))
    turned = paired_outcome(b, a, each_alone)
    assert (turned.only_a, turned.only_b, turned.p_value) == (found.only_b, found.only_a, found.p_value)


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=10))
def test_sign_flips_count_every_choice_of_signs(differences: list[int]) -> None:
    found = abs(sum(differences))
    sums = [sum(signs) for signs in product(*((each, -each) for each in differences))]
    expected = sum(abs(each) >= found for each in sums) / len(sums)
    assert sign_flip_p(np.array(differences)) == pytest.approx(expected, rel=1e-12)


def test_sign_flips_of_many_people_take_no_time_and_do_not_fall_to_zero() -> None:
    many = np.concatenate([np.ones(40_000, dtype=np.int64), -np.ones(39_000, dtype=np.int64), np.arange(50)])
    assert 0 < sign_flip_p(many) < 1e-8
    alike = np.repeat(np.array([3, -3]), [60, 40])  # only the signs of a hundred people count
    assert sign_flip_p(alike) == pytest.approx(2 * binom.cdf(40, 100, 0.5), rel=1e-12)
    assert sign_flip_p(np.zeros(5, dtype=np.int64)) == sign_flip_p(np.zeros(0, dtype=np.int64)) == 1


def test_a_person_is_one_throw_of_a_coin_however_many_pictures_there_are() -> None:
    """Ten people, 28 pairs each; A is right about all pairs of nine of them, and B about those of the tenth."""
    right_a = np.repeat([True] * 9 + [False], 28)
    found = paired_outcome(right_a, ~right_a, [f"s{number // 28}" for number in range(280)])
    assert (found.only_a, found.only_b, found.how) == (252, 28, "exact sign flips by subject")
    assert found.p_value == pytest.approx(22 / 1024)
    assert paired_outcome(right_a, ~right_a, list(map(str, range(280)))).p_value < 1e-40
    assert paired_outcome(right_a, ~right_a, ["a"] * 280, "faces").how == "exact sign flips by face"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.999))
def test_holm_rejects_step_by_step(p_values: list[float], level: float) -> None:
    """As the paper words it: the smallest against level / m, the next against level / (m - 1), until one is above."""
    rejected = [False] * len(p_values)
    for step, index in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        adjusted = (len(p_values) - step) * p_values[index]
        if adjusted > level:
            break
        rejected[index] = True
    assert [each <= level for each in holm(p_values)] == rejected


@pytest.mark.parametrize("seed", range(3))
def test_against_scikit_learn(seed: int) -> None:
    truth, probabilities = random_answers(seed)
    answers = probabilities.argmax(axis=1)
    found = measure(truth, probabilities)
    assert found.accuracy == pytest.approx(theirs.accuracy_score(truth, answers))
    assert found.uar == pytest.approx(theirs.balanced_accuracy_score(truth, answers))
    assert found.macro_f1 == pytest.approx(theirs.f1_score(truth, answers, average="macro"))
    assert found.recall == pytest.approx(theirs.recall_score(truth, answers, average=None))
    assert found.confusion.sum() == found.n == len(truth)


def test_a_class_that_does_not_occur_is_left_out_of_the_means() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure(np.array([0, 1]), probabilities)
    assert (found.uar, found.macro_f1, found.accuracy) == (1, 1, 1)
    assert math.isnan(found.recall[2])


def test_perfect_calibration_and_perfect_overconfidence() -> None:
    sure = np.tile([1.0, 0.0], (10, 1))
    assert measure(np.zeros(10, dtype=np.int64), sure).ece == 0
    assert measure(np.ones(10, dtype=np.int64), sure).ece == 1


@pytest.mark.parametrize(
    ("truth", "probabilities", "words"),
    [
        ([], np.empty((0, 3)), "nothing to measure"),
        ([0], [[0.5, 0.4, 0.0]], "prediction 0 .* do not sum to 1"),
        ([0, 1], [[1.0, 0.0], [np.nan, 1.0]], "prediction 1 .* do not sum to 1"),
        ([2], [[0.5, 0.5]], "truths run from 2 to 2, classes from 0 to 1"),
        ([0, 1], [[0.5, 0.5]], "do not fit"),
    ],
)
def test_what_cannot_be_measured(truth: list[int], probabilities: list[list[float]], words: str) -> None:
    with pytest.raises(ReportError, match=words):
        measure(np.array(truth, dtype=np.int64), np.asarray(probabilities))


def test_mcnemar_by_hand() -> None:
    right_a = np.array([True] * 9 + [False] * 1 + [True] * 5)
    right_b = np.array([False] * 9 + [True] * 1 + [True] * 5)
    alone = list("abcdefghijklmno")
    found = paired_outcome(right_a, right_b, alone)
    assert (found.only_a, found.only_b) == (9, 1)
    # two tails of ten throws of a coin: 2 (1 + 10) / 1024
    assert found.p_value == pytest.approx(22 / 1024)
    assert paired_outcome(right_a, right_a, alone).p_value == 1
    with pytest.raises(ReportError, match="answers to the same questions"):
        paired_outcome(right_a, right_b[:-1], alone)
    with pytest.raises(ReportError, match="answers to the same questions"):
        paired_outcome(right_a, right_b, alone[:-1])


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .06, never smaller than the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_and_bonferroni_correction(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for raw, new in zip(p_values, adjusted, strict=True):
        assert raw <= new <= min(1, len(p_values) * raw) or math.isclose(new, min(1, len(p_values) * raw))
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


def test_mean_and_deviation() -> None:
    found = mean_and_sd([0.7, 0.8, 0.9])
    assert found.mean == pytest.approx(0.8)
    assert found.sd == pytest.approx(0.1)
    assert found.n == 3
    assert mean_and_sd([0.5]).sd is None
    with pytest.raises(ReportError):
        mean_and_sd([])
