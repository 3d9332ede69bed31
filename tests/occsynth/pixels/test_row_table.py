"""Tables of one image per line: a label and its pixels come from the same row, however the lines end or are damaged."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.databases import fer2013
from occsynth.databases.labels import judge
from occsynth.databases.record import FaceRecord, Reject
from occsynth.errors import DatabaseLayoutError, SourceError
from occsynth.pixels.row_table import RowTable
from occsynth.pixels.sources import read_source, source_sha256
from occsynth.reading import LONGEST_LINE

HEADER = "emotion,pixels,Usage"
CODES = {judge("", word): int(code) for code, word in fer2013.CODES.items()}


def row(number: int) -> str:
    """A row whose four pixels say its label and its number."""
    return f"{number % 7},{number % 7} {number} 0 255,Training"


ROWS = [row(number) for number in range(1, 15)]


def write(root: Path, content: bytes) -> None:
    (root / "fer2013.csv").write_bytes(content)


def found(root: Path) -> tuple[dict[str, int], list[Reject]]:
    """The number of each image by source, after checking that its label is the one that its own pixels say."""
    numbers, rejects = {}, []
    for item in fer2013.scan(root, "default"):
        if isinstance(item, Reject):
            rejects.append(item)
            continue
        assert isinstance(item, FaceRecord)
        try:
            grey = read_source(root, item.source).pixels[:, :, 0].ravel().tolist()
        except SourceError as error:
            rejects.append(Reject(item.source, str(error)))
            continue
        if len(grey) == 1:  # the end of a line that was broken in two; a build refuses it as of one colour
            rejects.append(Reject(item.source, "one pixel"))
            continue
        assert grey[0] == CODES[item.expression], f"{item.source} has the label of another row"
        numbers[item.source] = grey[1]
    return numbers, rejects


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n", "\r\r\r\n", "\n\r"], ids=repr)
@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "not ended"])
def test_line_ends_change_nothing(tmp_path: Path, end: str, start: str, last: bool) -> None:
    write(tmp_path, (start + end.join([HEADER, *ROWS]) + end * last).encode())
    expected = {f"fer2013.csv#row={number}": number for number in range(1, 15)}
    assert found(tmp_path) == (expected, [])
    digests = [source_sha256(tmp_path, source) for source in expected]
    write(tmp_path, "\n".join([HEADER, *ROWS]).encode())
    assert [source_sha256(tmp_path, source) for source in expected] == digests


OTHER_TABLES = {
    "quoted cells": [HEADER, *(",".join(f'"{cell}"' for cell in each.split(",")) for each in ROWS)],
    "another order": ["Usage, pixels,emotion", *(",".join(each.split(",")[::-1]) for each in ROWS)],
    "more columns": ["id," + HEADER, *(f"7,{each}" for each in ROWS)],
    "blanks around": [f" {HEADER} ", *(f"  {each}\t" for each in ROWS)],
    "empty cells at the end": [HEADER, *(f"{each},," for each in ROWS)],
}


@pytest.mark.parametrize("lines", OTHER_TABLES.values(), ids=OTHER_TABLES)
def test_other_ways_to_write_the_same_table(tmp_path: Path, lines: list[str]) -> None:
    write(tmp_path, "\n".join(lines).encode())
    assert found(tmp_path) == ({f"fer2013.csv#row={number}": number for number in range(1, 15)}, [])


def test_blank_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    write(tmp_path, "\n".join([HEADER, ROWS[0], "", " \t", ROWS[3], ""]).encode())
    assert found(tmp_path) == ({"fer2013.csv#row=1": 1, "fer2013.csv#row=4": 4}, [])
    with pytest.raises(SourceError, match="row 2 is blank"):
        read_source(tmp_path, "fer2013.csv#row=2")


DAMAGED = {
    "carriage return in the pixels": ("5,5 5\r 0 255,Training", "holds a carriage return in the middle"),
    "carriage return before the last cell": ("5,5 5 0 255\r,Training", "holds a carriage return in the middle"),
    "line end in the pixels": ("5,5 5\n 0 255,Training", "has 2 cells, but the header names 3"),
    "line end in a quoted cell": ('5,"5 5\n0 255",Training', "no line of a CSV file"),
    "quotation mark that is not closed": ('5,"5 5 0 255,Training', "no line of a CSV file"),
    "comma too many": ("5,5 5,0 255,Training", "has 4 cells, but the header names 3"),
    "no usage": ("5,5 5 0 255", "has 2 cells, but the header names 3"),
    "semicolons": ("5;5 5 0 255;Training", "has 1 cells, but the header names 3"),
    "not UTF-8": (b"5,5 5 0 255,Training\xff", "is not UTF-8 text"),
    "zero bytes": (b"5,5 5 0 255\0,Training", "holds no pixels"),
    "a long line": ("5," + "5 " * LONGEST_LINE + ",Training", "is longer than"),
    "a long cell": ("5," + "5 " * 100_000 + ",Training", "field larger than field limit"),
}


@pytest.mark.parametrize("damaged, said", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_row_is_a_reject_and_its_neighbours_keep_their_labels(
    tmp_path: Path, damaged: str | bytes, said: str
) -> None:
    lines = [each.encode() for each in [HEADER, *ROWS]]
    lines[5] = damaged if isinstance(damaged, bytes) else damaged.encode()
    write(tmp_path, b"\n".join(lines))
    numbers, rejects = found(tmp_path)
    assert sorted(numbers.values()) == [number for number in range(1, 15) if number != 5]
    assert any(said in reject.reason for reject in rejects)
    assert {reject.source for reject in rejects} <= {"fer2013.csv#row=5", "fer2013.csv#row=6"}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["\r", "\n", '"', ",", " ", "\0", "\ufeff"])), max_size=6)
)
def test_no_stray_character_gives_pixels_another_label(
    tmp_path_factory: pytest.TempPathFactory, strays: list[tuple[int, str]]
) -> None:
    text = "\r\n".join(ROWS)
    for place, stray in strays:
        text = text[:place] + stray + text[place:]
    root = tmp_path_factory.mktemp("fer")
    write(root, f"{HEADER}\r\n{text}".encode())
    try:
        numbers, rejects = found(root)
    except DatabaseLayoutError as error:  # a stray digit before a comma is a label that no row of FER2013 has
        assert "is outside the scheme" in str(error)
        return
    assert len(numbers) + len(rejects) >= len(ROWS) - len(strays)
    assert set(numbers.values()) <= set(range(1, 15))


NO_TABLES = {
    "old Macintosh line ends": ("\r".join([HEADER, *ROWS]).encode(), "carriage return in its first line"),
    "UTF-16": ("\n".join([HEADER, *ROWS]).encode("utf-16"), "UTF-16 text or no text"),
    "no text": (b"\0" * 1000, "UTF-16 text or no text"),
    "one endless line": (b"x" * (2 * LONGEST_LINE), "first line of more than"),
    "Latin-1": ("émotion,pixels,Usage\n".encode("latin-1"), "first line that cannot be read"),
    "semicolons": (
        HEADER.replace(",", ";").encode(),
        "separated by semicolons",
    ),
    "no pixels": (b"emotion,Usage\n", "it lacks the columns pixels; it has: emotion, Usage"),
    "a column twice": (b"emotion,pixels,Usage,pixels\n", "has two columns of the name 'pixels'"),
    "nothing": (b"", "it lacks the columns emotion, pixels, Usage; it has: none"),
    "a blank first line": (
        f"\n{HEADER}\n{ROWS[0]}\n".encode(),
        "lacks the columns emotion, pixels, Usage; it has: none",
    ),
}


@pytest.mark.parametrize("content, said", NO_TABLES.values(), ids=NO_TABLES)
def test_a_file_that_is_no_such_table_is_one_error(tmp_path: Path, content: bytes, said: str) -> None:
    write(tmp_path, content)
    with pytest.raises(DatabaseLayoutError, match=r"fer2013: .*fer2013\.csv: ") as refused:
        list(fer2013.scan(tmp_path, "default"))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_of_too_many_lines_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occsynth.pixels.row_table.MOST_ROWS", 10)
    write(tmp_path, "\n".join([HEADER, *ROWS]).encode())
    with pytest.raises(SourceError, match="more than 10 lines, the most that are read"):
        RowTable(tmp_path / "fer2013.csv").row(1)


def test_a_worker_reads_only_the_row_it_asks_for(tmp_path: Path) -> None:
    pixels = " ".join(map(str, np.arange(48 * 48) % 251))
    write(tmp_path, "\n".join([HEADER, *(f"{number % 7},{pixels},Training" for number in range(2000))]).encode())
    table = RowTable(tmp_path / "fer2013.csv")
    last = table.row(2000)
    places = table._starts
    assert table.row(2000) == last and table._starts is places, "the places of rows are found once"
    assert len(places) == 2001 and places.itemsize == 8
