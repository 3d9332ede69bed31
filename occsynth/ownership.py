"""Who made a file or folder, and who works in it now: commands replace only what they made themselves.

A command that writes into a folder claims it with `owned_folder`: the folder must be new, empty, or made by the same
command, and only one process works in it at a time. A command that writes one file, which the user names, asks
`refuse_foreign_file` first. Loads nothing heavy.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from occsynth.files import replacing
from occsynth.reading import read_json

LOCK, OWNER = ".owner.lock", ".owner.json"
MARK = "made by {}"
"""Stands near the start of pages and pictures that a command writes, with the command's name."""
_MARK_WITHIN_BYTES = 4096


def refuse_foreign_file(path: Path, maker: str, error: type[Exception], *, overwrite: bool = False) -> None:
    """Raises `error` if `path` exists, unless `overwrite` is given or the file carries the maker's mark.

    Args:
        path: the file that is about to be written.
        maker: the command that writes it, such as `occsynth stats`; see `MARK`.
        error: the class to raise; its message names the file and the flag.
        overwrite: whether the user has said that it may be replaced.
    """
    if path.is_dir():
        raise error(f"{path} is a folder; give the name of a file")
    if not overwrite and os.path.lexists(path) and not _carries_mark(path, maker):
        raise error(
            f"{path} already exists and was not made by `{maker}`. Give another name, or --overwrite to replace it"
        )


def _carries_mark(path: Path, maker: str) -> bool:
    try:
        with path.open("rb") as file:
            return MARK.format(maker).encode() in file.read(_MARK_WITHIN_BYTES)
    except OSError:
        return False


@contextmanager
def owned_folder(
    folder: Path,
    maker: str,
    error: type[Exception],
    *,
    overwrite: bool = False,
    made_before: Callable[[Path], bool] = lambda _folder: False,
) -> Iterator[None]:
    """Makes a folder or claims an existing one, and keeps other processes out of it until the block ends.

    The lock ends with its process, however that ends. Who made a folder stays written in it.

    Args:
        folder: where the command is about to write.
        maker: the command, such as `occfer train`.
        error: the class to raise.
        overwrite: whether the user has said that files of the same names may be replaced.
        made_before: whether a folder without a mark is the work of an earlier version of the same command.

    Raises:
        Exception: of class `error`: another process works in the folder (which, and since when), the folder was made
            by something else (its first file, and the flag), or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:  # an OSError too
            raise error(
                f"{folder} is in use by {holder(folder)}; wait for it to end, or choose another folder"
            ) from None
    except OSError as reason:
        raise error(f"{folder} cannot be written to: {reason.strerror or reason}; choose another folder") from reason
    try:
        if not overwrite:
            _refuse_foreign_folder(folder, maker, error, made_before)
        _write_owner(folder, maker, error, at_work=True)
        try:
            yield
        finally:
            _write_owner(folder, maker, error, at_work=False)
    finally:
        lock.release()


def holder(folder: Path) -> str:
    """Who works in a folder and since when, as far as it is written there, such as `occfer train (process 12 ...)`."""
    try:
        facts = read_json(folder / OWNER, ValueError)
    except ValueError:
        facts = {}
    if "process" not in facts:
        return "another process"
    return f"`{facts.get('made_by')}` (process {facts['process']} on {facts.get('host')}, since {facts.get('since')})"


def maker_of(folder: Path) -> str:
    """The command that made a folder; empty if none is written there."""
    try:
        return str(read_json(folder / OWNER, ValueError).get("made_by", ""))
    except ValueError:
        return ""


def _refuse_foreign_folder(
    folder: Path, maker: str, error: type[Exception], made_before: Callable[[Path], bool]
) -> None:
    there = sorted(path.name for path in folder.iterdir() if path.name not in (LOCK, OWNER))
    owner = maker_of(folder)
    if not there or owner == maker or (not owner and made_before(folder)):
        return
    (folder / LOCK).unlink(missing_ok=True)  # a foreign folder stays as it was
    by = f"was made by `{owner}`" if owner else f"holds files that `{maker}` did not make, such as {there[0]}"
    raise error(f"{folder} {by}. Choose another folder, or give --overwrite to write into this one")


def _write_owner(folder: Path, maker: str, error: type[Exception], *, at_work: bool) -> None:
    facts: dict[str, str | int] = {"made_by": maker}
    if at_work:
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        facts |= {"process": os.getpid(), "host": socket.gethostname(), "since": since}
    if not folder.is_dir():  # the block may have deleted it
        return
    try:
        with replacing(folder / OWNER) as temporary:
            temporary.write_text(json.dumps(facts) + "\n", encoding="utf-8")
    except OSError as reason:
        raise error(f"{folder} cannot be written to: {reason.strerror or reason}; choose another folder") from reason
