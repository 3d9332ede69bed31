"""The small rules that the importers share."""

from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occsynth.databases.codes import Codes
from occsynth.databases.counts import count_check, published_counts
from occsynth.databases.ferplus import VOTES, majority
from occsynth.databases.folds import hashed_fold, subject_folds, with_subject_folds
from occsynth.databases.labels import expression_of, judge
from occsynth.databases.naming import name_fault, pair_id_of
from occsynth.databases.points import points_of_lines, points_of_numbers
from occsynth.databases.record import SEVEN, Database, FaceRecord, LabelOptions, Reject, ScanItem, Variant
from occsynth.databases.scanning import face_record, settle
from occsynth.escapes import printable

SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-/")


@given(st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=60), st.integers(1, 12))
def test_folds_part_the_subjects_evenly(subjects: set[str], count: int) -> None:
    folds = subject_folds(subjects, count)
    ordered = sorted(subjects)
    used = min(count, len(subjects))
    for fold in range(used):
        assert [subject for subject in ordered if folds[subject] == fold] == ordered[fold::used]


def test_folds_need_no_subject_at_all() -> None:
    assert subject_folds([]) == {}
    rejects: list[FaceRecord | Reject] = [Reject("a", "b")]
    assert list(with_subject_folds(rejects)) == rejects


def test_hashed_folds_are_fixed_and_keep_the_faces_of_an_image_together() -> None:
    assert [hashed_fold(f"origin/{number}.jpg") for number in range(6)] == [4, 6, 0, 9, 5, 6]
    assert hashed_fold("a.csv#row=1") == hashed_fold("a.csv#row=2")
    assert {hashed_fold(str(number)) for number in range(200)} == set(range(10))


@pytest.mark.parametrize(
    ("source", "suffix", "pair_id"),
    [
        ("cohn-kanade-images/S005/001/S005_001_00000011.png", "", "cohn-kanade-images/S005/001/S005_001_00000011"),
        ("fer2013.csv#row=12", "", "fer2013-row12"),
        ("Sessions/3/S001-003.avi#frame=57", "", "Sessions/3/S001-003-frame57"),
        ("origin/a.jpg", "-face2", "origin/a-face2"),
        ("KA.AN1.39.tiff", "", "KA.AN1.39"),
    ],
)
def test_pair_ids_follow_from_the_source(source: str, suffix: str, pair_id: str) -> None:
    assert pair_id_of(source, suffix) == pair_id


def test_cleaned_names_stay_apart() -> None:
    names = [
        "a b.png",
        "a_b.png",
        "a?b.png",
        "á.png",
        "é.png",
        "x/é/1.png",
        "x/è/1.png",
        ".hidden.png",
        "n" * 200 + ".png",
    ]
    ids = [pair_id_of(name) for name in names]
    assert len(set(ids)) == len(ids)
    assert ids[1] == "a_b"
    assert ids[0].startswith("a_b-")
    assert ids[7].startswith("_hidden-")
    assert len(ids[8]) < 140


# what `os.fsdecode` gives for bytes that are not UTF-8; the other surrogates are in no file name
UNDECODABLE = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
NAME_CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | UNDECODABLE


@given(st.text(NAME_CHARACTERS, min_size=1, max_size=300))
def test_any_name_gives_a_safe_pair_id(name: str) -> None:
    pair_id = pair_id_of(name + ".png")
    assert set(pair_id) <= SAFE
    assert ".." not in pair_id.split("/")
    assert pair_id == pair_id_of(name + ".png")


@given(st.text(max_size=60))
def test_printable_text_is_one_line_of_utf8(text: str) -> None:
    shown = printable(text + "\udcff")
    assert printable(shown) == shown and len(shown.splitlines()) == 1
    assert all(char.isprintable() or category(char) == "Zs" for char in shown)
    assert "\\udcff" in shown
    shown.encode()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a\udcffb.png", "not UTF-8"),
        ("a\nb.png", "control character"),
        ("a\\b.png", "backslash"),
        ("a#1.png", "'#'"),
        ("a.avi#frame=x", "'#'"),
    ],
)
def test_names_that_no_manifest_can_hold_are_rejects(name: str, fault: str) -> None:
    assert fault in (name_fault(name) or "")
    (item,) = settle([face_record(name, "fear")])
    assert isinstance(item, Reject)
    assert fault in item.reason
    item.source.encode()


def test_usual_names_have_no_fault() -> None:
    assert [name_fault(name) for name in ("a b/é.png", "c.avi#frame=3", "c.csv#row=3")] == [None] * 3


