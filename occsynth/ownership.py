"""Who made a file or folder, and who works in it now: commands replace only what they made themselves.

A command that writes into a folder claims it with `owned_folder`: the folder must be new, empty, or made by the same
command, and only one process works in it at a time. A command that writes one file, which the user names, asks
`refuse_foreign_file` first. Processes that share a cache make an entry of it under `take_turn`. Loads nothing heavy.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from occsynth.files import PART, replacing
from occsynth.reading import read_json

LOCK, OWNER = ".owner.lock", ".owner.json"
MARK = "made by {}"
"""Stands near the start or the end of pages and pictures that a command writes, with the command's name."""
_MARK_WITHIN_BYTES = 4096
OR_OVERWRITE = "Choose another folder, or give --overwrite to write into this one"


def refuse_foreign_file(
    path: Path,
    maker: str,
    error: type[Exception],
    *,
    overwrite: bool = False,
    is_own: Callable[[Path], bool] = lambda _path: False,
) -> None:
    """Raises `error` if `path` exists, unless `overwrite` is given or the file was made by the same command.

    Args:
        path: the file that is about to be written.
        maker: the command that writes it, such as `occsynth stats`; see `MARK`.
        error: the class to raise; its message names the file and the flag.
        overwrite: whether the user has said that it may be replaced.
        is_own: whether a file without a mark is the command's work all the same, for formats that have no place for it.
    """
    if path.is_dir():
        raise error(f"{path} is a folder; give the name of a file")
    if not overwrite and os.path.lexists(path) and not (_carries_mark(path, maker) or is_own(path)):
        raise error(
            f"{path} already exists and was not made by `{maker}`. Give another name, or --overwrite to replace it"
        )


def _carries_mark(path: Path, maker: str) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(_MARK_WITHIN_BYTES)
            file.seek(max(0, path.stat().st_size - _MARK_WITHIN_BYTES))  # where a PDF says who made it
            return any(MARK.format(maker).encode() in part for part in (start, file.read(_MARK_WITHIN_BYTES)))
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
    advice: str = OR_OVERWRITE,
) -> Iterator[None]:
    """Makes a folder or claims an existing one, and keeps other processes out of it until the block ends.

    The lock ends with its process, however that ends. Who made a folder stays written in it. A new folder into which
    the block has written nothing before it failed is removed again.

    Args:
        folder: where the command is about to write.
        maker: the command, such as `occfer train`.
        error: the class to raise.
        overwrite: whether the user has said that files of the same names may be replaced.
        made_before: whether a folder without a mark is the work of an earlier version of the same command.
        advice: what the user can do about a foreign folder, for commands that have no `--overwrite`.

    Raises:
        Exception: of class `error`: another process works in the folder (which, and since when), the folder was made
            by something else (its first file, and the advice), or it cannot be written to.
    """
    lock = FileLock(folder / LOCK)
    with _explained(folder, error):
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:  # an OSError too
            raise error(
                f"{folder} is in use by {holder(folder / OWNER)}; wait for it to end, or choose another folder"
            ) from None
    try:
        if not overwrite:
            _refuse_foreign_folder(folder, maker, error, made_before, advice)
        with _explained(folder, error):
            _write_owner(folder / OWNER, maker, at_work=True)
        try:
            yield
        except BaseException:
            if not (is_new and _removed(folder)):
                with suppress(OSError):  # a full disk, for example: what the block has raised says more
                    _write_owner(folder / OWNER, maker, at_work=False)
            raise
        with _explained(folder, error):
            _write_owner(folder / OWNER, maker, at_work=False)
    finally:
        lock.release()


@contextmanager
def _explained(folder: Path, error: type[Exception]) -> Iterator[None]:
    try:
        yield
    except OSError as reason:
        raise error(f"{folder} cannot be written to: {reason.strerror or reason}; choose another folder") from reason


def take_turn(stack: ExitStack, entry: Path, maker: str, *, wait_s: float = 2.0) -> str:
    """Tries to become the only process that makes an entry of a cache, until the stack is closed.

    Whoever was not the first asks again until it is its turn, and then looks whether the entry is there by now:

        with ExitStack() as stack:
            while other := take_turn(stack, entry, "occfer train"):
                say(f"waiting for {other}")
            if not entry.exists():
                make(entry)

    Args:
        stack: keeps the turn; it ends with the process too, however that ends.
        entry: the file or folder that is about to be made; the files of the lock lie beside it.
        maker: the command, for those who wait.
        wait_s: how long one call waits for its turn.

    Returns:
        Empty if it is this process's turn; else who makes the entry, and since when.

    Raises:
        OSError: the folder cannot be written to.
    """
    owner = entry.with_name(f".{entry.name}{OWNER}")
    lock = FileLock(entry.with_name(f".{entry.name}{LOCK}"))
    entry.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        return holder(owner)
    stack.callback(lock.release)
    _write_owner(owner, maker, at_work=True)
    stack.callback(owner.unlink, missing_ok=True)
    return ""


def holder(owner: Path) -> str:
    """Who works now and since when, as a file of `OWNER` says, such as `occfer train (process 12 ...)`."""
    try:
        facts = read_json(owner, ValueError)
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
    folder: Path, maker: str, error: type[Exception], made_before: Callable[[Path], bool], advice: str
) -> None:
    there = _foreign(folder)
    owner = maker_of(folder)
    if not there or owner == maker or (not owner and made_before(folder)):
        return
    (folder / LOCK).unlink(missing_ok=True)  # a foreign folder stays as it was
    by = f"was made by `{owner}`" if owner else f"holds files that `{maker}` did not make, such as {there[0]}"
    raise error(f"{folder} {by}. {advice}")


def _foreign(folder: Path) -> list[str]:
    """Names in a folder, without those that claiming it leaves there."""
    return sorted(path.name for path in folder.iterdir() if path.name not in (LOCK, OWNER) and not path.match(PART))


def _removed(folder: Path) -> bool:
    """Removes a folder that holds nothing but what claiming it has left there; returns whether it did."""
    try:
        if _foreign(folder):
            return False
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    except OSError:
        return False
    return True


def _write_owner(path: Path, maker: str, *, at_work: bool) -> None:
    facts: dict[str, str | int] = {"made_by": maker}
    if at_work:
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        facts |= {"process": os.getpid(), "host": socket.gethostname(), "since": since}
    if not path.parent.is_dir():  # the block may have deleted it
        return
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(facts) + "\n", encoding="utf-8")
