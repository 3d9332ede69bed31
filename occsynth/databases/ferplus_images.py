"""Where the images of FER+ are: PNG files that bear the names of its list, or the rows of FER2013's own table.

The list's names do not count the rows of the table. Its entries do: entry n is row n, for which the authors' script
relies on the order. What can be checked of it is checked here: the part of the set of each row, and how often the two
databases agree on the class.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from occsynth.databases import fer2013
from occsynth.databases.labels import expression_of
from occsynth.databases.layout import file_fault, find_file, find_folder, is_image_name, list_folder, listed_path
from occsynth.databases.pixel_table import open_table
from occsynth.databases.record import ScanItem
from occsynth.errors import DatabaseLayoutError, SourceError
from occsynth.pixels.row_table import RowTable

TABLES = (*fer2013.TABLES, "data/fer2013.csv")
_ADVICE = "Use both files as they were published, with all rows in their order"
_COMPARED, _AGREED_FRACTION = 100, 0.3
"""Of at least so many rows, so many must have one class in both databases [ours]: by chance it would be a fifth."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of FER+'s list.

    Attributes:
        line: its number, from 1 for the header.
        name: of the image.
        usage: the part of the set.
        folder: in which the authors' script puts this part.
    """

    line: int
    name: str
    usage: str
    folder: str


class Images(Protocol):
    """Where the image of an entry is."""

    def find(self, entry: Entry) -> tuple[str, str]:
        """The path by which an image is called, and its source.

        Raises:
            DatabaseLayoutError: what is there belongs to another part of the set.
        """

    def fault(self, entry: Entry, source: str, expression: str) -> str | None:
        """Why the image cannot be used, or None."""

    def guard(self, items: Iterable[ScanItem]) -> Iterator[ScanItem]:
        """Yields the items; raises DatabaseLayoutError if list and images turn out not to belong together."""


def find_images(key: str, root: Path, folders: Sequence[str]) -> Images | None:
    """The PNG files if there are any, else the rows of FER2013's table; None if there is neither."""
    found = {folder: _image_folder(root, folder) for folder in folders}
    if any(folder is not None for folder in found.values()):
        return _Files(root, found)
    table = find_file(root, TABLES)
    return None if table is None else _Rows(key, table, open_table(key, root / table))


def _image_folder(root: Path, folder: str) -> str | None:
    """The folder of one part's images: its own, or one that all parts share."""
    own = find_folder(root, [folder, f"data/{folder}", f"images/{folder}"])
    return own if own is not None else _common_folder(root)


def _common_folder(root: Path) -> str | None:
    for folder in ("images", "", "data/images", "data"):
        if any(name.startswith("fer") and is_image_name(name) for name in list_folder(root, folder).files):
            return folder
    return None


@dataclass(frozen=True, slots=True)
class _Files:
    root: Path
    folders: dict[str, str | None]

    def find(self, entry: Entry) -> tuple[str, str]:
        found = self.folders[entry.folder]
        # where the folder is missing, each of its images becomes a reject, like a single missing image
        source = listed_path(self.root, entry.name, entry.folder if found is None else found)
        return source, source

    def fault(self, entry: Entry, source: str, expression: str) -> str | None:
        return file_fault(self.root, source)

    def guard(self, items: Iterable[ScanItem]) -> Iterator[ScanItem]:
        return iter(items)


@dataclass(slots=True)
class _Rows:
    key: str
    path: str
    table: RowTable
    compared: int = field(default=0, init=False)
    agreed: int = field(default=0, init=False)
    read: tuple[int, dict[str, str] | str] = field(default=(0, ""), init=False)

    def find(self, entry: Entry) -> tuple[str, str]:
        cells = self._cells(entry)
        if not isinstance(cells, str) and cells["Usage"] != entry.usage:
            number = entry.line - 1
            raise DatabaseLayoutError(
                f"{self.key}: entry {number} of FER+'s list is {entry.usage}, but row {number} of {self.table.path} is "
                f"{cells['Usage'][:40]}: their rows do not belong together. {_ADVICE}"
            )
        return f"{entry.folder}/{entry.name}", f"{self.path}#row={entry.line - 1}"

    def fault(self, entry: Entry, source: str, expression: str) -> str | None:
        cells = self._cells(entry)
        if isinstance(cells, str):
            return f"{self.path}: {cells}"
        self.compared += 1
        self.agreed += expression_of(fer2013.CODES.get(cells["emotion"], "")) == expression
        return None

    def _cells(self, entry: Entry) -> dict[str, str] | str:
        """The cells of an entry's row, or what is wrong with it."""
        if self.read[0] != entry.line:
            try:
                self.read = entry.line, self.table.row(entry.line - 1).cells()
            except SourceError as error:
                self.read = entry.line, str(error)
        return self.read[1]

    def guard(self, items: Iterable[ScanItem]) -> Iterator[ScanItem]:
        yield from items
        if self.compared >= _COMPARED and self.agreed < _AGREED_FRACTION * self.compared:
            raise DatabaseLayoutError(
                f"{self.key}: of {self.compared} rows of {self.table.path}, {self.agreed} have the class that FER+ "
                f"gives them: their rows do not belong together. {_ADVICE}"
            )
