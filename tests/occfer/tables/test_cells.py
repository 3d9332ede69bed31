"""Cells of a table against numbers worked out by hand: pooling, seeds, paired tests, intervals."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from occfer.metrics.intervals import wilson
from occfer.metrics.predictions import PredictedPair, Predictions
from occfer.metrics.significance import holm, over_seeds
from occfer.tables.cells import MethodPredictions, make_cell, paired_test

WORDS = ("anger", "fear")


def predictions_of(*parts: dict[int | None, str], note: str = "", subjects: int = 0) -> MethodPredictions:
    """One part per seed: fold to a string of right (`1`) and wrong (`0`) answers, of two classes in turn."""
    made = {
        seed: {fold: _predictions(fold, marks, subjects) for fold, marks in part.items()}
        for seed, part in enumerate(parts)
    }
    return MethodPredictions(made, (Path("out/runs/a"), Path("out/runs/b")), note)


def _predictions(fold: int | None, marks: str, subjects: int) -> Predictions:
    pairs = tuple(
        PredictedPair(
            f"f{fold}-{index:03d}", "toy", "r16", f"s{index % subjects}" if subjects else "", fold, "food", 0.1, 0.0,
            0.0, WORDS[index % 2],
        )
        for index in range(len(marks))
    )  # fmt: skip
    truth = np.array([index % 2 for index in range(len(marks))])
    answer = np.where(np.array(list(marks)) == "1", truth, 1 - truth)
    probabilities = np.full((len(marks), 2), 0.25)
    probabilities[np.arange(len(marks)), answer] = 0.75
    return Predictions(WORDS, pairs, probabilities)


def test_accuracy_is_pooled_over_folds_of_unequal_size() -> None:
    cell = make_cell(predictions_of({0: "1111111100", 1: "10"}), 97.8, Path("out/table2"))
    assert (cell.n, cell.correct) == (12, 9)
    assert cell.accuracy == pytest.approx(9 / 12)
    assert cell.folds is not None
    assert cell.folds.mean == pytest.approx(0.65) and cell.folds.n == 2
    assert cell.folds.sd == pytest.approx(np.std([0.8, 0.5], ddof=1))
    assert cell.seeds.each == (0.75,) and cell.seeds.sd is None
    # two classes in turn: wrong are places 8 and 9 of the first fold and 1 of the second
    assert cell.uar == pytest.approx((5 / 6 + 4 / 6) / 2)
    assert cell.ece == pytest.approx(0.0)
    assert (cell.interval.low, cell.interval.high) == (wilson(9, 12).low, wilson(9, 12).high)
    assert cell.paper == 97.8 and cell.runs == ("../runs/a", "../runs/b")


def test_seeds_are_averaged_and_their_answers_about_one_face_are_not_new_faces() -> None:
    first, second = "1" * 30 + "0" * 10, "1" * 20 + "0" * 20
    cell = make_cell(predictions_of({None: first}, {None: second}), None, Path())
    assert (cell.n, cell.correct) == (40, 50)
    assert cell.accuracy == pytest.approx((30 / 40 + 20 / 40) / 2)
    assert cell.seeds.sd == pytest.approx(np.std([0.75, 0.5], ddof=1))
    assert cell.folds is None
    assert cell.interval.how == "Wilson, design effect 1.50 over 40 faces"
    too_sure = wilson(50, 80)
    assert cell.interval.high - cell.interval.low > too_sure.high - too_sure.low


def test_the_interval_goes_by_subject_where_there_are_some() -> None:
    cell = make_cell(predictions_of({0: "1" * 30 + "0" * 10}, subjects=12), None, Path())
    assert cell.interval.how == "Wilson, design effect 1.24 over 12 subjects"


def test_mcnemar_by_hand() -> None:
    """Of 12 faces one method alone knows 7, the other alone 1: p = 2 P(X <= 1 | 8, 1/2) = 18 / 256."""
    ours, theirs = "111111110011", "000000011011"
    test = paired_test(predictions_of({0: ours[:5], 1: ours[5:]}), predictions_of({0: theirs[:5], 1: theirs[5:]}))
    assert test is not None
    assert (test.only_this, test.only_other) == (7, 1)
    assert test.p == pytest.approx(18 / 256) == pytest.approx(2 * binom.cdf(1, 8, 0.5))


def test_methods_are_tested_on_the_images_that_both_were_tested_on() -> None:
    test = paired_test(predictions_of({0: "1111", 1: "11"}), predictions_of({0: "0000"}))
    assert test is not None and (test.only_this, test.only_other) == (4, 0)
    assert paired_test(predictions_of({0: "11"}), predictions_of({1: "11"})) is None


def test_several_seeds_give_twice_the_median_of_their_p_values() -> None:
    ours = predictions_of({0: "1" * 8}, {0: "1" * 8}, {0: "1" * 6 + "00"})
    theirs = predictions_of({0: "0" * 8}, {0: "00011111"}, {0: "1" * 6 + "00"})
    p_values = [2 / 2**8, 2 / 2**3, 1.0]
    test = paired_test(ours, theirs)
    assert test is not None
    assert test.p == pytest.approx(2 * sorted(p_values)[1])
    assert (test.only_this, test.only_other) == (11, 0)
    assert over_seeds([0.03]) == 0.03
    assert over_seeds([0.2, 0.4]) == pytest.approx(0.6)
    assert over_seeds([0.9, 0.8, 0.7]) == 1.0


def test_twice_the_median_holds_its_level_however_seeds_depend_on_each_other() -> None:
    """Under no difference p-values are uniform; dependent ones are made by sharing a part."""
    rng = np.random.default_rng(1)
    shared = rng.random(4000)
    for strength in (0.0, 0.5, 1.0):
        each = np.where(rng.random((3, 4000)) < strength, shared, rng.random((3, 4000)))
        found = [over_seeds(column) for column in each.T.tolist()]
        assert np.mean(np.array(found) <= 0.05) <= 0.06


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
