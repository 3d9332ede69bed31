"""Paths that stay inside their root, and files that are written whole or not at all. Loads nothing heavy."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate, islice
from pathlib import Path

from occsynth.errors import BuildError, ManifestError

PART = ".*.part*"
"""Matches the temporary names of `replacing`: a process that was killed may leave one."""


def inside(root: Path, relative: str) -> Path:
    """`root / relative`.

    Raises:
        ManifestError: the path names no file, is absolute, has backslashes, a drive or `..`, or a link leads outside.
    """
    short = relative_to(root, relative)
    if short != relative:
        raise ManifestError(f"path '{relative[:200]}' is absolute; write it relative to {root}: '{short[:200]}'")
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    unsafe = relative.startswith("/") or ".." in parts or "\\" in relative or "\0" in relative
    if unsafe or not parts or parts[0].endswith(":"):
        raise ManifestError(
            f"path '{relative[:200]}' leaves its root {root}; paths must be relative, with forward slashes"
        )
    path = root / relative
    places = islice(accumulate(parts, "{}/{}".format, initial=str(root)), 1, None)
    if any(map(os.path.islink, places)) and not path.resolve().is_relative_to(root.resolve()):
        raise ManifestError(f"path '{relative[:200]}' leaves its root {root} through a link")
    return path


def relative_to(root: Path, path: str) -> str:
    """An absolute path that lies in the root, relative to it; any other path as it is.

    >>> relative_to(Path("/raw"), "/raw/a/b.png"), relative_to(Path("/raw"), "/rawer/b.png")
    ('a/b.png', '/rawer/b.png')
    """
    if path.startswith("/"):
        for start in (root, root.absolute(), root.resolve()):
            rest = path.removeprefix(f"{start}/")
            if rest != path:
                return rest.lstrip("/")
    return path


def is_file(path: Path) -> bool:
    """Whether there is such a file; False also for what no path can be: with a NUL byte, or too long."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises an error for those


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; see `is_file`."""
    return os.path.isdir(path)  # noqa: PTH112 - as above


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path, which need not exist, is an existing folder or lies in it, also by links or another spelling."""
    path = path.resolve()
    return any(_is_same(parent, folder) for parent in (path, *path.parents))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist
        return False


def write_atomic(path: Path, content: bytes, temporary_folder: Path | None = None, *, durable: bool = True) -> None:
    """Writes under a temporary name, then renames: a reader sees the whole file or none.

    The folder of `path` is made if it is missing.

    Args:
        temporary_folder, durable: see `replacing`.

    Raises:
        BuildError: disk full, read-only, no permission; the temporary file is removed.
    """
    with explained_os_errors(path):
        try:
            _write(path, content, temporary_folder, durable)
        except FileNotFoundError:  # checking for the folder before every write would slow down a build
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content, temporary_folder, durable)


def _write(path: Path, content: bytes, temporary_folder: Path | None, durable: bool) -> None:
    with replacing(path, temporary_folder, durable=durable) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(
    path: Path, temporary_folder: Path | None = None, *, ending: str = "", durable: bool = True
) -> Iterator[Path]:
    """Yields a temporary path to write to; it is renamed to `path` at the end, or removed after an error.

    Whether the file may be replaced is decided before: see `occsynth.ownership`.

    Args:
        path: the file to create or replace; its folder exists.
        temporary_folder: on the same file system, since only there a rename is atomic; default the folder of `path`.
        ending: of the temporary name, for writers that look at it, such as `.pt2`; `.gz` is kept.
        durable: whether the content must be on the disk before the rename. Otherwise a power failure may leave an
            empty file under the name, so whoever saves the time must be able to notice it.

    Raises:
        OSError: writing or renaming failed.
    """
    # a temporary name of its own lets several processes write the same file; `text_file` compresses by `.gz`
    ending = ending or (".gz" if path.name.endswith(".gz") else "")
    temporary = (temporary_folder or path.parent) / f".{uuid.uuid4().hex}.part{ending}"
    try:
        yield temporary
        if durable:
            flush_to_disk(temporary)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def flush_to_disk(path: Path) -> None:
    """Returns when the file's content would survive a power failure."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_all_to_disk() -> None:
    """Returns when everything that was written before would survive a power failure.

    For many small files this takes a fraction of the time that flushing each of them would.
    """
    os.sync()


@contextmanager
def explained_os_errors(path: Path) -> Iterator[None]:
    """Turns an OSError while writing into a BuildError that says where, why, and that finished work is kept."""
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"cannot write {path}: {error.strerror or error}. Free some space or fix the permissions, then run the "
            "same command again: finished work is kept"
        ) from error
