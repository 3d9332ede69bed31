"""A small program with the start and the commands of ours, for tests of how programs begin and end."""

import os
import subprocess
import sys
from pathlib import Path

from tests.builds import ROOT

APP = '''
import os, subprocess, sys, time
from pathlib import Path

import typer

from occsynth.cli.output import Commands, progress_bar, say, table, warn
from occsynth.errors import OccSynthError

app = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
IMPORTING = os.environ.get("WAIT_IN_IMPORT") == "1"


def rest():
    Path("ready").touch()
    time.sleep(60)


if IMPORTING:
    rest()


@app.command()
def names(name: str):
    """Prints a name in every way."""
    say(name, name)
    warn(name)
    table(("a", name), [(name, name)])
    with progress_bar() as progress:
        if progress:
            progress(name, 1, 2)


@app.command()
def build():
    rest()


@app.command()
def late():
    import waits_in_import


@app.command()
def swallows():
    class Callback:
        def __del__(self):
            rest()

    Callback()
    time.sleep(60)


@app.command()
def converts():
    try:
        rest()
    except BaseException as error:
        raise ImportError("the library says something else") from error


@app.command()
def children():
    import multiprocessing

    multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
    rest()


@app.command()
def fails(kind: str, size: int = 3):
    """Raises an error."""
    error = eval(kind)
    raise error
'''


def write_program(folder: Path) -> None:
    """Writes the program `small` into a folder."""
    package = folder / "small/cli"
    package.mkdir(parents=True)
    (package / "app.py").write_text(APP)
    (folder / "waits_in_import.py").write_text("from small.cli.app import rest\nrest()\n")


def command(*words: str) -> list[str]:
    """The command line that runs it in its folder."""
    return [sys.executable, "-c", "from occsynth.start import start; start('small')", *words]


def environment(**more: str) -> dict[str, str]:
    """The environment in which it finds our packages."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def run(folder: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[bytes]":
    """What it prints, as bytes, and its exit code."""
    return subprocess.run(
        command(*words), cwd=folder, env=environment(**more), capture_output=True, check=False, timeout=60
    )
