"""Subset lists: plain ones and public ones."""

import hashlib
from pathlib import Path

import pytest

from occsynth.build.subset import Subset, read_subset, stem_of
from occsynth.databases.record import FaceRecord, Reject, ScanItem
from occsynth.databases.scanning import face_record
from occsynth.errors import BuildError


def subset(tmp_path: Path, text: str | bytes) -> Subset:
    path = tmp_path / "list.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_subset(path)


def record(source: str) -> FaceRecord:
    return face_record(source, "fear")


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("test_0003_aligned 4 1\ntest_0005_aligned 6 0\n", ("Image/aligned/test_0003_aligned.jpg",)),
        ("test_0003_aligned 4 1\ntest_0005_aligned 6 0\n", ("Image/original/test_0003.jpg",)),
        ("3_fer0034220.png 8 0\r\n0_fer0032343.png 8 2\r\n", ("FER2013Test/fer0034220.png", "fer0032343.png")),
        ("L_fer0001234.png\n", ("fer0001234.png",)),
        ("0/fer0032226.jpg\n", ("images/fer0032226.png",)),
        ("val/0/bc9ad400db82eca1882b\nval/7/d0cd477496bf/\n", ("a/d0cd477496bf.jpg", "b/bc9ad400db82eca1882b.JPG")),
        ("one two.png\n# a comment\n\n three \n", ("x/one two.jpg", "three.png")),
        ("face 1 2\nother\n", ("face 1 2.png",)),
        ("a\\b\\c.png\n", ("c.png",)),
        ("S001-003.avi\n", ("Sessions/1/S001-003.avi#frame=0", "Sessions/1/S001-003.avi#frame=9")),
        ("fer2013-row12\n", ("fer2013.csv#row=12",)),
        ("\ufeffa.png\n", ("a.png",)),
    ],
)
def test_entries_meet_their_sources(tmp_path: Path, text: str, sources: tuple[str, ...]) -> None:
    chosen = subset(tmp_path, text)
    others = ("elsewhere/unlisted.png", "Image/aligned/test_0004_aligned.jpg", "fer2013.csv#row=1")
    found = [record(source) for source in (*sources, *others)]
    assert [each.source for each in chosen.chosen(found, set())] == list(sources)


def test_what_is_never_matched_is_reported_in_the_lists_words_and_order(tmp_path: Path) -> None:
    chosen = subset(tmp_path, "test_0009_aligned 4 1\ntest_0003_aligned 4 1\ntest_0001_aligned 4 1\n")
    seen: set[str] = set()
    found: list[ScanItem] = [record("Image/original/test_0003.jpg"), Reject("Image/original/test_0007.jpg", "x")]
    assert list(chosen.chosen(found, seen)) == found[:1]
    assert chosen.unmatched(seen) == ["test_0009_aligned", "test_0001_aligned"]
    rejected = Reject("Image/original/test_0001.jpg", "missing")
    assert list(chosen.chosen([rejected], seen)) == [rejected]
    assert chosen.unmatched(seen) == ["test_0009_aligned"]


def test_a_stem_counts_once_and_the_file_is_named_by_its_bytes(tmp_path: Path) -> None:
    text = "test_0003_aligned 4 1\ntest_0003_aligned 4 2\ntest_0004_aligned 4 2\n"
    chosen = subset(tmp_path, text)
    assert list(chosen.entries) == ["test_0003", "test_0004"]
    assert chosen.sha256 == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"\n\n# nothing\n"])
def test_an_empty_list_is_an_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BuildError, match=r"list.txt names no image; it must be a text file with one .* per line"):
        subset(tmp_path, content)


def test_a_list_that_is_missing_or_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"gone\.txt not found"):
        read_subset(tmp_path / "gone.txt")
    with pytest.raises(BuildError, match="cannot be read as UTF-8 text"):
        subset(tmp_path, b"\xff\xfe\0")


def test_stems() -> None:
    assert stem_of("KA.AN1.39.tiff") == "KA.AN1.39"
    assert stem_of("KA.AN1.39") == "KA.AN1.39"
    assert stem_of("x_fer12") == "fer12"
