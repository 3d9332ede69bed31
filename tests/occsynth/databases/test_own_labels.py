"""Databases of one's own with label schemes of one's own: numbered folders, lists of paths, folds in a table."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.databases import DATABASES, LabelOptions
from occsynth.databases.labels import parse_scheme
from occsynth.databases.record import SEVEN, FaceRecord, Reject
from occsynth.errors import DatabaseLayoutError
from occsynth.escapes import printable
from tests.occsynth.databases.trees import put, write

RAF = LabelOptions(scheme=parse_scheme("1=surprise,2=fear,3=disgust,4=happiness,5=sadness,6=anger,7=neutral"))
WORDS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
NUMBERS = tuple("1234567")


def records_of(root: Path, labels: LabelOptions = RAF) -> list[FaceRecord]:
    return [item for item in DATABASES["folder"].scan(root, "cropped", labels) if isinstance(item, FaceRecord)]


def rejects_of(root: Path, labels: LabelOptions = RAF) -> list[Reject]:
    return [item for item in DATABASES["folder"].scan(root, "cropped", labels) if isinstance(item, Reject)]


def class_folders(root: Path, labels: Sequence[str]) -> None:
    for label in labels:
        put(root / f"{label}/a {label}.png", side_px=16)


def split_folders(root: Path, labels: Sequence[str]) -> None:
    for split in ("Train", "test"):
        class_folders(root / split, labels)


def one_list(root: Path, labels: Sequence[str]) -> None:
    for number in range(len(labels)):
        put(root / f"faces/a b {number}.png", side_px=16)
    write(root / "labels.txt", "\n".join(f"faces/a b {number}.png {label}" for number, label in enumerate(labels)))


def split_lists(root: Path, labels: Sequence[str]) -> None:
    for split in ("train_list", "val", "Test"):
        one_list(root / split[:4], labels)
        (root / f"{split[:4]}/labels.txt").unlink()
        lines = [f"{split[:4]}/faces/a b {number}.png\t{label}" for number, label in enumerate(labels)]
        write(root / f"{split}.txt", "\r\n".join(lines) + "\r\n")


def table(root: Path, labels: Sequence[str]) -> None:
    for number in range(len(labels)):
        put(root / f"{number}.png", side_px=16)
    write(root / "labels.csv", "\n".join(["path,expression", *(f"{n}.png,{each}" for n, each in enumerate(labels))]))


TREES: list[tuple[Callable[[Path, Sequence[str]], None], int, set[str]]] = [
    (class_folders, 1, {""}),
    (split_folders, 2, {"train", "test"}),
    (one_list, 1, {""}),
    (split_lists, 3, {"train", "val", "test"}),
    (table, 1, {""}),
]


@pytest.mark.parametrize(("tree", "times", "splits"), TREES, ids=[case[0].__name__ for case in TREES])
@pytest.mark.parametrize(
    "labels", [NUMBERS, WORDS, tuple(word.title() for word in WORDS)], ids=["codes", "words", "Words"]
)
def test_codes_and_words_give_their_classes(
    tree: Callable[[Path, Sequence[str]], None], times: int, splits: set[str], labels: Sequence[str], tmp_path: Path
) -> None:
    tree(tmp_path, labels)
    records = records_of(tmp_path)
    assert sorted(record.expression for record in records) == sorted(WORDS * times)
    assert {record.split for record in records} == splits
    assert all((record.fold is None) == bool(record.split) for record in records)
    if labels is WORDS:
        assert records_of(tmp_path, SEVEN) == records, "words need no scheme"


@pytest.mark.parametrize("tree", [case[0] for case in TREES])
@pytest.mark.parametrize("by", [-1, 1])
def test_codes_that_are_shifted_by_one_are_refused(
    tree: Callable[[Path, Sequence[str]], None], by: int, tmp_path: Path
) -> None:
    tree(tmp_path, [str(int(code) + by) for code in NUMBERS])
    with pytest.raises(DatabaseLayoutError, match=r"folder: label \d .* is outside the scheme .* look shifted"):
        records_of(tmp_path)


@pytest.mark.parametrize("tree", [case[0] for case in TREES])
def test_numbers_without_a_scheme_say_what_to_type(tree: Callable[[Path, Sequence[str]], None], tmp_path: Path) -> None:
    tree(tmp_path, NUMBERS)
    if "folders" in tree.__name__:
        with pytest.raises(
            DatabaseLayoutError, match=r"folders 1, 2, .*; say which class each number means with --lab"
        ):
            records_of(tmp_path, SEVEN)
        return
    assert not records_of(tmp_path, SEVEN)
    assert {reject.reason for reject in rejects_of(tmp_path, SEVEN)} == {
        f"'{code}' is a number; say what it means, such as --labels {code}=happy" for code in NUMBERS
    }


def test_words_of_ones_own_may_be_explained(tmp_path: Path) -> None:
    class_folders(tmp_path, ("Freude", "Wut", "happy"))
    labels = LabelOptions(scheme=parse_scheme("freude=happy,wut=angry"))
    assert sorted(record.expression for record in records_of(tmp_path, labels)) == ["anger", "happiness", "happiness"]
    assert [reject.source for reject in rejects_of(tmp_path, LabelOptions(scheme=parse_scheme("freude=happy")))] == [
        "Wut/a Wut.png"
    ]


def test_a_list_has_one_reject_for_each_line_that_cannot_be_used(tmp_path: Path) -> None:
    one_list(tmp_path, NUMBERS)
    with (tmp_path / "labels.txt").open("ab") as file:
        file.write(
            b"\nfaces/gone.png 3\nalone\n\nfaces/a b 0.png 4\n../../etc/x.png 2\n\xff.png 1\nfaces/a b 1.png wut\n"
        )
    assert len(records_of(tmp_path)) == 7
    reasons = sorted(reject.reason for reject in rejects_of(tmp_path))
    assert reasons == [
        "'alone' is not of the form 'folder/name.jpg 3'",
        "listed a second time; the first entry is used",
        "listed, but its name is not UTF-8; rename it",
        "listed, but leads out of the root, so it is not read",
        "listed, but missing",
        "unknown label 'wut'; expected one of 1, 2, 3, 4, 5, 6, 7",
    ]


@pytest.mark.parametrize(
    "line", ["a b.png 3", "a b.png\t3", "a b.png, 3", "a b.png;3;x", "a b.png 3 0.9 1", "a b.PNG 3"]
)
def test_how_a_line_may_be_written(line: str, tmp_path: Path) -> None:
    put(tmp_path / "a b.png", side_px=16)
    (tmp_path / "a b.PNG").write_bytes((tmp_path / "a b.png").read_bytes())
    write(tmp_path / "labels.txt", f"\ufeff{line}\r\n")
    assert [record.expression for record in records_of(tmp_path)] == ["disgust"]


def test_text_files_that_are_no_lists_are_not_taken_for_some(tmp_path: Path) -> None:
    class_folders(tmp_path, ("happy",))
    write(tmp_path / "README.txt", "Faces of 2020\n")
    write(tmp_path / "labels.txt", "happy/a happy.png sad\n")
    assert [record.expression for record in records_of(tmp_path, SEVEN)] == ["happiness"], "folders come first"
    other = tmp_path / "other"
    put(other / "x/1.png", side_px=16)
    write(other / "README.txt", "Faces of 2020\n")
    with pytest.raises(DatabaseLayoutError, match="folder: class folders, split folders or a CSV"):
        records_of(other, SEVEN)


def test_each_split_is_looked_at_alone(tmp_path: Path) -> None:
    """Codes that are shifted in one list only are within the scheme of both lists together."""
    scheme = LabelOptions(scheme=parse_scheme("0=neutral,1=happy,2=sad"))
    for split, shift in (("train", 0), ("test", 1)):
        lines = []
        for code in (0, 1, 2):
            put(tmp_path / f"{split}/{code}.png", side_px=16)
            lines.append(f"{split}/{code}.png {code + shift}")
        write(tmp_path / f"{split}.txt", "\n".join(lines))
    with pytest.raises(DatabaseLayoutError, match=r"label 3 .* from 1 to 3, one above the scheme"):
        records_of(tmp_path, scheme)


def test_lists_that_are_not_used_are_listed_and_two_lists_are_one_error(tmp_path: Path) -> None:
    put(tmp_path / "faces/1.png", side_px=16)
    for name in ("mine.txt", "yours.lst"):
        write(tmp_path / name, "faces/1.png happy\n")
    with pytest.raises(DatabaseLayoutError, match=r"mine.txt and yours.lst could each be the list of labels: name the"):
        records_of(tmp_path, SEVEN)
    (tmp_path / "mine.txt").rename(tmp_path / "labels.txt")
    assert [record.split for record in records_of(tmp_path, SEVEN)] == [""]
    assert rejects_of(tmp_path, SEVEN) == [Reject("yours.lst", "not used, because of labels.txt", by_protocol=True)]
    (tmp_path / "labels.txt").rename(tmp_path / "Training_List.txt")
    assert [record.split for record in records_of(tmp_path, SEVEN)] == ["train"]
    assert [reject.source for reject in rejects_of(tmp_path, SEVEN)] == ["yours.lst"]
    (tmp_path / "yours.lst").unlink()
    (tmp_path / "Training_List.txt").rename(tmp_path / "anything.list")
    assert len(records_of(tmp_path, SEVEN)) == 1, "the only list is the list"


PIECES = st.sampled_from([b"\r", b"\n", b'"', b",", b"\0", b"\xff\xfe", b"../", b" 1", b"\t", b"=", b"#row=1", b"9"])


@pytest.mark.parametrize("name", ["labels.txt", "train.lst"])
@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(st.tuples(st.integers(0, 60), PIECES), max_size=6))
def test_no_damage_of_a_list_ends_in_anything_but_one_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, pieces: list[tuple[int, bytes]]
) -> None:
    root = tmp_path_factory.mktemp("raw")
    write(root / "faces/1.png", b"x")
    content = bytearray(b"faces/1.png 3\nfaces/2.png 4\n")
    for place, piece in pieces:
        content[place % (len(content) + 1) : place % (len(content) + 1)] = piece
    write(root / name, bytes(content))
    try:
        for item in DATABASES["folder"].scan(root, "default", RAF):
            said = item.source + (item.reason if isinstance(item, Reject) else item.pair_id)
            assert printable(said) == said
    except DatabaseLayoutError as error:
        assert printable(str(error)) == str(error) and len(str(error)) < 900


def with_folds(root: Path, rows: Sequence[str], columns: str = "path,expression,subject,fold") -> Path:
    for number in range(len(rows)):
        put(root / f"{number}.png", side_px=16)
    lines = [f"{number}.png,happy,{row}" for number, row in enumerate(rows)]
    return write(root / "labels.csv", "\n".join([columns, *lines]))


def test_folds_of_a_table_are_kept(tmp_path: Path) -> None:
    with_folds(tmp_path, ["ann,3", "ann,3", "bob,1", ",2", "cid, 10 "])
    assert [record.fold for record in records_of(tmp_path, SEVEN)] == [3, 3, 1, 2, 10]
    assert not rejects_of(tmp_path, SEVEN)


@pytest.mark.parametrize("fold", ["", "x", "-1", "1.5", "1000", "\u0661"])
def test_a_line_without_a_fold_is_a_reject_where_others_have_one(fold: str, tmp_path: Path) -> None:
    with_folds(tmp_path, ["ann,3", f"bob,{fold}"])
    (reject,) = rejects_of(tmp_path, SEVEN)
    assert reject.source == "1.png" and "is no whole number from 0 to 999" in reject.reason


def test_a_person_in_two_folds_of_a_table_is_one_error(tmp_path: Path) -> None:
    with_folds(tmp_path, ["ann,3", "ann,4"])
    with pytest.raises(DatabaseLayoutError, match=r"labels.csv: subject ann is in the folds 3 and 4; each person must"):
        records_of(tmp_path, SEVEN)


def test_splits_of_a_table_count_before_its_folds_and_that_is_listed(tmp_path: Path) -> None:
    with_folds(tmp_path, ["train,3", "test,4"], "path,expression,split,fold")
    assert [(record.split, record.fold) for record in records_of(tmp_path, SEVEN)] == [("train", None), ("test", None)]
    assert rejects_of(tmp_path, SEVEN) == [
        Reject("labels.csv", "its column fold is not used, since it names splits", by_protocol=True)
    ]
