"""Progress of long commands on stderr: a bar on a terminal, elsewhere a line for each epoch."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from occfer.events import Event, OnStep
from occsynth.cli.output import counted, say
from occsynth.escapes import for_terminal

# What a step's event holds beside its loss terms, and the order of the terms around those of the method's losses.
NOT_TERMS = frozenset({"event", "stage", "epoch", "epochs", "round", "rounds", "images_per_s", "val_loss"})
VALIDATED = ("val_accuracy", "val_uar")
FIRST_TERMS, LAST_TERMS = ("total", "sup"), ("d", "d_accuracy", *VALIDATED)
LEAST_PAUSE_S = 60.0  # between two lines of one epoch


@contextmanager
def progress() -> Iterator[OnStep]:
    """A callback for the events of `occfer.events`; it shows them until the block ends."""
    if sys.stderr.isatty():
        with _terminal() as on_step:
            yield on_step
    else:
        yield PlainLines(partial(say, err=True))


@dataclass(slots=True)
class Clock:
    """Estimates how long a stage still takes, from the rounds since its first event in this process."""

    now: Callable[[], float] = time.monotonic
    _stage: str = ""
    _first: tuple[float, int] = (0.0, 0)

    def left_s(self, event: Event) -> float | None:
        """Seconds to the end of the stage; None at the stage's first event."""
        if event["stage"] != self._stage:
            self._stage, self._first = event["stage"], (self.now(), event["round"])
            return None
        began_s, began_round = self._first
        done = event["round"] - began_round
        if done <= 0:
            return None
        left_s: float = (self.now() - began_s) / done * (event["rounds"] - event["round"])
        return left_s


@dataclass(slots=True)
class PlainLines:
    """Prints a line for each note and epoch, and in long epochs one per minute."""

    say: Callable[[str], None]
    clock: Clock = field(default_factory=Clock)
    _last_s: float = float("-inf")

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        if event["event"] == "note":
            self.say(event["text"])
        elif event["event"] == "fold":
            self.say(_fold(event))
        elif event["event"] == "step":
            left_s = self.clock.left_s(event)
            if ends_epoch(event) or self.clock.now() - self._last_s >= LEAST_PAUSE_S:
                self._last_s = self.clock.now()
                self.say(line(event, left_s))
        elif event["done"] == event["rows"]:
            self.say(f"{_DOING[event['event']]}: {event['rows']} pairs")


_DOING = {"pack": "decoded", "predict": "predicted"}


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


def duration(seconds: float) -> str:
    """`0:01:12`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}"


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
            show(stage, event["round"], event["rounds"], pace(event, clock.left_s(event)))
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
