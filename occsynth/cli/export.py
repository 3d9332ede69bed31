"""`occsynth export`: a build in a format that other programs load, or described for them."""

from pathlib import Path
from typing import Annotated

import typer

from occsynth.cli.options import ManifestPath, Overwrite
from occsynth.cli.output import progress_bar, say, shown, warn
from occsynth.option_values import ExportTo


def export(
    manifest: ManifestPath,
    to: Annotated[
        ExportTo,
        typer.Option(
            "--to", help="A format that datasets.load_dataset loads without a script, or a description of the build."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="DIR|FILE.json", help="The folder to write; with --to croissant the file."),
    ],
    shard_mb: Annotated[
        int,
        typer.Option(
            "--shard-mb", metavar="N", min=1, help="Megabytes of images in each file of parquet and webdataset."
        ),
    ] = 500,
    overwrite: Overwrite = False,
) -> None:
    """Write a build for other programs: image folder, Parquet or WebDataset; or describe it in Croissant."""
    from occsynth.databases.read_only import refuse_remembered_roots
    from occsynth.manifest import open_manifest

    refuse_remembered_roots(out, "-o")
    opened = open_manifest(manifest)
    if to == "croissant":
        from occsynth.exchange.croissant import describe

        say("description", shown(describe(opened, out, overwrite=overwrite)))
        return
    from occsynth.exchange.export import export as run_export

    with progress_bar() as progress:
        report = run_export(opened, to, out, shard_mb=shard_mb, overwrite=overwrite, progress=progress)
    if report.terms:
        warn(f"{shown(out)} holds images of {opened.info.database}: {report.terms}")
    say("export", shown(out), ", ".join(f"{part} {count}" for part, count in report.parts.items()))
    say("next", f"datasets.load_dataset({str(out)!r})")
