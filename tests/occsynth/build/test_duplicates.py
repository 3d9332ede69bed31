"""Equal pictures of one database are reported, and what is wrong with them is said."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from occsynth.build.build import build
from occsynth.build.duplicates import Duplicates, across_of, in_words, note_of
from occsynth.build.options import BuildOptions
from occsynth.cli.build import print_build
from occsynth.manifest import Row, open_manifest
from occsynth.pictures.stats import summarise, tables
from tests.occsynth.databases.trees import face_bytes, write
from tests.occsynth.synthetic_build import BLANK


def row(name: str, pixels: str = "p", **cells: str | int | None) -> Row:
    return replace(BLANK, pair_id=name, source=f"{name}.jpg", source_pixels_sha256=pixels, **cells)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "groups", "across"),
    [
        ([row("a"), row("b")], [], {}),
        ([row("a", split="train"), row("b", split="test")], [["a", "b"]], {"split": 1}),
        ([row("b", subject="1"), row("a", subject="2")], [["a", "b"]], {"subject": 1}),
        ([row("a", fold=0), row("b", fold=1), row("c", fold=None)], [["a", "b", "c"]], {"fold": 1}),
        ([row("a", expression="fear"), row("b", expression="anger")], [["a", "b"]], {"expression": 1}),
        ([row("a", "q", fold=0), row("b", "p", fold=1)], [], {}),
        (
            [row("c", "q", fold=0), row("d", "q", fold=1), row("a", fold=0, split="val"), row("b", fold=1)],
            [["a", "b"], ["c", "d"]],
            {"split": 1, "fold": 2},
        ),
    ],
)
def test_groups_differ_in_split_subject_fold_or_expression(
    rows: list[Row], groups: list[list[str]], across: dict[str, int]
) -> None:
    duplicates = Duplicates(sqlite3.connect(""))
    for each in rows:
        duplicates.note(each)
    assert duplicates.groups() == groups
    assert duplicates.across() == across == across_of(note_of(across))


def test_several_faces_of_one_picture_are_no_duplicates() -> None:
    duplicates = Duplicates(sqlite3.connect(""))
    for number, expression in enumerate(("fear", "anger")):
        duplicates.note(replace(row("a", expression=expression), pair_id=f"a-face{number}"))
    assert duplicates.groups() == [] and duplicates.across() == {}


def test_words() -> None:
    assert in_words({"split": 3, "subject": 1, "fold": 2, "expression": 4}) == (
        "3 across splits, 1 of different subjects, 2 across folds, 4 with different labels"
    )
    assert across_of("anything 5, but no note") == {}


def test_one_picture_in_five_classes_is_reported_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for expression in ("anger", "disgust", "fear", "happy", "sad"):
        write(tmp_path / f"raw/{expression}/same.jpg", face_bytes(1, "neutral", side_px=256))
        write(
            tmp_path / f"raw/{expression}/other.jpg",
            face_bytes(2, expression.replace("happy", "happiness").replace("sad", "sadness"), side_px=256),
        )
    options = BuildOptions(db="folder", modes=("r8",), root=tmp_path / "raw", out=tmp_path / "out", workers=1)
    report = build(options)
    group = [f"{name}/same" for name in ("anger", "disgust", "fear", "happy", "sad")]
    manifest = open_manifest(report.manifests[0])
    assert manifest.info.duplicates == [group]
    assert report.duplicates == 1 and report.duplicates_across["expression"] == 1
    assert across_of(manifest.info.notes["duplicates_across"]) == report.duplicates_across
    again = build(options)
    assert again.reused and again.duplicates_across == report.duplicates_across
    print_build(report)
    told = capsys.readouterr()
    assert "1 with different labels; see " in told.out
    assert "warning: 1 group of equal images with different labels: not more than one can be right" in told.err
    facts = {
        name: number for table in tables(summarise(manifest)) if table.title == "Facts" for name, number in table.rows
    }
    assert facts["equal images across splits, subjects, folds or labels"] == "1 groups, 5 rows"
    assert facts["equal images with different labels"] == "1 groups"
