"""Keeping what C and C++ libraries print themselves off the terminal. Loads nothing heavy."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_locks = [threading.RLock()]


def _renew_lock() -> None:
    """Called in a forked child: the thread that held the lock was not copied."""
    _locks[0] = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Discards what is written to file descriptor 2: libjpeg and MediaPipe log to it and have no switch that stops it.

    One thread at a time: of two that overlap, the later one would take the discarded stream for the usual one.
    """
    with _locks[0]:
        try:
            saved = os.dup(2)
        except OSError:  # a process without stderr
            yield
            return
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
