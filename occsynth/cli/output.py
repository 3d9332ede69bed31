"""What the command line prints: tables, progress and errors, plain and unwrapped unless it writes to a terminal."""

import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from occsynth.errors import OccSynthError
from occsynth.escapes import for_terminal
from occsynth.parallel import Progress
from occsynth.system_libraries import explain

RESUMABLE = ("build", "replay", "reproduce", "tune")
"""Commands that keep finished work when they are interrupted."""


class Commands(TyperGroup):
    """Turns the errors that commands raise on purpose into one line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command: exit code 1 for a clear error, 130 when interrupted."""
        try:
            return super().invoke(ctx)
        except OccSynthError as error:
            raise fail(str(error)) from error
        except KeyboardInterrupt as error:
            note = "; run the same command again to continue" if ctx.invoked_subcommand in RESUMABLE else ""
            typer.echo(f"interrupted{note}", err=True)
            raise typer.Exit(130) from error
        except BrokenPipeError:
            raise  # the reader of a pipe has closed it; typer then ends quietly
        except ImportError as error:
            missing = explain(error)
            if missing is None:
                raise
            raise fail(str(missing)) from error
        except OSError as error:
            missing = explain(error)
            where = f" {error.filename}" if error.filename else ""
            raise fail(str(missing) if missing else f"cannot use{where}: {error.strerror or error}") from error


def end_quietly_when_interrupted() -> None:
    """Keeps the threads of worker pools from printing tracebacks when Ctrl-C stops their processes."""
    usual, interrupted = threading.excepthook, threading.Event()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.default_int_handler(number, frame)

    def on_thread_error(details: threading.ExceptHookArgs) -> None:
        if not interrupted.is_set():
            usual(details)

    signal.signal(signal.SIGINT, on_interrupt)
    threading.excepthook = on_thread_error


def fail(message: str) -> typer.Exit:
    """Prints `error: ...` as one line on stderr and returns the exception to raise."""
    typer.echo("error: " + for_terminal(message), err=True)
    return typer.Exit(1)


def warn(message: str) -> None:
    """Prints `warning: ...` as one line on stderr."""
    typer.echo("warning: " + for_terminal(message), err=True)


def shown(path: Path) -> str:
    """A path as one would type it here: relative if it is below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)


def counted(number: int, noun: str) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, lines: bool = False) -> None:
    """Prints a table: drawn on a terminal, else tab-separated lines under a header line."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            typer.echo("\t".join(map(for_terminal, row)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(show_lines=lines)
    for index, name in enumerate(columns):
        drawn.add_column(name, no_wrap=index == 0, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(for_terminal(cell)) for cell in row))
    Console().print(drawn)


@contextmanager
def progress_bar() -> Iterator[Progress | None]:
    """Shows a bar with rate and time left on stderr; yields None if stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Rate(ProgressColumn):
        """Shows how much is done per second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "-/s")

    described = TextColumn("{task.description}")
    columns = (described, BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=None)
            bar.update(tasks[phase], completed=done, total=total or None)

        yield report
