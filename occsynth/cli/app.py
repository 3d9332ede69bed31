"""The program `occsynth`: its commands under one name."""

import sys
from typing import Annotated

import typer

from occsynth import __version__
from occsynth.cli.build import build
from occsynth.cli.doctor import doctor
from occsynth.cli.export import export
from occsynth.cli.lists import databases, modes
from occsynth.cli.manifests import landmarks, publish, replay, verify
from occsynth.cli.output import Commands, say
from occsynth.cli.pictures import preview, stats
from occsynth.cli.suite import suite
from occsynth.cli.templates import templates
from occsynth.start import start

# like all piped output, piped help is not wrapped
_PIPED = {} if sys.stdout is not None and sys.stdout.isatty() else {"terminal_width": 1000}

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_PIPED,
    help="Make pairs of clean and occluded faces from a raw face database, with manifests that replay pixel for pixel.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"occsynth {__version__}")
        raise typer.Exit


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Holds the options that stand before a command."""


for _command in (
    build,
    replay,
    verify,
    publish,
    export,
    preview,
    stats,
    landmarks,
    doctor,
    modes,
):
    app.command()(_command)
app.add_typer(databases, name="databases")
app.add_typer(templates, name="templates")
app.add_typer(suite, name="suite")


def main() -> None:
    """Runs the program; the console script begins in `occsynth.__main__`, which guards these imports too."""
    start("occsynth")
