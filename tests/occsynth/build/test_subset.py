"""Subset lists: as much of a path is compared as both sides give, and doubt is said."""

import hashlib
from pathlib import Path

import pytest

from occsynth.build.subset import Choice, Subset, read_subset, stem_of
from occsynth.databases.record import FaceRecord, Reject, ScanItem
from occsynth.databases.scanning import face_record
from occsynth.errors import BuildError


def subset(tmp_path: Path, text: str | bytes, name: str = "list.txt") -> Subset:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_subset(path)


def record(source: str) -> FaceRecord:
    return face_record(source, "fear")


def sources(choice: Choice) -> list[str]:
    return sorted(item.source for item in choice.items)


@pytest.mark.parametrize(
    ("text", "named"),
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
        ("C:\\faces\\b\\c.png\n", ("b/c.png",)),
        ("/data/folder/happy/1.jpg\n", ("happy/1.jpg",)),
        ("./happy/1.jpg\n", ("happy/1.jpg",)),
        ("S001-003.avi\n", ("Sessions/1/S001-003.avi#frame=0", "Sessions/1/S001-003.avi#frame=9")),
        ("fer2013-row12\n", ("fer2013.csv#row=12",)),
        ("fer2013.csv#row=12\n", ("fer2013.csv#row=12",)),
        ("\ufeffa.png\r\nb.png\r\n", ("a.png", "b.png")),
    ],
)
def test_entries_meet_their_sources(tmp_path: Path, text: str, named: tuple[str, ...]) -> None:
    others = ("elsewhere/unlisted.png", "Image/aligned/test_0004_aligned.jpg", "fer2013.csv#row=1")
    found = [record(source) for source in (*named, *others)]
    assert sources(subset(tmp_path, text).choose(found)) == sorted(named)


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("val_set/images/1.jpg", "val_set/images/1.jpg"),
        ("val_set/images/1", "val_set/images/1.jpg"),
        ("happy/1.jpg", "happy/1.jpg"),
        ("HAPPY/1.jpg", None),
        ("angry/1.jpg", None),
        ("images/happy/1.jpg", "happy/1.jpg"),
        ("val_set/happy/1.jpg", "happy/1.jpg"),
        ("val_set/2.jpg", None),
        ("train_set/images/2.jpg", "train_set/images/2.jpg"),
        ("val_set/images/2.jpg", None),
    ],
)
def test_folders_that_are_given_are_compared(tmp_path: Path, entry: str, named: str | None) -> None:
    """A stem that several folders have is told apart by them, and never taken from a folder that is not meant."""
    there = ("train_set/images/1.jpg", "val_set/images/1.jpg", "sad/1.jpg", "happy/1.jpg", "train_set/images/2.jpg")
    choice = subset(tmp_path, f"{entry}\ntrain_set/images/1.jpg\n").choose(map(record, there))
    assert sources(choice) == sorted(filter(None, {"train_set/images/1.jpg", named}))
    assert choice.unmatched == ([] if named else [entry])
    assert not choice.by_name_alone


def test_folders_of_another_release_are_left_out_of_account_and_said(tmp_path: Path) -> None:
    there = ("images/fer01.png", "images/fer02.png", "Manually_Annotated/7/a1.jpg", "Manually_Annotated/1/b2.jpg")
    choice = subset(tmp_path, "0/fer01.jpg\nimages/fer02.jpg\nval/7/a1/\nval/7/b2/\n").choose(map(record, there))
    assert sources(choice) == sorted(there)
    assert choice.by_name_alone == ["0/fer01.jpg", "val/7/a1/", "val/7/b2/"]


