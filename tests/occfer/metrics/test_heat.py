"""Shares of heat by hand, means and their intervals, the table of them, and two networks on the same faces."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from occfer.errors import ReportError
from occfer.metrics.heat import (
    COLUMNS,
    HeatedPair,
    compare_heat,
    heat_groups,
    read_heat,
    share_lines,
    shares,
    write_heat,
)
from occfer.metrics.means import mean_estimate
from occfer.metrics.predictions import PredictedPair

CLASSES = ("anger", "fear")
PAIR = PredictedPair(
    pair_id="p", database="toy", mode="r16", subject="s1", fold=0, category="food", coverage_face=0.1,
    coverage_eyes=0.0, coverage_mouth=None, truth="anger",
)  # fmt: skip


def heated(name: str, face: float | None, heat: float | None, subject: str = "s1", mode: str = "r16") -> HeatedPair:
    return HeatedPair(replace(PAIR, pair_id=name, subject=subject, mode=mode), "anger", "anger", 0.75, face, heat)


FOUR = (
    heated("p1", 0.1, 0.3, "s1"),
    heated("p2", 0.2, 0.2, "s2", "eyes"),
    heated("p3", 0.4, None, "s2", "eyes"),
    heated("p4", None, None, "s3"),
)


def test_shares_by_hand() -> None:
    heat = np.array([[1, 2], [3, 4]], dtype=np.float32)
    mask = np.array([[0, 127], [128, 255]], dtype=np.uint8)
    assert shares(heat, mask) == (0.5, 0.7)
    assert shares(heat, np.zeros((2, 2), dtype=np.uint8)) == (None, None)
    assert shares(np.zeros((2, 2), dtype=np.float32), mask) == (0.5, None)


def test_groups_by_hand() -> None:
    total, *rest = heat_groups(FOUR)
    assert (total.n, total.cold) == (2, 1)
    assert total.share_of_heat == pytest.approx(0.25) and total.share_of_face == pytest.approx(0.15)
    assert total.ratio == pytest.approx(5 / 3)
    assert total.difference is not None and total.difference.mean == pytest.approx(0.1)
    modes = {group.label: (group.n, group.cold) for group in rest if group.by == "mode"}
    assert modes == {"eyes": (1, 1), "r16": (1, 0)}
    lines = share_lines(total, without_occluder=1)
    assert lines[0].startswith("25.0 % of the heat lies inside the occluder, which has 15.0 % of the face, 1.67 times")
    assert "Student's t over 2 subjects" in lines[1] and lines[1].endswith("n = 2")
    assert lines[2] == "left out: 1 without any heat, 1 without an occluder"
    (nothing, *_) = heat_groups(FOUR[2:])
    assert (nothing.n, nothing.cold, nothing.ratio, nothing.difference) == (0, 1, None, None)
    assert share_lines(nothing, 1)[0] == "no shares: none of the pairs has both an occluder and heat"


def test_two_networks_on_the_same_faces() -> None:
    """Only what both explained counts, joined by name; a face without heat of one of them is left out and said."""
    b = [
        heated("p3", 0.4, 0.1, mode="eyes"), heated("p2", 0.2, 0.6, mode="eyes"), heated("p1", 0.1, 0.4),
        heated("p1", 0.1, 0.9, mode="eyes"),
    ]  # fmt: skip
    found = compare_heat(FOUR, b)
    assert found is not None and found.left_out == 1
    assert (found.a, found.b, found.share_of_face) == pytest.approx((0.25, 0.5, 0.15))
    assert found.difference.n == 2 and found.difference.mean == pytest.approx(-0.25)
    assert compare_heat(FOUR[3:], b) is None and compare_heat([], b) is None


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    pairs = (*FOUR, heated("=p5", 1 / 3, 2 / 7))
    path = tmp_path / "heat.csv"
    write_heat(path, pairs)
    found = read_heat(path, CLASSES)
    assert found[:4] == FOUR
    assert found[4].pair == pairs[4].pair and found[4].share_of_heat == pytest.approx(2 / 7)
    write_heat(path, found)
    assert read_heat(path, CLASSES) == found


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("share_of_heat", "heat", "is not a table of heat: its columns are"),
        ("0.75,0.1,0.3", "0.75,0.1,1.3", "line 2: 1.3 is no share"),
        ("0.75,0.1,0.3", "0.75,,0.3", "line 2: a probability or a share of the face is missing"),
        ("0.75,0.1,0.3", ",0.1,0.3", "line 2: a probability or a share of the face is missing"),
        ("0.75,0.1,0.3", "0.75,0.1,nan", "line 2: a share is 'nan', which is no finite number"),
        ("0.75,0.1,0.3", "0.75,0.1", "line 2: 19 cells instead of"),
        ("anger,anger,anger,0.75,0.1,0.3", "anger,joy,anger,0.75,0.1,0.3", "line 2: 'joy' is not one of the classes"),
        ("p2", "p1", None),
    ],
)
def test_a_damaged_table_names_its_line(old: str, new: str, told: str | None, tmp_path: Path) -> None:
    path = tmp_path / "heat.csv"
    write_heat(path, [heated("p1", 0.1, 0.3), heated("p2", 0.1, 0.2)])
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ReportError, match=(told or "holds a pair twice").replace("19", str(len(COLUMNS) - 1))):
        read_heat(path, CLASSES)


def test_single_faces_are_students_own_test() -> None:
    values = np.random.default_rng(0).normal(0.05, 0.1, 12)
    found = mean_estimate(values, [f"s{place}" for place in range(12)])
    expected = ttest_1samp(values, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_faces_of_one_person_tell_about_that_person() -> None:
    one = mean_estimate(np.array([0.1, 0.2, 0.3]), ["s"] * 3)
    assert one.mean == pytest.approx(0.2)
    assert (one.interval.low, one.interval.high, one.p) == (-1, 1, 1)
    # a copy of each face tells nothing new
    values, persons = np.array([0.1, 0.3, 0.2, 0.0]), ["a", "b", "c", "d"]
    once, twice = mean_estimate(values, persons), mean_estimate(np.tile(values, 2), persons * 2)
    assert (once.interval.low, once.interval.high, once.p) == pytest.approx(
        (twice.interval.low, twice.interval.high, twice.p)
    )
    alike = mean_estimate(np.full(4, 0.25), persons)
    assert (alike.mean, alike.interval.low, alike.interval.high, alike.p) == (0.25, 0.25, 0.25, 0.0)


@pytest.mark.parametrize("persons", [4, 8, 30])
def test_intervals_hold_the_truth_as_often_as_they_say(persons: int) -> None:
    """People differ, and have between one and nine faces each."""
    rng, runs, held = np.random.default_rng(persons), 1000, 0
    for _ in range(runs):
        person_of = np.repeat(np.arange(persons), rng.integers(1, 10, persons))
        values = 0.1 + rng.normal(0, 0.08, persons)[person_of] + rng.normal(0, 0.1, len(person_of))
        interval = mean_estimate(values, [str(each) for each in person_of]).interval
        held += interval.low <= 0.1 <= interval.high
    assert 0.91 < held / runs < 0.98


def test_values_need_persons() -> None:
    for values, persons in (([], []), ([0.1], ["a", "b"])):
        with pytest.raises(ReportError, match="do not fit: each value needs one"):
            mean_estimate(np.array(values), persons)
