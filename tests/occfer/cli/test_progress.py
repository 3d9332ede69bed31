"""What long commands say without a terminal: the loop over jobs, driven by a clock of its own."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from occfer.cli.progress import telling


def test_jobs_say_once_a_minute_how_many_have_ended() -> None:
    said: queue.Queue[str] = queue.Queue()
    minutes: queue.Queue[bool] = queue.Queue()
    now = [0.0]

    def a_minute_passes() -> str:
        now[0] += 60
        minutes.put(False)
        return said.get(timeout=60)

    heard: list[str] = []

    def run(work: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        for job in jobs:
            heard.append(a_minute_passes())
            yield work(*job)
        heard.append(a_minute_passes())
        minutes.put(True)

    told = telling(run, said.put, lambda: now[0], lambda _event: minutes.get(timeout=60))
    assert list(told(lambda number: number * 2, [(1,), (2,)])) == [2, 4]
    assert heard == [
        "at work for 0:01:00: 0 of 2 jobs that can run now have ended",
        "at work for 0:02:00: 1 of 2 jobs that can run now have ended, 0:02:00 left for these",
        "at work for 0:03:00: 2 of 2 jobs that can run now have ended, 0:00:00 left for these",
    ]


def test_a_loop_that_ends_or_fails_says_nothing_more() -> None:
    def run(_work: Callable[..., Any], _jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        yield 1
        raise ValueError("a job cannot run")

    before = threading.active_count()
    said: list[str] = []
    with pytest.raises(ValueError, match="a job cannot run"):
        list(telling(run, said.append)(print, [(1,)]))
    next(telling(run, said.append)(print, [(1,)]))  # dropped after its first result
    assert (said, threading.active_count()) == ([], before)
