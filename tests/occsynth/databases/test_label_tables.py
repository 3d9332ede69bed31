"""Label tables that are not as they should be: what was found and what is wanted is said, no row slips."""

import io
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.databases import DATABASES
from occsynth.databases.layout import csv_entries, lines_of, listed_path
from occsynth.databases.record import Reject
from occsynth.errors import DatabaseLayoutError
from occsynth.escapes import printable
from tests.occsynth.databases.test_hostile import LISTS, split
from tests.occsynth.databases.trees import AFFECTNET_HEADER, affectnet_row, put, write

WANTED = "it lacks the columns path, expression; it has: "
TABLES = {
    "other names": ("image,emotion\na.png,happy\n", WANTED + "image, emotion"),
    "one other name": ("path,label\na.png,happy\n", "it lacks the columns expression; it has: path, label"),
    "semicolons": ("path;expression\na.png;happy\n", "separated by semicolons: save it with commas"),
    "tabs": ("path\texpression\na.png\thappy\n", "separated by tabs: save it with commas"),
    "UTF-16": ("path,expression\na.png,happy\n".encode("utf-16"), "labels.csv is UTF-16 text or no text; save it as"),
    "no byte order mark": ("path,expression\n".encode("utf-16-le"), "labels.csv is UTF-16 text or no text; save it as"),
    "a column twice": ("path,expression,Expression\na.png,happy,sad\n", "it has the column expression more than once"),
    "no header": ("a.png,happy\n", WANTED + "a.png, happy"),
    "nothing": ("", WANTED + "none"),
    "a blank first line": ("\npath,expression\n", WANTED + "none"),
    "an endless line": ("x" * 3_000_000, "is longer than"),
}


@pytest.mark.parametrize("content, said", TABLES.values(), ids=TABLES)
def test_a_table_that_cannot_be_used_says_what_was_found(tmp_path: Path, content: str | bytes, said: str) -> None:
    put(tmp_path / "a.png")
    write(tmp_path / "labels.csv", content)
    with pytest.raises(DatabaseLayoutError) as refused:
        split(tmp_path, "folder")
    assert said in str(refused.value) and str(tmp_path) in str(refused.value)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 700


