"""What the commands of occfer share: how errors end them, options of several, and which of many processes speaks."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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
