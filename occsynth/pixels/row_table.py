"""CSV files in which every line is one image, such as FER2013's: the only reader of them, for scans and for workers.

A scan takes labels from a row, and later a worker takes the pixels of the same row. Both must count alike, so there is
one rule: a line ends at a newline, and a line is a row, whatever stands in it. What a line with a quotation mark that
is not closed or with a carriage return in its middle says is not guessed: the row is refused, and its neighbours keep
their numbers. Loads nothing heavy.
"""

import csv
import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from occsynth.errors import SourceError
from occsynth.pixels.read_errors import explained_read_errors
from occsynth.reading import LONGEST_LINE, one_line

MOST_ROWS = 10_000_000
"""Rows whose places are kept in memory, eight bytes each; FER2013 has 35,887."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of a table.

    Attributes:
        number: from 1, the line after the header; a blank line has a number, too.
        content: the line without the white space around it, cut where it is far too long.
        columns: of the table.
    """

    number: int
    content: bytes
    columns: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of the content, which is the same with the line ends of every system."""
        return hashlib.sha256(self.content).hexdigest()

    def cells(self) -> dict[str, str]:
        """Each column's cell, stripped.

        Raises:
            SourceError: the line is blank or too long, it is not UTF-8 or no CSV, or it has another number of cells
                than the header.
        """
        if not self.content:
            raise SourceError(f"row {self.number} is blank")
        if len(self.content) > LONGEST_LINE:
            raise SourceError(f"row {self.number} is longer than {LONGEST_LINE:,} bytes")
        if b"\r" in self.content:
            raise SourceError(f"row {self.number} holds a carriage return in the middle of its line")
        try:
            cells = next(csv.reader([self.content.decode("utf-8")], strict=True))
        except UnicodeDecodeError as error:
            raise SourceError(f"row {self.number} is not UTF-8 text") from error
        except csv.Error as error:
            raise SourceError(f"row {self.number} is no line of a CSV file: {one_line(error)}") from error
        while len(cells) > len(self.columns) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(self.columns):
            raise SourceError(f"row {self.number} has {len(cells)} cells, but the header names {len(self.columns)}")
        return dict(zip(self.columns, map(str.strip, cells), strict=True))


@dataclass(slots=True)
class RowTable:
    """A CSV file of such rows.

    Attributes:
        path: the file.
        columns: the cells of its first line.
    """

    path: Path
    columns: tuple[str, ...] = field(init=False)
    _starts: "array[int]" = field(init=False, repr=False, default_factory=lambda: array("Q"))

    def __post_init__(self) -> None:
        """Reads the header.

        Raises:
            SourceError: the file cannot be read, is no UTF-8 text, has the line ends of old Macintosh programs, or two
                columns have one name.
        """
        with explained_read_errors(), self.path.open("rb") as file:
            self.columns = _columns(file.readline(LONGEST_LINE + 1))

    def rows(self) -> Iterator[TableRow]:
        """Yields the rows in order, one in memory at a time; blank lines are counted but left out."""
        with explained_read_errors(), self.path.open("rb") as file:
            for number, (_, line) in enumerate(_lines(file)):
                content = _content(line)
                if number and content:
                    yield TableRow(number, content, self.columns)

    def row(self, number: int) -> TableRow:
        """The row of that number; after the first call, which finds where all rows begin, it is read directly.

        Raises:
            SourceError: there is no such row, or the file cannot be read.
        """
        with explained_read_errors(), self.path.open("rb") as file:
            if not self._starts:
                self._starts = _starts(file)
            if not 1 <= number < len(self._starts):
                raise SourceError(f"row {number} not found; the file has {len(self._starts) - 1}")
            file.seek(self._starts[number])
            return TableRow(number, _content(file.readline(LONGEST_LINE + 1)), self.columns)


def _columns(header: bytes) -> tuple[str, ...]:
    if header.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in header:
        raise SourceError("is UTF-16 text or no text; save it as a CSV file in UTF-8")
    content = header.rstrip()
    if b"\r" in content:
        raise SourceError("has a carriage return in its first line; save it with the line ends of Unix or Windows")
    if len(content) > LONGEST_LINE:
        raise SourceError(f"has a first line of more than {LONGEST_LINE:,} bytes, so it is no table")
    try:
        names = [name.strip() for name in next(csv.reader([content.decode("utf-8-sig")]), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"has a first line that cannot be read: {one_line(error)}") from error
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise SourceError(f"has two columns of the name {twice!r}")
    return tuple(names)


def _content(line: bytes) -> bytes:
    return line if len(line) > LONGEST_LINE else line.strip()


def _starts(file: IO[bytes]) -> "array[int]":
    starts = array("Q")
    for start, _ in _lines(file):
        starts.append(start)
        if len(starts) > MOST_ROWS:
            raise SourceError(f"has more than {MOST_ROWS:,} lines, the most that are read")
    return starts


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yields where each line begins and what it holds; of a line that is far too long, only the beginning."""
    start = 0
    while line := file.readline(LONGEST_LINE + 1):
        end, rest = start + len(line), line
        while not rest.endswith(b"\n") and (rest := file.readline(LONGEST_LINE + 1)):
            end += len(rest)
        yield start, line
        start = end
