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
_COMPARED, _AGREED_FRACTION = 100, 0.4
"""Of at least so many rows, so many must have one class in both databases [ours]: by chance it would be a fifth."""


class Images(Protocol):
    """Where the image of an entry is."""

    def find(self, line: int, folder: str, name: str) -> tuple[str, str]:
        """The path by which an image is called, and its source.

        Args:
            line: of the entry in the list, from 1.
            folder: of the authors' script, for this part of the set.
            name: as the list has it.
        """

    def fault(self, line: int, source: str, usage: str, expression: str) -> str | None:
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

    def find(self, line: int, folder: str, name: str) -> tuple[str, str]:
        found = self.folders[folder]
        # where the folder is missing, each of its images becomes a reject, like a single missing image
        source = listed_path(self.root, name, folder if found is None else found)
        return source, source

    def fault(self, line: int, source: str, usage: str, expression: str) -> str | None:
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

    def find(self, line: int, folder: str, name: str) -> tuple[str, str]:
        return f"{folder}/{name}", f"{self.path}#row={line - 1}"

    def fault(self, line: int, source: str, usage: str, expression: str) -> str | None:
        try:
            cells = self.table.row(line - 1).cells()
        except SourceError as error:
            return f"{self.path}: {error}"
        if cells["Usage"] != usage:
            raise DatabaseLayoutError(
                f"{self.key}: entry {line - 1} of FER+'s list is {usage}, but row {line - 1} of {self.table.path} is "
                f"{cells['Usage'][:40]}: their rows do not belong together. {_ADVICE}"
            )
        self.compared += 1
        self.agreed += expression_of(fer2013.CODES.get(cells["emotion"], "")) == expression
        return None

    def guard(self, items: Iterable[ScanItem]) -> Iterator[ScanItem]:
        yield from items
        if self.compared >= _COMPARED and self.agreed < _AGREED_FRACTION * self.compared:
            raise DatabaseLayoutError(
                f"{self.key}: of {self.compared} rows of {self.table.path}, {self.agreed} have the class that FER+ "
                f"gives them: their rows do not belong together. {_ADVICE}"
            )