@pytest.mark.parametrize("content, said", TABLES.values(), ids=TABLES)
def test_class_folders_beside_such_a_table_are_used_and_that_is_listed(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    put(tmp_path / "happy/a.png")
    write(tmp_path / "labels.csv", content)
    write(tmp_path / "prices.csv", "year,price\n")
    records, rejects = split(tmp_path, "folder")
    assert [record.source for record in records] == ["happy/a.png"]
    assert [(each.source, each.by_protocol) for each in rejects] == [("labels.csv", True)]
    assert rejects[0].reason.startswith("the class folders are used, since ") and said in rejects[0].reason


def test_two_tables_are_both_named(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    for name in ("mine.csv", "yours.csv"):
        write(tmp_path / name, "path,expression\na.png,happy\n")
    said = "mine.csv and yours.csv could each be the table of labels: name the one to use labels.csv"
    with pytest.raises(DatabaseLayoutError, match=said):
        split(tmp_path, "folder")
    put(tmp_path / "sad/b.png")
    records, rejects = split(tmp_path, "folder")
    assert [record.source for record in records] == ["sad/b.png"]
    assert [each for each in rejects if each.by_protocol] == [
        Reject("mine.csv", f"the class folders are used, since {said}", by_protocol=True)
    ]
    (tmp_path / "mine.csv").rename(tmp_path / "labels.csv")
    assert [record.expression for record in split(tmp_path, "folder")[0]] == ["happiness"]


def test_a_broken_csv_beside_the_table_does_no_harm(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    write(tmp_path / "faces.csv", "path,expression\na.png,happy\n")
    write(tmp_path / "broken.csv", b'"\0\xff\xfe' * 1000)
    assert len(split(tmp_path, "folder")[0]) == 1


@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"], ids=repr)
def test_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path, start: str, end: str) -> None:
    lines = ["path,expression"]
    for number, word in enumerate(("happy", "sad", "fear", "anger") * 3):
        put(tmp_path / f"{number}-{word}.png", side_px=8)
        lines.append(f"{number}-{word}.png,{word}")
    write(tmp_path / "labels.csv", start + end.join(lines))
    records, rejects = split(tmp_path, "folder")
    assert len(records) == 12 and not rejects
    assert all(record.expression[:3] in record.source or "sad" in record.source for record in records)


def folder_table(root: Path, line: str) -> None:
    write(root / "labels.csv", f"path,expression,subject\na.png,happy,x\n{line}\nb.png,sad,y\n")


def ferplus_table(root: Path, line: str) -> None:
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    rows = [f"Training,{name},0,9,0,0,0,0,0,0,0,1" for name in ("a.png", "b.png")]
    write(root / "fer2013new.csv", "\n".join([header, rows[0], line, rows[1]]))


def affectnet_table(root: Path, line: str) -> None:
    rows = [AFFECTNET_HEADER, affectnet_row("a.png", 1), line, affectnet_row("b.png", 2)]
    write(root / "Manually_Annotated_file_lists/training.csv", "\n".join(rows))


EXTRA_COMMAS = [
    ("folder", folder_table, "c,d.png,happy,z", "the line has 4 cells, but there are 3 columns"),
    ("folder", folder_table, "a.png,happy,x,sad", "the line has 4 cells, but there are 3 columns"),
    ("ferplus", ferplus_table, "Training,a,b.png,0,9,0,0,0,0,0,0,0,1", "the line has 13 cells, but there are 12"),
    ("ferplus", ferplus_table, "Training,c.png,0,,9,0,0,0,0,0,0,0,1", "the line has 13 cells, but there are 12"),
    ("affectnet", affectnet_table, "c.png,1,1,1,1,1;2,,3,0,0", "the line has 10 cells, but there are 9 columns"),
]


@pytest.mark.parametrize("key, table, line, said", EXTRA_COMMAS)
def test_a_comma_too_many_is_a_reject_of_that_line(
    tmp_path: Path, key: str, table: Callable[[Path, str], None], line: str, said: str
) -> None:
    for name in "abcd":
        for folder in ("", "FER2013Train", "Manually_Annotated_Images"):
            put(tmp_path / folder / f"{name}.png", side_px=8)
    table(tmp_path, line)
    records, rejects = split(tmp_path, key)
    assert [record.source[-5:] for record in records] == ["a.png", "b.png"]
    assert [each.reason for each in rejects if "#line=3" in each.source and said in each.reason]
    assert not any(each.by_protocol for each in rejects)


@pytest.mark.parametrize(
    "key, table", [("folder", folder_table), ("ferplus", ferplus_table), ("affectnet", affectnet_table)]
)
def test_a_quotation_mark_that_is_not_closed_is_one_error(
    tmp_path: Path, key: str, table: Callable[[Path, str], None]
) -> None:
    """It would make one entry of all that follow, up to the next mark."""
    for folder in ("", "FER2013Train", "Manually_Annotated_Images"):
        put(tmp_path / folder / "fer0000000.png", side_px=8)
    table(tmp_path, '"c.png,happy')
    with pytest.raises(
        DatabaseLayoutError, match="lines 3 to 4 are one entry: a quotation mark in line 3 is not closed"
    ):
        split(tmp_path, key)


def test_an_affectnet_list_with_other_columns_is_one_error(tmp_path: Path) -> None:
    put(tmp_path / "Manually_Annotated_Images/a.jpg", side_px=8)
    write(tmp_path / "training.csv", "image,valence,expression\na.jpg,0,1\n")
    said = "training.csv: it lacks the columns subDirectory_filePath; it has: image, valence, expression"
    with pytest.raises(DatabaseLayoutError, match=said):
        split(tmp_path, "affectnet")


@pytest.mark.parametrize("tree", LISTS, ids=lambda tree: tree.__name__)
@pytest.mark.parametrize("through", ["as it is", "a link"])
def test_an_absolute_path_inside_the_root_is_taken(
    tree: Callable[[Path, str], None], through: str, tmp_path: Path
) -> None:
    root = tmp_path / "raw"
    tree(root, "gone.jpg")
    key = {"table": "folder"}.get(tree.__name__, tree.__name__.replace("_", "-"))
    if key == "raf-db":
        return  # the form of its names excludes every folder
    (found,), _ = split(root, key)
    extra = root / found.source.replace("a.jpg", "z.jpg").replace("fer0000000", "fer0000009")
    extra.write_bytes((root / found.source).read_bytes())
    tree(root, str(extra))
    given = root
    if through == "a link":
        given = tmp_path / "link"
        given.symlink_to(root)
        tree(root, str(given / extra.relative_to(root)))
    records, rejects = split(given, key)
    assert [record.source for record in records] == [found.source, extra.relative_to(root).as_posix()], rejects


@pytest.mark.parametrize("path", ["/etc/passwd", "/", "//a.png", "/raw/../a.png"])
def test_an_absolute_path_elsewhere_stays_refused(tmp_path: Path, path: str) -> None:
    assert listed_path(tmp_path, path) == path
    assert listed_path(tmp_path, "a/b.png", "in") == "in/a/b.png"
    write(tmp_path / "labels.csv", f"path,expression\n{path},fear\n")
    records, (reject,) = split(tmp_path, "folder")
    assert not records and reject.reason == "listed, but leads out of the root, so it is not read"


@pytest.mark.parametrize("reader", [lines_of, csv_entries])
def test_utf16_lists_are_named(tmp_path: Path, reader: Callable[[Path], Iterator[object]]) -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        path = write(tmp_path / "list.txt", "a.jpg 1\nb.jpg 2\n".encode(encoding))
        with pytest.raises(DatabaseLayoutError, match="is UTF-16 text or no text; save it as UTF-8"):
            list(reader(path))


def array_file(values: npt.NDArray[Any], **claims: object) -> bytes:
    """An array file whose header makes other claims than its content keeps."""
    file = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(values) | claims
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + values.tobytes()


HOSTILE_ARRAYS = {
    "a trillion values": array_file(np.array([1.0]), shape=(10**12,)),
    "a billion values": array_file(np.array([1.0]), shape=(10**9,)),
    "many dimensions": array_file(np.array([1.0]), shape=(10**6, 10**6, 10**6, 10**6)),
    "below zero": array_file(np.array([1.0]), shape=(-1,)),
    "long texts": array_file(np.array(["1"]), descr=f"<U{2**28}"),
    "no character": array_file(np.array("3")).replace(b"3\0\0\0", b"\xff" * 4),
    "empty": array_file(np.array([1.0]), shape=(0,)),
    "objects": array_file(np.array([1.0]), descr="|O"),
    "a header that is none": b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16,
    "a deep header": b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 8192,
    "no array": b"PK\x03\x04",
    "nothing": b"",
    "more than a label": b"\x93NUMPY\x01\x00" + b" " * 200_000,
}


@pytest.mark.parametrize("content", HOSTILE_ARRAYS.values(), ids=HOSTILE_ARRAYS)
def test_an_annotation_that_claims_too_much_is_a_reject(tmp_path: Path, content: bytes) -> None:
    for name in "12":
        put(tmp_path / f"train_set/images/{name}.jpg", side_px=8)
    write(tmp_path / "train_set/annotations/1_exp.npy", content)
    write(tmp_path / "train_set/annotations/2_exp.npy", array_file(np.array("3")))
    write(tmp_path / "train_set/annotations/2_lnd.npy", content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    records, rejects = split(tmp_path, "affectnet")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"
    assert [(each.source[-5:], each.expression, each.points_xy) for each in records] == [("2.jpg", "surprise", None)]
    assert "1_exp.npy is missing or malformed" in next(each.reason for each in rejects if "1.jpg" in each.source)


LABEL_FILES = {
    "affectnet": ("Manually_Annotated_file_lists/training.csv", AFFECTNET_HEADER + "\n" + affectnet_row("a.jpg", 1)),
    "expw": ("label.lst", "a.jpg 0 1 2 3 4 5 6\n"),
    "folder": ("labels.csv", "path,expression,subject,split\na.jpg,fear,x,train\n"),
    "ferplus": ("fer2013new.csv", "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,"
                "unknown,NF\nTraining,fer0000000.png,9,0,0,0,0,0,0,0,0,0\n"),
    "raf-db": ("EmoLabel/list_patition_label.txt", "train_00001.jpg 5\n"),
    "fed-ro": ("list.txt", "happy/a.jpg\n"),
    "fer2013": ("fer2013.csv", "emotion,pixels,Usage\n3,1 2 3 4,Training\n"),
}  # fmt: skip
PIECES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"\r", b"\n", b"\r\r\n", b'"', b",", b";", b"\0", b"\xff\xfe", b"../", b"/", b" 1", b"\t", b"#row=1"]
    ),
)


