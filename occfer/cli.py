"""The command line of occfer: parse, call, print. torch and OpenCV load inside the commands."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

NEEDS_TRAIN = "occfer needs its training dependencies: pip install 'occsynth[train]'"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train and evaluate occlusion-robust expression classifiers on the manifests of occsynth.",
)


@app.callback()
def _group() -> None:
    """A callback makes typer keep the commands as a group."""


def _need_train() -> None:
    if importlib.util.find_spec("torch") is None:
        raise _fail(NEEDS_TRAIN)


def _fail(message: str) -> typer.Exit:
    typer.echo(" ".join(message.split()), err=True)
    return typer.Exit(1)


@app.command()
def train(
    manifest: Annotated[list[Path], typer.Option("--manifest", metavar="CSV", help="Train on it; may be repeated.")],
    method: Annotated[str, typer.Option("--method", help="A row of the table of methods.")] = "full",
    test_manifest: Annotated[
        list[Path] | None, typer.Option("--test-manifest", metavar="CSV", help="Test on it instead of a fold.")
    ] = None,
    fold: Annotated[int | None, typer.Option("--fold", metavar="K", help="The fold that is tested.")] = None,
    size: Annotated[int | None, typer.Option("--size", metavar="PX", help="Default: the first manifest's.")] = None,
    backbone: Annotated[str, typer.Option("--backbone")] = "resnet50",
    weights: Annotated[str, typer.Option("--weights", metavar="imagenet|none|FILE")] = "imagenet",
    pairing: Annotated[str, typer.Option("--pairing", metavar="paired|category|unpaired")] = "paired",
    epochs: Annotated[int, typer.Option("--epochs", metavar="T", help="Of stage 2.")] = 30,
    pretrain_epochs: Annotated[int, typer.Option("--pretrain-epochs", metavar="N", help="Of each branch.")] = 30,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="N")] = 32,
    seed: Annotated[int, typer.Option("--seed", metavar="N")] = 0,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda")] = "auto",
    devices: Annotated[int, typer.Option("--devices", metavar="N")] = 1,
    precision: Annotated[str, typer.Option("--precision", metavar="32|bf16|fp16")] = "32",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run folder's last checkpoint.")] = False,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The run folder.")] = Path("runs/run"),
) -> None:
    """Train a classifier on the pairs of a manifest and test it once."""
    _need_train()
    from occfer.config import TrainConfig
    from occfer.errors import OccFERError
    from occfer.train import train as run_training

    try:
        config = TrainConfig(
            manifests=tuple(manifest),
            test_manifests=tuple(test_manifest or ()),
            method=method,
            fold=fold,
            size_px=size,
            backbone=backbone,
            weights=weights,
            pairing=pairing,
            epochs=epochs,
            pretrain_epochs=pretrain_epochs,
            batch_size=batch_size,
            seed=seed,
            device=device,
            devices=devices,
            precision=precision,
            resume=resume,
            out=out,
        )
        run_training(config, on_step=_print_epoch)
    except OccFERError as error:
        raise _fail(f"error: {error}") from error
    except KeyboardInterrupt as error:
        typer.echo("interrupted; the same command with --resume goes on", err=True)
        raise typer.Exit(130) from error
    typer.echo((out / "metrics.json").read_text(encoding="utf-8").strip())
    typer.echo(f"run folder\t{out}")


def _print_epoch(event: dict[str, Any]) -> None:
    """A line for every note and every finished epoch."""
    if event.get("event") == "note":
        typer.echo(event["text"], err=True)
    elif "val_accuracy" in event:
        numbers = {name: round(value, 4) for name, value in event.items() if isinstance(value, float)}
        typer.echo(f"{event['stage']} epoch {event['epoch']}/{event['epochs']} {json.dumps(numbers)}", err=True)


def main() -> None:
    """The console script `occfer`."""
    app(sys.argv[1:], prog_name="occfer")
