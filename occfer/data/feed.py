"""Worker processes that make batches ahead of their use: torch's DataLoader over the numbers of batches.

What a worker is asked for is a number, and what it makes is a function of that number. So neither the number of workers
nor a restart changes a batch.

Workers are forked by a server process that has loaded this module and nothing of the run. A fork of the process that
trains could inherit locks that its threads hold, or the state of a GPU; and a fresh Python process for each worker
would load torch each time.
"""

import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Generic, TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from occfer.errors import OccFERError, TrainingError
from occsynth.processes import safe_module_paths
from occsynth.reading import one_line

Item = TypeVar("Item")

AHEAD = 2  # items that each worker makes ahead of their use
_ENDLESS = 2**62


class Feed(Generic[Item]):
    """Items by their numbers; those that follow the last one asked for are already being made.

    Args:
        make: makes the item of a number; it is pickled, and so are its items.
        workers: number of processes, at least 1.
        preload: names of modules that the workers need.
    """

    def __init__(self, make: Callable[[int], Item], workers: int, *, preload: Sequence[str] = ()) -> None:
        self._make, self._workers = make, workers
        self._preload = [__name__, *preload]
        self._made: Any = None
        self._number = 0

    def item(self, number: int) -> Item:
        """The item of that number, counted from 0; asking for the next one each time is what is fast.

        Raises:
            OccFERError: what `make` has raised; anything else that it has raised is a TrainingError in one line.
            TrainingError: a worker died.
        """
        if self._made is None or number != self._number:
            self.close()
            self._made = self._start(number)
        try:
            made = next(self._made)
        except RuntimeError as error:  # of torch, which has found a worker dead
            raise TrainingError(
                f"a process that makes batches was killed ({one_line(error)}); perhaps memory or /dev/shm ran "
                "out: try fewer --workers, or 0, and continue with --resume"
            ) from error
        if isinstance(made, OccFERError | MemoryError):
            raise made
        self._number = number + 1
        item: Item = made
        return item

    def close(self) -> None:
        """Ends the workers, and waits until they have ended."""
        made, self._made = self._made, None
        if made is not None:
            # torch ends workers with the iterator, which the traceback of an error would still hold
            made._shutdown_workers()

    def _start(self, number: int) -> Iterator[Item | OccFERError | MemoryError]:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(self._preload)
        with safe_module_paths(), _without_main(), warnings.catch_warnings():
            # of more workers than cores, which the user has asked for
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            loader = DataLoader(
                _Items(self._make),
                batch_size=None,
                sampler=range(number, _ENDLESS),
                num_workers=self._workers,
                prefetch_factor=AHEAD,
                multiprocessing_context=context,
                worker_init_fn=_begin,
                generator=torch.Generator(),  # torch's own must not advance
            )
            return iter(loader)


@contextmanager
def _without_main() -> Iterator[None]:
    """While the block runs, processes that start do not load the user's script.

    A worker needs nothing of it, and a script that trains as soon as it is loaded would train again in each worker.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class _Items(Dataset[Any]):
    """What the workers hold: `make`, whose errors come back as items, because torch would add a traceback to them."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make

    def __getitem__(self, number: int) -> Any:
        try:
            return self._make(number)
        except (OccFERError, MemoryError) as error:
            return error
        except Exception as error:
            described = TrainingError(f"making batch {number} failed: {type(error).__name__}: {one_line(error)}")
            described.add_note(traceback.format_exc())
            return described


def _begin(_worker: int) -> None:
    """Readies a worker: Ctrl-C, which reaches all processes of a terminal, ends it through the process that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        # torch watches the parent process as the system knows it, which is the server and outlives a killed training
        parent.join()
        os._exit(1)