@pytest.fixture(scope="module")
def root_of_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a picture where each database looks for one."""
    root = tmp_path_factory.mktemp("raw")
    for folder in ("", "happy", "origin", "Manually_Annotated_Images"):
        put(root / folder / "a.jpg", side_px=8)
    put(root / "FER2013Train/fer0000000.png", side_px=8)
    put(root / "Image/aligned/train_00001_aligned.jpg", side_px=8)
    return root


@pytest.mark.parametrize("key", LABEL_FILES)
@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(st.tuples(st.integers(0, 400), PIECES), min_size=1, max_size=6))
def test_no_damage_of_a_label_file_ends_in_anything_but_one_error(
    key: str, pieces: list[tuple[int, bytes]], root_of_pictures: Path
) -> None:
    root = root_of_pictures
    name, text = LABEL_FILES[key]
    content = bytearray(text.encode())
    for place, piece in pieces:
        content[place % (len(content) + 1) : place % (len(content) + 1)] = piece
    write(root / name, bytes(content))
    try:
        for item in DATABASES[key].scan(root, DATABASES[key].variants[0].name):
            said = item.source + (item.reason if isinstance(item, Reject) else item.pair_id)
            assert printable(said) == said
    except DatabaseLayoutError as error:
        assert printable(str(error)) == str(error) and len(str(error)) < 900
    finally:
        (root / name).unlink()


def test_every_database_with_a_list_is_tried_here() -> None:
    assert len(LISTS) == 6 and len(LABEL_FILES) == 7 and len(DATABASES) == 15, "a new list belongs into both"
