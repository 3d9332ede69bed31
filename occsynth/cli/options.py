"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from occsynth import option_values

ManifestPath = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="NAME.csv or NAME.csv.gz, with NAME.json beside it.")
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root", metavar="DIR", help="Folder of the raw database; default the one remembered by `databases set`."
    ),
]
Templates = Annotated[
    Path | None,
    typer.Option("--templates", metavar="DIR", help="Folder of a template pack; default occsynth's own."),
]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=1, help="Number of processes; default one per core.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files of these names that this command did not make.")
]
Backend = Annotated[
    option_values.Backend,
    typer.Option(
        "--backend",
        help="Where the work runs: loky, in processes on this machine; dask, on a cluster; slurm, in its jobs.",
    ),
]
Scheduler = Annotated[
    str, typer.Option("--scheduler", metavar="ADDR", help="Address of a running Dask scheduler, for --backend dask.")
]
Slurm = Annotated[
    list[str] | None,
    typer.Option(
        "--slurm",
        metavar="KEY=VALUE",
        help="For --backend slurm: a long option of sbatch, such as time=60 or partition=gpu; setup=LINE for the shell "
        "before Python; cluster=local to try it here; repeatable.",
    ),
]
