"""What the commands of occfer share: how errors end them, options of several, and which of many processes speaks."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from occfer.errors import OccFERError
from occsynth.cli_output import Commands, fail

NEEDS_TRAIN = "occfer needs its training dependencies: pip install 'occsynth[train]'"
NEEDS_EXPORT = "exported models need more packages: pip install 'occsynth[export]'"
_TRAIN_PACKAGES = {"torch", "torchvision", "lightning_fabric", "safetensors", "sklearn", "scipy"}
_EXPORT_PACKAGES = {"onnx", "onnxscript", "onnxruntime"}


class OccFERCommands(Commands):
    """Turns what a command raises on purpose, or a missing extra, into one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except OccFERError as error:
            raise fail(str(error)) from error
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in _EXPORT_PACKAGES:
                raise fail(NEEDS_EXPORT) from error
            if package not in _TRAIN_PACKAGES:
                raise
            raise fail(NEEDS_TRAIN) from error
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":  # torch's; torch itself is not imported here
                raise
            raise fail(f"the device is out of memory ({error}): lower --batch-size or --size") from error


class DeviceName(StrEnum):
    """What `--device` takes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class FormatName(StrEnum):
    """What `--format` takes."""

    png = "png"
    pdf = "pdf"
    svg = "svg"


class RowsName(StrEnum):
    """What `--rows` takes."""

    test = "test"
    all = "all"


Manifests = Annotated[
    list[Path],
    typer.Option("--manifest", metavar="CSV", help="A manifest of occsynth; give it again to merge several."),
]
Checkpoint = Annotated[
    Path,
    typer.Option(
        "--checkpoint", metavar="F", help="A run folder, or a model file such as its checkpoints/best.safetensors."
    ),
]
Device = Annotated[DeviceName, typer.Option("--device", help="auto takes a GPU where there is one.")]
Format = Annotated[FormatName, typer.Option("--format", help="Of the figures.")]
Rows = Annotated[
    RowsName,
    typer.Option(
        "--rows",
        help="test: the official test part, the model's own fold, or all of a database that it was not trained on.",
    ),
]
Fold = Annotated[int | None, typer.Option("--fold", metavar="K", help="Instead of the model's own.", min=0)]
CacheDir = Annotated[
    Path | None,
    typer.Option("--cache-dir", metavar="DIR", help="Where decoded images go; default cache/packs in the build root."),
]


def prints() -> bool:
    """Whether this process is the one that speaks, of those that torchrun or srun started with the same command."""
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
