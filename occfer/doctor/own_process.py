"""A check in a process of its own: its fault, its crash or its endless wait ends that process and nothing else."""

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Generic, TypeVar

from occsynth.processes import safe_module_paths
from occsynth.reading import one_line

Answer = TypeVar("Answer")

_KEPT_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Ended(Generic[Answer]):
    """How the process ended.

    Attributes:
        answer: what the work returned; None if it did not.
        fault: why not, in one line; empty if it did.
        log: the end of what the process and those that it started have printed.
    """

    answer: Answer | None
    fault: str
    log: str


def in_own_process(work: Callable[[], Answer], log: Path, limit_s: float) -> Ended[Answer]:
    """Calls `work` in a new process, which may start others; all of them are gone when this returns.

    Args:
        work: can be pickled, as its answer can.
        log: a file that does not exist yet, for what they print.
        limit_s: after so many seconds they are killed.
    """
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(work, writer, log))
    with safe_module_paths():
        process.start()
    writer.close()  # so that the end of the process is the end of the pipe
    answer, fault = None, f"it was not done after {limit_s:.0f} s, its limit, and was stopped"
    try:
        if reader.poll(limit_s):
            answer, fault = reader.recv()
    except EOFError:
        fault = ""
    finally:
        _end(process)
        reader.close()
    if answer is None and not fault:
        fault = f"its process ended without an answer (exit code {process.exitcode}), perhaps because memory ran out"
    return Ended(answer, fault, _end_of(log))


def _end(process: SpawnProcess) -> None:
    """Kills a process and its group, which it does not have before its first line, nor after its end."""
    if process.pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _answer(work: Callable[[], Answer], writer: Connection, log: Path) -> None:
    os.setsid()  # a group of its own, which the processes that it starts belong to
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        answer, fault = work(), ""
    except Exception as error:
        traceback.print_exc()
        answer, fault = None, f"{type(error).__name__}: {one_line(error)}"
    writer.send((answer, fault))


def _end_of(log: Path) -> str:
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _KEPT_BYTES))
        return file.read().decode("utf-8", "replace")
