"""Progress of long commands on stderr: a bar on a terminal, elsewhere a line for each epoch."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from occfer.events import Event, OnStep
from occsynth.cli.output import counted, say
from occsynth.cli.pace import PAUSE_S, Clock, Counts, duration, every_minute
from occsynth.escapes import for_terminal

if TYPE_CHECKING:
    from occfer.jobs.graph import ParallelMap

# What a step's event holds beside its loss terms, and the order of the terms around those of the method's losses.
NOT_TERMS = frozenset({"event", "stage", "epoch", "epochs", "round", "rounds", "images_per_s", "rates", "val_loss"})
VALIDATED = ("val_accuracy", "val_uar")
FIRST_TERMS, LAST_TERMS = ("total", "sup"), ("d", "d_accuracy", *VALIDATED)


def telling(
    run: "ParallelMap",
    say: Callable[[str], None],
    now: Callable[[], float] = time.monotonic,
    wait: Callable[[threading.Event], bool] | None = None,
) -> "ParallelMap":
    """The same loop over jobs, which says once a minute how many have ended: a job alone may take hours.

    Args:
        run: calls a function for each job, and yields the results as they come.
        say: prints a line.
        now: the clock.
        wait: see `every_minute`.
    """

    def told(work: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        waiting, began_s = list(jobs), now()
        ended = 0

        def tell() -> None:
            passed_s = now() - began_s
            left = f", {duration(passed_s / ended * (len(waiting) - ended))} left for these" if ended else ""
            say(f"at work for {duration(passed_s)}: {ended} of {len(waiting)} jobs that can run now have ended{left}")

        with every_minute(tell, wait):
            for result in run(work, waiting):
                ended += 1
                yield result

    return told


@contextmanager
def progress() -> Iterator[OnStep]:
    """A callback for the events of `occfer.events`; it shows them until the block ends."""
    if sys.stderr.isatty():
        with _terminal() as on_step:
            yield on_step
    else:
        yield PlainLines(partial(say, err=True))


class PlainLines:
    """Prints a line for each note and epoch, and one per minute in long epochs, and while images are read or asked."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        """Takes the function that prints a line, and the clock."""
        self.say = say
        self._clock, self._counts = Clock(now), Counts(say, Clock(now))
        self._last_s = float("-inf")

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        if event["event"] == "note":
            self.say(event["text"])
        elif event["event"] == "fold":
            self.say(_fold(event))
        elif event["event"] == "step":
            left_s = self._clock.left_s(event["stage"], event["round"], event["rounds"])
            if ends_epoch(event) or self._clock.now() - self._last_s >= PAUSE_S:
                self._last_s = self._clock.now()
                self.say(line(event, left_s))
        elif event["done"] == event["rows"]:
            self.say(f"{_DOING[event['event']]}: {event['rows']} pairs")
        else:
            self._counts(_DOING[event["event"]], event["done"], event["rows"])


_DOING = {"pack": "decoded", "predict": "predicted", "explain": "explained"}


def ends_epoch(event: Event) -> bool:
    """Whether a step is the last of its epoch."""
    return bool(event["round"] * event["epochs"] == event["epoch"] * event["rounds"])


def line(event: Event, left_s: float | None) -> str:
    """`guidance epoch 2/10: total 0.512 sup 0.404 ..., 131 images/s, 0:01:12 left`."""
    parts = [f"{event['stage']} epoch {event['epoch']}/{event['epochs']}: {terms(event)}"]
    if event["round"]:  # before the first round nothing was trained
        parts.append(f"{event['images_per_s']:.0f} images/s")
    if left_s is not None:
        parts.append(f"{duration(left_s)} left")
    return ", ".join(parts)


def terms(event: Event) -> str:
    """The loss terms of a step, and the validation accuracy and UAR if an epoch ends."""
    losses = (name for name in event if name not in NOT_TERMS.union(FIRST_TERMS, LAST_TERMS))
    known = [(name, event[name]) for name in (*FIRST_TERMS, *losses, *LAST_TERMS) if name in event]
    return " ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in known)


def _fold(event: Event) -> str:
    return f"fold {event['fold']} ({event['done'] + 1} of {event['folds']})"


@contextmanager
def _terminal() -> Iterator[OnStep]:
    """A bar, and below it the loss terms, which would not fit beside it on a narrow terminal."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TaskID, TextColumn
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[text]}", markup=False),
    )
    bar, losses = Progress(*columns, console=console), Text()
    tasks: dict[str, TaskID] = {}
    clock = Clock()
    best: dict[str, float] = {}

    def show(name: str, done: int, total: int, text: str) -> None:
        if name not in tasks:
            tasks[name] = bar.add_task(for_terminal(name), total=total, text="")
        bar.update(tasks[name], completed=done, total=total, text=text)
        if done >= total:
            bar.remove_task(tasks.pop(name))

    def on_step(event: Event) -> None:
        if event["event"] in ("note", "fold"):
            console.print(Text(for_terminal(event["text"] if event["event"] == "note" else _fold(event))))
        elif event["event"] == "step":
            stage = event["stage"]
            if "val_accuracy" in event:
                best[stage] = max(best.get(stage, 0.0), event["val_accuracy"])
            known = f", best val accuracy {best[stage]:.3f}" if stage in best else ""
            left_s = clock.left_s(stage, event["round"], event["rounds"])
            show(stage, event["round"], event["rounds"], pace(event, left_s))
            losses.plain = terms({name: event[name] for name in event if name not in VALIDATED}) + known
            if event["round"] == event["rounds"]:
                losses.plain = ""
                console.print(Text(f"{stage}: {counted(event['epochs'], 'epoch')}{known}"))
        else:
            show(_DOING[event["event"]], event["done"], event["rows"], f"{event['done']}/{event['rows']} pairs")

    with Live(Group(bar, losses), console=console, transient=True, refresh_per_second=4):
        yield on_step


def pace(event: Event, left_s: float | None) -> str:
    """`epoch 2/10  131 images/s  0:01:12 left`."""
    parts = [f"epoch {event['epoch']}/{event['epochs']}", f"{event['images_per_s']:.0f} images/s"]
    return "  ".join(parts + ([] if left_s is None else [f"{duration(left_s)} left"]))
