"""`occfer report`: parse, call, print."""

from pathlib import Path
from typing import Annotated

import typer

from occfer.cli.options import Device, DeviceName
from occsynth.cli.output import counted, shown


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUNS...", help="Folders of runs, evaluations, profiles, comparisons, tables; or that hold such."
        ),
    ],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page.")] = Path("report.html"),
    reconstructions: Annotated[
        bool, typer.Option("--reconstructions/--no-reconstructions", help="Run the decoders of models that have one.")
    ] = True,
    device: Device = DeviceName.auto,
) -> None:
    """Put results onto one page that needs no network, with their tables as CSV, Markdown and LaTeX beside it."""
    from occfer.reports.page import ReportOptions, write_report

    options = ReportOptions(folders=tuple(runs), out=out, device=device.value, reconstructions=reconstructions)
    made = write_report(options)
    for caution in made.cautions:
        typer.echo(caution, err=True)
    found = made.found
    parts = [
        counted(len(found.results), "result"),
        counted(len(found.tables), "table"),
        counted(len(found.profiles), "profile"),
        counted(len(found.comparisons), "comparison"),
    ]
    typer.echo(f"{', '.join(parts)}; {made.size_bytes / 1e6:.1f} MB")
    typer.echo(f"report\t{shown(made.path)}")
    if made.tables:
        typer.echo(f"tables\t{' '.join(shown(path) for path in made.tables)}")
