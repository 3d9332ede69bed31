"""Options that several commands share, and the words that closed options take."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class FillName(StrEnum):
    """What `--fill` takes."""

    template = "template"
    black = "black"
    mean = "mean"
    noise = "noise"


class AlignName(StrEnum):
    """What `--align` takes."""

    similarity = "similarity"
    none = "none"


class FormatName(StrEnum):
    """What `--format` takes."""

    png = "png"
    jpeg = "jpeg"


class BackendName(StrEnum):
    """What `--backend` takes."""

    loky = "loky"
    dask = "dask"


ManifestPath = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="NAME.csv or NAME.csv.gz, with NAME.json beside it.")
]
Root = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", help="The raw database; default the one remembered by `databases set`."),
]
Templates = Annotated[
    Path | None, typer.Option("--templates", metavar="DIR", help="A template pack; default the one that ships.")
]
Workers = Annotated[int | None, typer.Option("--workers", metavar="N", min=1, help="Processes; default one a core.")]
Backend = Annotated[BackendName, typer.Option("--backend", help="Processes here, or a cluster.")]
Scheduler = Annotated[
    str, typer.Option("--scheduler", metavar="ADDR", help="A running Dask scheduler, with --backend dask.")
]
