"""What the command line prints: tables, progress and errors, plain and unwrapped unless it writes to a terminal.

Everything goes through here, so that no name from elsewhere can control a terminal, and no write error is a traceback.
"""

import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from occsynth.cli.pace import Counts
from occsynth.errors import OccSynthError
from occsynth.escapes import cell_for_terminal, for_terminal
from occsynth.memory import need_least, ran_out
from occsynth.parallel import Progress
from occsynth.start import SIGNALS, WORDS, give_up
from occsynth.system_libraries import explain

RESUMABLE = ("build", "replay", "reproduce", "tune")
"""Commands that keep finished work when they are interrupted."""
LIGHT = ("modes", "databases", "methods")
"""Commands that load nothing which needs memory."""
SAVES_MEMORY = ("--workers", "--batch-size", "--size")
"""Flags with which a command can do with less memory, as far as it has them."""


class Commands(TyperGroup):
    """Turns the errors that commands raise on purpose into one line on stderr and an exit code."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parses the command line; `--help` and `--version` print here."""
        with _to_stdout():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command: exit code 1 for a clear error, 128 and the number of the signal that ended it."""
        with SIGNALS:
            try:
                return super().invoke(ctx)
            except (Exception, KeyboardInterrupt) as error:
                ending = self.ending(ctx, error)
                if ending is None:
                    raise
                raise ending from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the command line names; all but light ones are refused where memory is short."""
        found = super().resolve_command(ctx, args)
        if found[0] not in LIGHT:
            need_least()
        return found

    def ending(self, ctx: Any, error: BaseException) -> typer.Exit | None:
        """Says in one line why a command ended; None, and not a word, if the error is none that it knows."""
        if isinstance(error, typer.Exit):
            return None
        if SIGNALS.caught or isinstance(error, KeyboardInterrupt):
            return interrupted("run the same command again to continue" if ctx.invoked_subcommand in RESUMABLE else "")
        reason = self.reason(ctx, error)
        return None if reason is None else fail(reason)

    def reason(self, ctx: Any, error: BaseException) -> str | None:
        """What went wrong and what to do, if that is known."""
        if what := ran_out(error):
            return f"{what} ran out ({str(error) or type(error).__name__}); {self._advice(ctx, what)}"
        if isinstance(error, OccSynthError):
            return str(error)
        if isinstance(error, UnicodeEncodeError):  # a byte of a file's name, in what is to be written
            near = error.object[max(0, error.start - 60) : error.start + 20]
            return f"a name holds bytes that are not UTF-8, near '{near}'; rename that file or folder"
        if missing := explain(error):
            return str(missing)
        if isinstance(error, OSError):
            where = f" {error.filename}" if error.filename else ""
            return f"cannot use{where}: {error.strerror or error}"
        return None

    def _advice(self, ctx: Any, what: str) -> str:
        command: Any = self.commands.get(ctx.invoked_subcommand)
        flags = {name for each in command.params for name in each.opts} if command else set()
        if "device" in what:
            flags.discard("--workers")  # worker processes hold nothing on it
        lower = " or ".join(name for name in SAVES_MEMORY if name in flags)
        return f"lower {lower}, or free some" if lower else "free some, or allow more (ulimit -v)"


def say(*cells: object, err: bool = False) -> None:
    """Prints cells in one line, separated by tabs, on stdout or, with `err`, on stderr."""
    line = "\t".join(cell_for_terminal(str(cell)) for cell in cells) + "\n"
    if err:  # not typer.echo: it writes UTF-8 to a terminal that has another encoding
        sys.stderr.write(line)
        sys.stderr.flush()
        return
    with _to_stdout():
        sys.stdout.write(line)
        sys.stdout.flush()


def say_lines(text: str) -> None:
    """Prints several lines of our own making, such as JSON."""
    for line in text.splitlines():
        say(line)


@contextmanager
def _to_stdout() -> Iterator[None]:
    """Ends the command with one line if stdout cannot be written to, and quietly if its reader has closed the pipe."""
    try:
        yield
    except BrokenPipeError as error:
        give_up(sys.stdout)
        raise typer.Exit(1) from error
    except OSError as error:
        give_up(sys.stdout)
        raise fail(f"cannot write to stdout: {error.strerror or error}") from error


def fail(message: str) -> typer.Exit:
    """Prints `error: ...` as one line on stderr and returns the exception to raise."""
    say("error: " + for_terminal(message), err=True)
    return typer.Exit(1)


def interrupted(advice: str = "") -> typer.Exit:
    """Prints the word for the signal that ended the command, with some advice, and returns the exception to raise."""
    number = SIGNALS.caught or signal.SIGINT
    word = WORDS[signal.Signals(number)]
    say(f"{word}; {for_terminal(advice)}" if advice else word, err=True)
    return typer.Exit(128 + number)


def warn(message: str) -> None:
    """Prints `warning: ...` as one line on stderr."""
    say("warning: " + for_terminal(message), err=True)


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
        say(*columns)
        for row in rows:  # as they come: there may be any number
            say(*row)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(show_lines=lines)
    for index, name in enumerate(columns):
        drawn.add_column(Text(cell_for_terminal(name)), no_wrap=index == 0, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell_for_terminal(cell)) for cell in row))
    with _to_stdout():
        Console().print(drawn)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Shows a bar with rate and time left on stderr; prints a line per minute if stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield Counts(partial(say, err=True))
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

    described = TextColumn("{task.description}", markup=False)
    columns = (described, BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(cell_for_terminal(phase), total=None)
            bar.update(tasks[phase], completed=done, total=total or None)

        yield report
