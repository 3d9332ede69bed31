"""The command line of occfer: parse, call, print. torch, OpenCV and the like load inside the commands."""

import sys
from typing import Annotated

import typer

from occfer.cli.bench import bench
from occfer.cli.benchmark import benchmark
from occfer.cli.commands import OccFERCommands, PanelCommand
from occfer.cli.compare import compare
from occfer.cli.demo import demo
from occfer.cli.doctor import doctor
from occfer.cli.evaluate import evaluate
from occfer.cli.explain import explain
from occfer.cli.export import export
from occfer.cli.hub import pull, push
from occfer.cli.leaderboard import leaderboard
from occfer.cli.methods import methods
from occfer.cli.predict import predict
from occfer.cli.profile import profile
from occfer.cli.reconstruct import reconstruct
from occfer.cli.report import report
from occfer.cli.reproduce import reproduce
from occfer.cli.train import train
from occfer.cli.tune import tune
from occsynth import __version__
from occsynth.cli.output import say
from occsynth.start import start

# piped help is not wrapped, as all piped output
_PIPED = {} if sys.stdout is not None and sys.stdout.isatty() else {"terminal_width": 1000}

app = typer.Typer(
    cls=OccFERCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_PIPED,
    help="Train and evaluate occlusion-robust expression classifiers on the manifests of occsynth.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"occfer {__version__}")
        raise typer.Exit


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options that stand before a command."""


for _command in (
    train,
    evaluate,
    reconstruct,
    explain,
    predict,
    demo,
    export,
    methods,
    bench,
    benchmark,
    doctor,
    compare,
    profile,
    report,
    leaderboard,
    reproduce,
    tune,
    push,
    pull,
):
    app.command(cls=PanelCommand)(_command)


def main() -> None:
    """Runs the program; the console script begins in `occfer.__main__`, which guards these imports too."""
    start("occfer")
