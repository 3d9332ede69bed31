"""The JSON, CSV and text files of runs and results: written whole or not at all, read within bounds.

A sealed JSON file holds checksums of itself and of files beside it, so damage of the disk is noticed when they are
read. Files of version 0.1 have no seal, which is not a fault.
"""

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from occfer.errors import DamagedError
from occsynth.escapes import for_csv
from occsynth.files import is_file, replacing
from occsynth.reading import read_json as read_json_object

SEAL = "checksums"
"""The key of a sealed JSON file under which the SHA-256 of each file stands, by its path relative to the folder."""


def write_text(path: Path, text: str) -> None:
    """Writes a text file, UTF-8, atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Writes a CSV file, UTF-8 with `\\n` at the end of each line, atomically.

    Every cell is escaped for spreadsheets; who reads the file takes that back with `occsynth.escapes.from_csv`.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(for_csv, header))
        writer.writerows(map(for_csv, line) for line in lines)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; raises DamagedError where there is none."""
    return read_json_object(path, DamagedError)


def write_sealed(path: Path, content: Mapping[str, Any], files: Iterable[Path] = ()) -> None:
    """Writes a JSON file atomically, with checksums of its content and of files in its folder or below.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_sealed(Path(folder, "facts.json"), {"n": 3})
    ...     read_sealed(Path(folder, "facts.json"))
    {'n': 3}
    """
    sums = {file.relative_to(path.parent).as_posix(): file_sha256(file) for file in files}
    write_json(path, {**content, SEAL: sums | {path.name: _content_sha256(content, sums)}})


def read_sealed(path: Path, check: Callable[[str], bool] = lambda _name: True) -> dict[str, Any]:
    """The content of a sealed JSON file, without its checksums.

    Args:
        path: of the file; without a seal, its content is not checked.
        check: whether the content of the file of that name, relative to the folder, is compared; others must exist.

    Raises:
        DamagedError: the file cannot be read, or it or a file that it seals is not as it was written.
    """
    content = read_json(path)
    sums = content.pop(SEAL, None)
    if sums is None:
        return content
    own = sums.pop(path.name, None) if isinstance(sums, dict) else None
    if own is None or own != _content_sha256(content, sums):
        raise DamagedError(f"{path} is not as it was written: its checksum differs")
    for name, expected in sums.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DamagedError(f"{path} names a file out of its folder: {name}")
        file = path.parent / name
        if not is_file(file):
            raise DamagedError(f"{file} is missing, though {path.name} names it")
        if check(name) and file_sha256(file) != expected:
            raise DamagedError(f"{file} is not as it was written: its checksum in {path.name} differs")
    return content


def is_sealed(path: Path) -> bool:
    """Whether a readable JSON file holds checksums; raises DamagedError if it cannot be read."""
    return SEAL in read_json(path)


def file_sha256(path: Path) -> str:
    """SHA-256 (hexadecimal) of a file, computed again only after a change: thousands of jobs ask for the same ones.

    Raises:
        DamagedError: it cannot be read.
    """
    try:
        stat = path.stat()
        return _hashed(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=100_000)
def _hashed(path: Path, _inode: int, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content_sha256(content: Mapping[str, Any], sums: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([content, sums], sort_keys=True).encode()).hexdigest()


def digest(content: Any) -> str:
    """SHA-256 (hexadecimal) of a JSON value, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