@pytest.mark.parametrize(
    ("entries", "word", "several"),
    [
        ("1.jpg", "1.jpg", "happy/1.jpg, sad/1.jpg"),
        ("sad/1.jpg\n1", "1", "happy/1.jpg, sad/1.jpg"),
        ("images/2", "images/2", "train_set/images/2.jpg, val_set/images/2.png"),
        ("7/2.jpg", "7/2.jpg", "train_set/images/2.jpg, val_set/images/2.png"),
    ],
)
def test_an_entry_that_fits_several_files_is_an_error(tmp_path: Path, entries: str, word: str, several: str) -> None:
    there = ("happy/1.jpg", "sad/1.jpg", "train_set/images/2.jpg", "val_set/images/2.png")
    with pytest.raises(BuildError, match=rf"list\.txt: 1 of . entries fit several files each, such as '{word}'") as no:
        subset(tmp_path, entries).choose(map(record, there))
    assert several in str(no.value) and f"as in '{several.partition(',')[0]}'" in str(no.value)


def test_a_whole_path_is_no_ambiguous_entry(tmp_path: Path) -> None:
    assert sources(subset(tmp_path, "1.jpg").choose(map(record, ("sad/1.jpg", "1.jpg")))) == ["1.jpg"]


def test_what_is_never_matched_is_reported_in_the_lists_words_and_order(tmp_path: Path) -> None:
    chosen = subset(tmp_path, "test_0009_aligned 4 1\ntest_0003_aligned 4 1\ntest_0001_aligned 4 1\n")
    found: list[ScanItem] = [record("Image/original/test_0003.jpg"), Reject("Image/original/test_0007.jpg", "x")]
    choice = chosen.choose(found)
    assert choice.items == found[:1]
    assert choice.unmatched == ["test_0009_aligned", "test_0001_aligned"]
    rejected = Reject("Image/original/test_0001.jpg", "missing")
    choice = chosen.choose([*found, rejected])
    assert choice.items == [found[0], rejected]
    assert choice.unmatched == ["test_0009_aligned"]


def test_a_list_that_names_nothing_is_shown_beside_the_databases_names(tmp_path: Path) -> None:
    told = r"list\.txt names nothing in this database: it lists path,label, x1; .* such as happy/1\.jpg, sad/1\.jpg"
    with pytest.raises(BuildError, match=told):
        subset(tmp_path, "path,label\nx1\n").choose(map(record, ("happy/1.jpg", "sad/1.jpg")))


def test_a_place_counts_once_and_the_file_is_named_by_its_bytes(tmp_path: Path) -> None:
    text = "test_0003_aligned 4 1\ntest_0003_aligned 4 2\ntest_0004_aligned 4 2\n"
    chosen = subset(tmp_path, text)
    assert list(chosen.entries.values()) == ["test_0003_aligned", "test_0004_aligned"]
    assert chosen.sha256 == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "happy/1.jpg\nsad/2.jpg\n",
        "happy/1.jpg,happiness\nsad/2.jpg,sadness\n",
        "path,expression\nhappy/1.jpg,happiness\nsad/2.jpg,sadness\n",
        '\ufeffsubject,Path\r\nA,"happy/1.jpg"\r\n\r\nB,sad/2.jpg\r\n',
        "# made by hand\nsource\nhappy/1.jpg\nsad/2.jpg\n",
        "pair_id,source,name\nx,happy/1.jpg,y\nx,sad/2.jpg,y\n",
    ],
)
def test_a_table_is_read_by_its_column(tmp_path: Path, text: str) -> None:
    chosen = subset(tmp_path, text, "list.csv")
    assert list(chosen.entries.values()) == ["happy/1.jpg", "sad/2.jpg"]


@pytest.mark.parametrize("content", [b"", b"\n\n# nothing\n"])
@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
def test_an_empty_list_is_an_error(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(BuildError, match=rf"{name} names no image; it must be a text file with one .* per line"):
        subset(tmp_path, content, name)


@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
def test_a_list_that_is_missing_or_no_list_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match=r"gone\.txt not found"):
        read_subset(tmp_path / "gone.txt")
    for content in (b"\xff\xfe\0", b"x" * (2**20 + 1)):
        with pytest.raises(BuildError, match=name):
            subset(tmp_path, content, name)


def test_stems() -> None:
    assert stem_of("KA.AN1.39.tiff") == "KA.AN1.39"
    assert stem_of("KA.AN1.39") == "KA.AN1.39"
    assert stem_of("x_fer12") == "fer12"
