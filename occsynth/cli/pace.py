"""How far a long command is, in words, for logs: once a minute, with the rate and the time left."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PAUSE_S = 60.0
"""Between two lines of something that takes long."""


def duration(seconds: float) -> str:
    """`0:01:12`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}"


@dataclass(slots=True)
class Clock:
    """Estimates rate and time left of what is counted under a name, since its first count or the last `restart`."""

    now: Callable[[], float] = time.monotonic
    _name: str = ""
    _first: tuple[float, int] = (0.0, 0)

    def rate(self, name: str, done: int) -> float | None:
        """How much is done per second; None at the first count of a name, and while nothing more is done."""
        if name != self._name:
            self.restart(name, done)
            return None
        began_s, began = self._first
        passed_s = self.now() - began_s
        return (done - began) / passed_s if done > began and passed_s > 0 else None

    def left_s(self, name: str, done: int, total: int) -> float | None:
        """Seconds until all is done; None while the rate is not known."""
        rate = self.rate(name, done)
        return None if rate is None else (total - done) / rate

    def passed_s(self) -> float:
        """Seconds since the first count of the name, or the last `restart`."""
        return self.now() - self._first[0]

    def restart(self, name: str, done: int) -> None:
        """Estimates from now on."""
        self._name, self._first = name, (self.now(), done)


@dataclass(slots=True)
class Counts:
    """Prints a line per minute for what is counted in phases; nothing for phases that take less.

    The rate is that of the last minute: what an interrupted call left is only looked at, and passes faster.
    """

    say: Callable[[str], None]
    clock: Clock = field(default_factory=Clock)

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Takes a count; `total` is 0 while it is not known."""
        rate = self.clock.rate(phase, done)
        if self.clock.passed_s() < PAUSE_S:
            return
        parts = [f"{phase}: {done:,} of {total:,} ({100 * done / total:.0f} %)" if total else f"{phase}: {done:,}"]
        if rate is not None:
            parts.append(f"{rate:.3g}/s" if rate < 10 else f"{rate:,.0f}/s")
            parts += [f"{duration((total - done) / rate)} left"] if total else []
        self.clock.restart(phase, done)
        self.say(", ".join(parts))


@contextmanager
def every_minute(tell: Callable[[], None], wait: Callable[[threading.Event], bool] | None = None) -> Iterator[None]:
    """Calls `tell` once a minute until the block ends, for work that reports nothing while it runs.

    Args:
        tell: runs in a thread of its own.
        wait: waits for the next call; returns True when the block has ended.
    """
    ended = threading.Event()
    ends = wait or (lambda event: event.wait(PAUSE_S))

    def run() -> None:
        while not ends(ended):
            tell()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
