"""Fold lists of one's own: by subject or by image, as lines, as a table, as a folder with a list per fold."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.build.fold_list import read_fold_list
from occsynth.databases import DATABASES
from occsynth.databases.record import FaceRecord, Reject
from occsynth.databases.scanning import face_record
from occsynth.errors import BuildError
from tests.occsynth.databases.coded_trees import ck_plus_labels
from tests.occsynth.databases.trees import write

TOP = "cohn-kanade-images"


def by_subject(root: Path) -> Path:
    return write(root / "my folds.txt", "\ufeff# mine\r\nS001 0\r\ns002\t1\r\nS003  1\r\n".encode())


def by_image(root: Path) -> Path:
    lines = [f"{s}/001/{s}_001_{frame:08d}.png {fold}" for s, fold in FOLDS.items() for frame in (1, 2)]
    return write(root / "my folds.txt", "\n".join(lines))


def table_by_subject(root: Path) -> Path:
    return write(root / "my folds.csv", "Subject,note,Fold\nS001,x,0\nS002,,1\nS003,,1\n")


def table_by_image(root: Path) -> Path:
    lines = [f"{fold},{s}_001_{frame:08d}.png" for s, fold in FOLDS.items() for frame in (1, 2)]
    return write(root / "my folds.csv", "\n".join(["fold,path", *lines]))


def folder_of_lists(root: Path) -> Path:
    """As the lists of networks that are trained with Caffe: a path and its label."""
    for fold in (0, 1):
        here = [s for s, number in FOLDS.items() if number == fold]
        lines = [f"{s}/001/{s}_001_{frame:08d}.png {label}" for s in here for frame, label in ((1, 0), (2, 3))]
        write(root / f"my folds/test_fold{fold}.list", "\n".join(lines))
        write(root / f"my folds/train_fold{fold}.list", "no matter")
    write(root / "my folds/README", "no number")
    write(root / "my folds/._test_fold1.list", b"\0")
    return root / "my folds"


FOLDS = {"S001": 0, "S002": 1, "S003": 1}
FORMS = (by_subject, by_image, table_by_subject, table_by_image, folder_of_lists)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    ck_plus_labels(tmp_path / "raw", ["1", "3", "7"])
    return tmp_path / "raw"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_folds(form: Callable[[Path], Path], tmp_path: Path, raw: Path) -> None:
    folds = read_fold_list(form(tmp_path))
    assert folds.name == "my_folds"
    items, unmatched = folds.applied(DATABASES["ck+"].scan(raw, "default"))
    assert not unmatched
    found = {item.source: (item.subject, item.fold) for item in items if isinstance(item, FaceRecord)}
    assert len(found) == 6 and set(found.values()) == set(FOLDS.items())


def test_images_of_no_entry_are_rejects_by_protocol_and_entries_of_no_image_are_named(
    tmp_path: Path, raw: Path
) -> None:
    folds = read_fold_list(write(tmp_path / "folds.txt", "S001 4\nS003 2\nS999 1\n"))
    items, unmatched = folds.applied(DATABASES["ck+"].scan(raw, "default"))
    assert unmatched == ["S999"]
    assert {item.fold for item in items if isinstance(item, FaceRecord)} == {4, 2}
    assert [item for item in items if isinstance(item, Reject)] == [
        Reject(f"{TOP}/S002/001/S002_001_{frame:08d}.png", "not in the fold list folds.txt", by_protocol=True)
        for frame in (1, 2)
    ]


BAD = {
    "two folds of a name": ("a.txt", "S001 1\nS001 2\n", r"S001 is in the folds 1 and 2"),
    "no fold": ("a.txt", "S001\n", r"'S001' is not of the form 'name fold', such as 'S005 3'"),
    "a fold that is none": ("a.txt", "S001 one\n", r"'S001 one' is not of the form"),
    "a large fold": ("a.txt", "S001 1000\n", r"is not of the form"),
    "below zero": ("a.txt", "S001 -1\n", r"is not of the form"),
    "nothing": ("a.txt", "\n# x\n", r"names nothing; it must hold lines `name fold`"),
    "not text": ("a.txt", b"\xff\xfeS\0", r"cannot be read as UTF-8 text"),
    "other columns": (
        "a.csv",
        "image_id,fold\nx,1\n",
        r"has the columns image_id, fold; it needs fold, and one of path",
    ),
    "a table without folds": ("a.csv", "path,split\nx,1\n", r"has the columns path, split; it needs fold"),
    "a cell that is no fold": ("a.csv", "path,fold\nx,y\n", r"line 2: it has no name or no fold from 0 to 999"),
    "a short line": ("a.csv", "path,fold\nx\n", r"line 2: it has no name"),
}


@pytest.mark.parametrize(("name", "content", "said"), BAD.values(), ids=BAD)
def test_a_list_that_cannot_be_used_is_one_error(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(BuildError, match=said) as refused:
        read_fold_list(write(tmp_path / name, content))
    assert str(tmp_path) in str(refused.value) and str(refused.value).startswith("--folds ")


def test_a_list_that_is_missing_or_an_empty_folder_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="not found; it must hold lines"):
        read_fold_list(tmp_path / "none.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BuildError, match="names nothing"):
        read_fold_list(tmp_path / "empty")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "S001_001_00000001.png 1\nS001_001_00000002.png 2\n",
            r"subject S001 is in the folds 1 and 2; each person must",
        ),
        (
            "S001/001/S001_001_00000001.png 1\nS001_001_00000001.png 2\n",
            r"S001_001_00000001.png is in the folds 1 and 2",
        ),
        ("nobody.png 1\n", r"--folds .*folds.txt names nothing in this database"),
    ],
)
def test_a_list_that_does_not_fit_the_images_is_one_error(tmp_path: Path, raw: Path, text: str, said: str) -> None:
    folds = read_fold_list(write(tmp_path / "folds.txt", text))
    with pytest.raises(BuildError, match=said):
        folds.applied(DATABASES["ck+"].scan(raw, "default"))


def test_a_database_with_an_official_split_takes_no_folds(tmp_path: Path) -> None:
    folds = read_fold_list(write(tmp_path / "folds.txt", "a.png 1\n"))
    with pytest.raises(BuildError, match=r"--folds .*: a.png is in the official split train; leave it out"):
        folds.applied([face_record("a.png", "fear", split="train")])


def test_the_digest_follows_what_a_list_says_and_not_how(tmp_path: Path) -> None:
    said = {read_fold_list(form(tmp_path / form.__name__)).sha256 for form in (by_subject, table_by_subject)}
    assert len(said) == 2, "one of them has a small letter"
    plain = write(tmp_path / "a.txt", "S001 0\nS002 1\n")
    assert (
        read_fold_list(plain).sha256 == read_fold_list(write(tmp_path / "b.csv", "subject,fold\nS002,1\nS001,0")).sha256
    )


@settings(max_examples=150, deadline=None)
@given(content=st.lists(st.sampled_from(["S001", " ", "\t", "1", "\n", ",", "path", "fold", '"', "\0", "\ufeff", "é"])))
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "f/1.txt"])
def test_no_text_ends_in_anything_but_one_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: list[str]
) -> None:
    path = write(tmp_path_factory.mktemp("folds") / name, "".join(content))
    try:
        folds = read_fold_list(path.parent if "/" in name else path)
        assert all(0 <= fold < 1000 for fold in folds.folds.values())
    except BuildError as error:
        assert str(error).startswith(("--folds", str(path)))
