"""The command line of occfer."""

import importlib.util
import sys

import typer

NEEDS_TRAIN = "occfer needs its training dependencies: pip install 'occsynth[train]'"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Train and evaluate occlusion-robust expression classifiers on the manifests of occsynth.",
)


@app.callback()
def _group() -> None:
    """A callback makes typer keep the commands as a group."""


def _need_train() -> None:
    if importlib.util.find_spec("torch") is None:
        typer.echo(NEEDS_TRAIN, err=True)
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train() -> None:
    """Train a classifier on the pairs of a manifest."""
    _need_train()
    typer.echo("occfer train is not part of this version yet", err=True)
    raise typer.Exit(1)


def main() -> None:
    """The console script `occfer`."""
    app(sys.argv[1:], prog_name="occfer")
