"""Reading a raw database's folders and label files. Nothing outside the root is ever read."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from occsynth.databases.naming import name_fault
from occsynth.databases.own_folders import made_here, own_folder
from occsynth.databases.record import Reject
from occsynth.errors import DatabaseLayoutError, ManifestError
from occsynth.escapes import printable
from occsynth.files import inside, relative_to
from occsynth.reading import read_cells

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
GUARD = "export-to-train"
"""A folder in each folder of images of a build, see `occsynth.build.guard`; no database has one of this name."""
_LITTER = ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", ".ds_store", GUARD)
_LONGEST_LINE = 1 << 16
_SHOWN = 6
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def is_litter(name: str) -> bool:
    """Whether an operating system or a build, not the database's authors, left this file or folder."""
    return name.lower() in _LITTER or name.startswith("._")


def is_image_name(name: str) -> bool:
    """Whether the name has an image's ending."""
    return name.lower().endswith(IMAGE_ENDINGS)


@dataclass(slots=True)
class Listing:
    """The content of a folder, sorted by name, without the litter of operating systems.

    Attributes:
        folders, files: their names.
        faults: what is not used: links out of the root, linked folders, devices, and what occsynth or occfer made.
    """

    folders: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    faults: list[Reject] = field(default_factory=list)


def join(folder: str, name: str) -> str:
    """A path under the root from a folder and a name, either of which may be empty."""
    return f"{folder}/{name}" if folder and name else folder or name


