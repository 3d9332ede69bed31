"""The command line of occfer: parse, call, print. torch, OpenCV and the like load inside the commands."""

import sys
from typing import Annotated

import typer

from occfer import (
    cli_bench,
    cli_compare,
    cli_evaluate,
    cli_predict,
    cli_profile,
    cli_report,
    cli_reproduce,
    cli_train,
    cli_tune,
)
from occfer.cli_frame import OccFERCommands
from occsynth import __version__
from occsynth.cli_output import end_quietly_when_interrupted

# piped help is not wrapped, as all piped output
_PIPED = {} if sys.stdout.isatty() else {"terminal_width": 1000}

app = typer.Typer(
    cls=OccFERCommands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_PIPED,
    help="Train and evaluate occlusion-robust expression classifiers on the manifests of occsynth.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"occfer {__version__}")
        raise typer.Exit


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options that stand before a command."""


for _command in (
    cli_train.train,
    cli_evaluate.evaluate,
    cli_evaluate.reconstruct,
    cli_predict.predict,
    cli_predict.export,
    cli_evaluate.methods,
    cli_bench.bench,
    cli_compare.compare,
    cli_profile.profile,
    cli_report.report,
    cli_reproduce.reproduce,
    cli_tune.tune,
):
    app.command()(_command)


def main() -> None:
    """The console script `occfer`."""
    end_quietly_when_interrupted()
    app(sys.argv[1:], prog_name="occfer")


if __name__ == "__main__":  # torchrun starts `-m occfer.cli`
    main()