def test_the_second_source_of_one_pair_id_is_a_reject_that_names_the_first() -> None:
    items = list(
        settle([face_record("a/x.png", "fear"), face_record("a/x.jpg", "fear"), face_record("a/x.png", "fear")])
    )
    assert isinstance(items[0], FaceRecord)
    assert items[1] == Reject("a/x.jpg", "it differs from a/x.png only in its ending; that one is used")
    assert items[2] == Reject("a/x.png", "listed a second time; the first entry is used")


def test_a_subject_that_cannot_be_printed_is_a_reject() -> None:
    (item,) = settle([face_record("a.png", "fear", subject="x\ny")])
    assert isinstance(item, Reject)
    assert "subject" in item.reason


def test_class_names() -> None:
    assert [expression_of(word) for word in ("Happy", " ANGRY ", "neural", "Afraid", "contempt", "")] == [
        "happiness",
        "anger",
        "neutral",
        "fear",
        None,
        None,
    ]
    assert judge("x", "Contempt") == Reject("x", "'Contempt' is not one of the seven expressions", by_protocol=True)
    assert judge("x", "confused") == Reject(
        "x",
        "unknown class 'confused'; known are anger, disgust, fear, happiness, neutral, sadness, surprise and their "
        "common synonyms",
    )
    codes = Codes("x", {"1": "sad"}, SEVEN)
    assert [codes.judge("x", code) for code in (" 1 ", "1.0", "01", "Happy")] == [*["sadness"] * 3, "happiness"]
    assert codes.judge("x", "wut") == Reject("x", "unknown label 'wut'; expected one of 1")


@pytest.mark.parametrize(
    ("votes", "winner"),
    [
        ((10, 0, 0, 0, 0, 0, 0, 0, 0, 0), "neutral"),
        ((5, 5, 0, 0, 0, 0, 0, 0, 0, 0), None),  # half is not more than half
        ((5, 3, 1, 1, 0, 0, 0, 0, 0, 0), "neutral"),  # 5 of 8 once single votes are dropped
        ((4, 2, 2, 1, 1, 0, 0, 0, 0, 0), None),  # 4 of 8
        ((1, 1, 1, 1, 1, 1, 1, 1, 1, 1), None),
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 0), None),
        ((0, 0, 0, 0, 0, 0, 0, 0, 3, 2), "unknown"),
        ((0, 0, 0, 0, 0, 2, 0, 1, 0, 0), "disgust"),
    ],
)
def test_majority_of_the_votes(votes: tuple[int, ...], winner: str | None) -> None:
    place = majority(votes)
    assert (None if place is None else VOTES[place]) == winner


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10))
def test_majority_is_what_its_words_say(votes: list[int]) -> None:
    left = {place: vote for place, vote in enumerate(votes) if vote != 1}
    winners = [place for place, vote in left.items() if vote > sum(left.values()) / 2]
    assert majority(votes) == (winners[0] if winners else None)


def test_counts_are_compared_with_both_numbers() -> None:
    assert count_check({"train": 5, "test": 2}, {"train": 5, "test": 2, "val": 9}) == []
    assert count_check({"train": 5, "test": 2}, {"train": 4}) == [
        "train: 5 images are published, 4 were found here",
        "test: 2 images are published, 0 were found here",
    ]
    assert count_check({"total": 6}, {"train": 4, "test": 2}) == []
    assert count_check({"total": 6}, {"total": 5}) == ["total: 6 images are published, 5 were found here"]


def test_a_variant_can_have_counts_of_its_own() -> None:
    variants = (Variant("a", "none", True), Variant("b", "none", True, published={"total": 3}))
    database = Database(
        "x", "x", "x", "x", 48, variants, _no_items, published={"total": 9}, published_contempt={"total": 2}
    )
    assert [published_counts(database, variant) for variant in variants] == [{"total": 9}, {"total": 3}]
    assert [published_counts(database, variant, LabelOptions(8)) for variant in variants] == [{"total": 11}, {}]


def _no_items(root: Path, variant: str, labels: LabelOptions = SEVEN) -> Iterator[ScanItem]:
    return iter(())


@pytest.mark.parametrize("text", [None, "", "1 2\n", "1 2\n3 x\n", "1 2\n3 nan\n", "1 2 3\n4 5 6\n", "1\n2\n3\n4\n"])
def test_malformed_points_are_none(text: str | None) -> None:
    assert points_of_lines(text, 2) is None


def test_points() -> None:
    assert points_of_lines(" 1e0 2\n\n3\t4\n5 6\n", 2) == ((1.0, 2.0), (3.0, 4.0))
    assert points_of_numbers(["1", "2", "3", "4"], 2) == ((1.0, 2.0), (3.0, 4.0))
    assert points_of_numbers(["1", "2", "3"], 2) is None
    assert points_of_numbers(["1", "2", "3", "inf"], 2) is None
