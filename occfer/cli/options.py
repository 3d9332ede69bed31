"""Options that several commands of occfer share, and which of many processes speaks."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from occfer import settings
from occfer.config import TrainConfig
from occfer.setting import setting_of


def _help(field: str) -> str:
    """The help text of a setting of training, for commands that take the same thing."""
    return setting_of(TrainConfig.__dataclass_fields__[field]).help


FigureFormat = Literal["png", "pdf", "svg"]
RowsChoice = Literal["test", "val", "all"]
ViewChoice = Literal["occluded", "clean"]

Manifests = Annotated[
    list[Path], typer.Option("--manifest", metavar="CSV", help="Manifest of occsynth; repeat it to merge several.")
]


def on_this_machine(checkpoint: Path) -> Path:
    """A checkpoint as given, or the cached file of `hf://ORG/NAME`, see `occfer.load.local_checkpoint`."""
    if not str(checkpoint).startswith("hf:"):  # most are not, and looking loads torch
        return checkpoint
    from occfer.load import local_checkpoint

    return local_checkpoint(checkpoint)


Checkpoint = Annotated[
    Path,
    typer.Option(
        "--checkpoint",
        metavar="F",
        help="Run folder, a model file such as its checkpoints/best.safetensors, or hf://ORG/NAME.",
        callback=on_this_machine,
    ),
]
Device = Annotated[
    settings.Device, typer.Option("--device", help="Device to run on; auto takes a GPU where there is one.")
]
Format = Annotated[FigureFormat, typer.Option("--format", help="File format of the figures.")]
Rows = Annotated[
    RowsChoice,
    typer.Option(
        "--rows",
        help="Rows to test on. test: the official test part, the model's own fold, or all of a database that it was "
        "not trained on. val: the official validation part. all: every row.",
    ),
]
Fold = Annotated[
    int | None, typer.Option("--fold", metavar="K", min=0, help="Fold to test on; default: the model's own.")
]
CacheDir = Annotated[Path | None, typer.Option("--cache-dir", metavar="DIR", help=_help("cache_dir"))]

OverwriteFolder = Annotated[
    bool, typer.Option("--overwrite", help="Write into a folder that holds other files too; equal names are replaced.")
]
OverwriteFile = Annotated[bool, typer.Option("--overwrite", help="Replace a file that this command has not made.")]


def prints() -> bool:
    """Whether this process is the one that speaks, of those that torchrun or srun started with the same command."""
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