def list_folder(root: Path, folder: str = "") -> Listing:
    """Lists the folder `root / folder`; empty if it does not exist. Raises DatabaseLayoutError if it is unreadable."""
    listing = Listing()
    try:
        with os.scandir(root / folder) as found:
            entries = sorted((entry for entry in found if not is_litter(entry.name)), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return listing
    except OSError as error:
        raise DatabaseLayoutError(f"{root / folder} cannot be read: {error.strerror or error}") from error
    for entry in entries:
        path = join(folder, entry.name)
        reason = _link_fault(root, path, entry)
        if reason:
            listing.faults.append(Reject(path, reason))
        elif entry.is_dir() and made_here(root / path):
            listing.faults.append(own_folder(path))
        elif entry.is_dir():
            listing.folders.append(entry.name)
        elif entry.is_file():
            listing.files.append(entry.name)
        else:
            listing.faults.append(Reject(path, "neither a file nor a folder"))
    return listing


def _link_fault(root: Path, path: str, entry: os.DirEntry[str]) -> str | None:
    if not entry.is_symlink():
        return None
    if entry.is_dir():
        return "a link to a folder, which is not followed; move the folder here, or give it as --root"
    return _outside(root, path) or (None if entry.is_file() else "a link that leads nowhere")


def _outside(root: Path, path: str) -> str | None:
    try:
        inside(root, path)
    except (ManifestError, OSError, RuntimeError, ValueError):
        return "leads out of the root, so it is not read"
    return None


def file_fault(root: Path, path: str) -> str | None:
    """Why a file that a label file names cannot be used, such as that it is missing; None if it can be used."""
    fault = name_fault(path) or _outside(root, path)
    if fault:
        return f"listed, but {fault}"
    try:
        there = (root / path).is_file()
    except OSError as error:
        return f"listed, but cannot be looked up: {error.strerror}"
    return None if there else "listed, but missing"


def walk(root: Path, folder: str) -> Iterator[str | Reject]:
    """Yields every file at any depth below `folder`, as a path under the root, and a reject per fault.

    Only the folders on the way are held in memory.
    """
    listing = list_folder(root, folder)
    yield from listing.faults
    yield from (join(folder, name) for name in listing.files)
    for name in listing.folders:
        yield from walk(root, join(folder, name))


def find_folder(root: Path, candidates: Sequence[str]) -> str | None:
    """The first of the candidates that is a folder under the root, or None.

    Raises:
        DatabaseLayoutError: it is a link that leads out of the root.
    """
    return next((path for path in candidates if (root / path).is_dir() and _within(root, path)), None)


def find_file(root: Path, candidates: Sequence[str]) -> str | None:
    """Like `find_folder`, for files."""
    return next((path for path in candidates if (root / path).is_file() and _within(root, path)), None)


def _within(root: Path, path: str) -> bool:
    if path and _outside(root, path):
        raise DatabaseLayoutError(
            f"{root / path} is a link that leads out of {root}, so it is not read. Give the folder that really holds "
            "it as --root, or move it here"
        )
    return True


def not_found(key: str, root: Path, looked_for: str, expects: str) -> DatabaseLayoutError:
    """The error for a database that was not found: what was looked for, where, what is there, what --root must be."""
    listing = list_folder(root)
    names = [f"{name}/" for name in listing.folders] + listing.files + [fault.source for fault in listing.faults]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    there = ", ".join(map(printable, names[:_SHOWN])) + more if names else "nothing"
    return DatabaseLayoutError(
        f"{key}: {looked_for} not found in {root} (found there: {there}). --root must be {expects}"
    )


def read_text(path: Path, limit: int = _LONGEST_LINE) -> str | None:
    """The text of a small label file, or None if it is unreadable or longer than `limit` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError:
        return None
    return None if len(content) > limit else content.decode("utf-8-sig", "replace")


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines with their numbers from 1, stripped, without blank ones; only one line is in memory.

    Bytes that are not UTF-8 become surrogates, so that a bad name becomes a reject and not an error.

    Raises:
        DatabaseLayoutError: unreadable, UTF-16, or a line too long for a label file.
    """
    number = 0
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            for line in iter(lambda: file.readline(_LONGEST_LINE), ""):
                number += 1
                if len(line) == _LONGEST_LINE:
                    raise DatabaseLayoutError(f"{path}, line {number}: longer than any line of a label file")
                if number == 1:
                    _refuse_utf16(path, line)
                if line.strip():
                    yield number, line.strip()
    except OSError as error:
        raise DatabaseLayoutError(f"{path} cannot be read: {error.strerror or error}") from error


def _refuse_utf16(path: Path, start: str) -> None:
    if start.startswith(("\udcff\udcfe", "\udcfe\udcff")) or "\0" in start:
        raise DatabaseLayoutError(f"{path} is UTF-16 text or no text; save it as UTF-8")


def csv_entries(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the cells of a CSV's entries, header included, with the number of their line, from 1.

    Empty entries are left out, and only one entry is in memory. Bytes that are not UTF-8 become surrogates.

    Raises:
        DatabaseLayoutError: unreadable, UTF-16 or malformed, with the line; or an entry goes on over several lines: a
            quotation mark that is not closed would make one entry of many, and no cell here holds a line end.
    """
    before = 0
    for number, cells in read_cells(path, DatabaseLayoutError, encoding="utf-8-sig", errors="surrogateescape"):
        if before == 0 and cells:
            _refuse_utf16(path, cells[0])
        if number > before + 1:
            raise DatabaseLayoutError(
                f"{path}, lines {before + 1} to {number} are one entry: a quotation mark in line {before + 1} is not "
                "closed there"
            )
        before = number
        if any(cell.strip() for cell in cells):
            yield number, cells


def header_of(path: Path) -> list[str]:
    """The cells of a CSV's first line, stripped; empty if that line is blank."""
    number, cells = next(csv_entries(path), (1, []))
    return [cell.strip() for cell in cells] if number == 1 else []


def by_column(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str] | str:
    """Each column's cell of a CSV's entry, stripped, as far as the entry goes; or what is wrong with it.

    An entry with more cells than columns has a comma in one of them: which one, nobody can say.
    """
    if any(cell.strip() for cell in cells[len(columns) :]):
        return f"the line has {len(cells)} cells, but there are {len(columns)} columns"
    return dict(zip(columns, (cell.strip() for cell in cells), strict=False))


def lacks_columns(wanted: Sequence[str], header: Sequence[str]) -> str | None:
    """What a CSV's header lacks, with the columns found; None if it has them all, and each once."""
    missing = [name for name in wanted if name not in header]
    found = printable(", ".join(header))[:200] or "none"
    if missing:
        separator = next((name for mark, name in _SEPARATORS.items() if len(header) == 1 and mark in header[0]), None)
        advice = f"; its columns are separated by {separator}: save it with commas" if separator else ""
        return f"it lacks the columns {', '.join(missing)}; it has: {found}{advice}"
    twice = [name for name in wanted if header.count(name) > 1]
    return f"it has the column {twice[0]} more than once: {found}" if twice else None


def listed_path(root: Path, path: str, folder: str = "") -> str:
    """The path under the root of a file that a label file names, relative to `folder` or absolute.

    An absolute path that does not lie in the root stays as it is; `file_fault` refuses it.
    """
    return relative_to(root, path) if path.startswith("/") else join(folder, path)
