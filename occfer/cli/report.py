"""`occfer report`: parse, call, print."""

from pathlib import Path
from typing import Annotated

import typer

from occfer.cli.options import Device, OverwriteFile
from occsynth.cli.output import counted, say, shown


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUNS...",
            help="Folders of runs, evaluations, profiles, comparisons or tables, or folders around these.",
        ),
    ],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Page to write.")] = Path("report.html"),
    reconstructions: Annotated[
        bool,
        typer.Option(
            "--reconstructions/--no-reconstructions", help="Whether models with a decoder draw reconstructed faces."
        ),
    ] = True,
    device: Device = "auto",
    overwrite: OverwriteFile = False,
) -> None:
    """Put results on one HTML page that works offline, and their tables beside it as CSV, Markdown and LaTeX."""
    from occfer.reports.page import ReportOptions, write_report

    options = ReportOptions(
        folders=tuple(runs), out=out, overwrite=overwrite, device=device, reconstructions=reconstructions
    )
    made = write_report(options)
    for caution in made.cautions:
        say(caution, err=True)
    found = made.contents
    parts = [
        counted(len(found.results), "result"),
        counted(len(found.tables), "table"),
        counted(len(found.profiles), "profile"),
        counted(len(found.comparisons), "comparison"),
    ]
    say(f"{', '.join(parts)}; {made.size_bytes / 1e6:.1f} MB")
    say("report", shown(made.path))
    if made.tables:
        say("tables", " ".join(shown(path) for path in made.tables))
