"""predictions.csv there and back, and what metrics.json makes of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from occfer.errors import ReportError
from occfer.metrics.accuracy import basis_line
from occfer.metrics.intervals import wilson
from occfer.metrics.predictions import (
    PAIR_COLUMNS,
    PredictedPair,
    Predictions,
    pooled,
    read_predictions,
    write_predictions,
)
from occfer.metrics.summary import accuracy_line, summarise, summarise_folds, uar_line

CLASSES = ("anger", "fear", "happiness")
RIGHT, WRONG = (0.8, 0.1, 0.1), (0.2, 0.7, 0.1)
PAIR = PredictedPair(
    pair_id="a, with a comma", database="toy", mode="r16", subject="s1", fold=0,
    category="food", coverage_face=0.1, coverage_eyes=0.0, coverage_mouth=None, truth="anger",
)  # fmt: skip


def table(*answers: tuple[PredictedPair, tuple[float, float, float]]) -> Predictions:
    """Each pair with its probabilities."""
    return Predictions(CLASSES, tuple(pair for pair, _ in answers), np.array([each for _, each in answers]))


def people(count: int, right: int, **changes: Any) -> Predictions:
    """One answer on each of `count` people, the first `right` of them right."""
    pairs = [replace(PAIR, pair_id=f"p{index}", subject=f"s{index}", **changes) for index in range(count)]
    return table(*((pair, RIGHT if index < right else WRONG) for index, pair in enumerate(pairs)))


def test_the_table_comes_back_as_it_was(tmp_path: Path) -> None:
    written = table((PAIR, (1 / 3, 1 / 3, 1 / 3)), (replace(PAIR, pair_id="b", fold=None, subject=""), WRONG))
    path = tmp_path / "predictions.csv"
    write_predictions(path, written)
    assert path.read_text().splitlines()[0] == ",".join((*PAIR_COLUMNS, "p_anger", "p_fear", "p_happiness"))
    read = read_predictions(path)
    assert (read.classes, read.pairs) == (written.classes, written.pairs)
    assert np.allclose(read.probabilities, written.probabilities, atol=1e-9)
    assert read.truth.tolist() == [0, 0] and read.right.tolist() == [True, False]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda text: text.replace("truth", "label"), "not a table of predictions"),
        (lambda text: text.replace("p_fear", "fear"), "not a table of predictions"),
        (lambda text: text.replace("p_fear", "p_"), "not a table of predictions"),
        (lambda text: text.replace("p_fear", "p_anger"), "it has no classes, or one of them twice"),
        (lambda text: text.replace("0.8,", ""), "line 2: 12 cells instead of 13"),
        (lambda text: text.replace("anger,0.8", "joy,0.8"), "line 2: the truth 'joy' is not one of the classes anger"),
        (lambda text: text.replace("0.8", "much"), "line 2: a probability is 'much', which is no finite number"),
        (lambda text: text.replace("0.8", "nan"), "line 2: a probability is 'nan', which is no finite number"),
        (lambda text: text.replace("0.8", "inf"), "line 2: a probability is 'inf'"),
        (lambda text: text.replace("0.8", "0.7"), "line 2: the probabilities must sum to 1 .* they sum to 0.9"),
        (lambda text: text.replace("0.8,0.1", "1.8,-0.9"), "line 2: the probabilities must sum to 1 and not be neg"),
        (lambda text: text.replace("s1,0,", "s1,one,"), "line 2: the fold 'one' is no whole number"),
        (lambda text: text.replace("s1,0,", f"s1,{'9' * 5000},"), "line 2: the fold '9{80}' is no whole number"),
        (lambda text: text.replace("food,0.1", "food,nan"), "line 2: coverage_face is 'nan', which is no finite"),
        (lambda text: text.replace("food", "f" * 2**21), "line 2 is longer than"),
        (lambda text: text.splitlines()[0], "holds no predictions"),
        (lambda text: "", "not a table of predictions"),
        (lambda text: text + "\0", "cells instead of 13"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, edit: Callable[[str], str], words: str) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, table((PAIR, RIGHT)))
    path.write_text(edit(path.read_text()))
    with pytest.raises(ReportError, match=words) as raised:
        read_predictions(path)
    assert len(str(raised.value)) < 1000 and "\n" not in str(raised.value)


def test_a_table_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"none\.csv cannot be read"):
        read_predictions(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    with pytest.raises(ReportError, match=r"binary\.csv cannot be read"):
        read_predictions(tmp_path / "binary.csv")


def test_pooling_refuses_what_would_count_twice() -> None:
    one = table((PAIR, RIGHT))
    other = table((replace(PAIR, mode="r8"), WRONG))
    assert pooled([one, other]).right.tolist() == [True, False]
    with pytest.raises(ReportError, match="each pair is tested once"):
        pooled([one, one])
    with pytest.raises(ReportError, match="over anger, fear, happiness and over fear, anger"):
        pooled([one, Predictions(("fear", "anger"), one.pairs, one.probabilities[:, :2])])
    with pytest.raises(ReportError):
        pooled([])


def test_every_number_has_its_n_and_interval() -> None:
    found = summarise(people(10, 7))
    assert (found["n"], found["correct"], found["accuracy"]) == (10, 7, 0.7)
    assert found["interval"] == found["wilson"] == wilson(7, 10).to_json()
    assert found["recall"] == {"anger": 0.7, "fear": None, "happiness": None}
    assert found["confusion"] == [[7, 3, 0], [0, 0, 0], [0, 0, 0]]
    assert found["by_mode"] == {"r16": {"n": 10, "correct": 7, "accuracy": 0.7, "interval": wilson(7, 10).to_json()}}
    assert accuracy_line(found) == "accuracy 0.700, 95 % interval 0.397 to 0.892, n = 10 (Wilson)"


def test_every_interval_counts_several_answers_on_one_person_together() -> None:
    """Also those of UAR, of recalls and of groups."""
    several = pooled([people(10, 10), people(10, 9, mode="r8")])
    found = summarise(several)
    known = [found["interval"], found["uar_interval"], found["recall_interval"]["anger"]]
    known += [found["by_database"]["toy"]["interval"], found["by_coverage"]["eyes"][0]["interval"]]
    assert {each["how"] for each in known} == {"Wilson, design effect 1.10 over 10 subjects"}
    assert found["recall_interval"]["fear"] is None
    assert found["wilson"] == wilson(19, 20).to_json()
    unknown = Predictions(CLASSES, tuple(replace(pair, subject="") for pair in several.pairs), several.probabilities)
    assert summarise(unknown)["interval"]["how"] == "Wilson, design effect 1.10 over 10 faces"
    shown = found["uar_interval"]
    assert uar_line(found).startswith(f"UAR 0.950, 95 % interval {shown['low']:.3f} to {shown['high']:.3f}, macro-F1 ")
    assert basis_line(several.pairs).startswith("n = 20, of 10 subjects; 95 % intervals: Wilson's ")
    assert basis_line(several.pairs[:1]).startswith("n = 1, of 1 subject; ")


def test_modes_come_in_the_order_of_the_papers_tables() -> None:
    parts = [people(2, 1, mode=mode) for mode in ("random", "zoo", "r24", "real", "eyes")]
    assert list(summarise(pooled(parts))["by_mode"]) == ["eyes", "r24", "random", "real", "zoo"]


def test_coverage_is_binned_open_below() -> None:
    covered = (0.0, 0.25, 0.26, 1.0, None)
    answers = [(replace(PAIR, pair_id=str(index), coverage_eyes=each), RIGHT) for index, each in enumerate(covered)]
    found = summarise(table(*answers))["by_coverage"]
    assert [(entry["above"], entry["to"], entry["n"]) for entry in found["eyes"]] == [
        (0.0, 0.0, 1),
        (0.0, 0.25, 1),
        (0.25, 0.5, 1),
        (0.75, 1.0, 1),
    ]
    assert found["mouth"] == []


def test_folds_are_pooled_and_averaged() -> None:
    parts = {0: people(10, 9), 3: people(5, 2, database="other")}
    found = summarise_folds(parts)
    assert (found["n"], found["accuracy"]) == (15, 11 / 15)
    assert found["folds"]["each"]["3"] == {"n": 5, "accuracy": 0.4, "uar": 0.4}
    assert found["folds"]["accuracy"]["mean"] == pytest.approx(0.65)
    assert found["folds"]["accuracy"]["sd"] == pytest.approx(np.std([0.9, 0.4], ddof=1))
    assert found["folds"]["uar"]["n"] == 2
