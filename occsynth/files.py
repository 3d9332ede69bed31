"""Paths that stay inside their root, and files that are written whole or not at all. Loads nothing heavy."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate, islice
from pathlib import Path

from occsynth.errors import BuildError, ManifestError


def inside(root: Path, relative: str) -> Path:
    """`root / relative`.

    Raises:
        ManifestError: the path names no file, is absolute, has backslashes, a drive or `..`, or a link leads outside.
    """
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    unsafe = relative.startswith("/") or ".." in parts or "\\" in relative or "\0" in relative
    if unsafe or not parts or parts[0].endswith(":"):
        raise ManifestError(f"path '{relative}' leaves its root {root}; paths must be relative, with forward slashes")
    path = root / relative
    places = islice(accumulate(parts, "{}/{}".format, initial=str(root)), 1, None)
    if any(map(os.path.islink, places)) and not path.resolve().is_relative_to(root.resolve()):
        raise ManifestError(f"path '{relative}' leaves its root {root} through a link")
    return path


def write_atomic(path: Path, content: bytes, temporary_folder: Path | None = None) -> None:
    """Writes under a temporary name, then renames: a reader sees the whole file or none.

    The folder of `path` is made if it is missing.

    Args:
        temporary_folder: on the same file system; default the folder of `path`.

    Raises:
        BuildError: disk full, read-only, no permission; the temporary file is removed.
    """
    with explained_os_errors(path):
        try:
            _write(path, content, temporary_folder)
        except FileNotFoundError:  # checking for the folder before every write would slow down a build
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content, temporary_folder)


def _write(path: Path, content: bytes, temporary_folder: Path | None) -> None:
    with replacing(path, temporary_folder) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path, temporary_folder: Path | None = None) -> Iterator[Path]:
    """Yields a temporary path to write to; it is renamed to `path` at the end, or removed after an error.

    Args:
        path: the file to create or replace; its folder exists.
        temporary_folder: on the same file system, since only there a rename is atomic; default the folder of `path`.

    Raises:
        OSError: writing or renaming failed.
    """
    # a temporary name of its own lets several processes write the same file; `text_file` compresses by `.gz`
    ending = ".tmp.gz" if path.name.endswith(".gz") else ".tmp"
    temporary = (temporary_folder or path.parent) / f".{uuid.uuid4().hex}{ending}"
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
