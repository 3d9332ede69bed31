"""`occsynth preview` and `occsynth stats`: what a build looks like, and what it holds."""

from pathlib import Path
from typing import Annotated

import typer

from occsynth.cli.options import ManifestPath, Overwrite
from occsynth.cli.output import say, shown, table, warn

_PAGE = (".html", ".htm")


def preview(
    manifests: Annotated[
        list[Path],
        typer.Argument(metavar="MANIFEST...", help="One or more manifests, such as those of the modes of table2."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="sheet.png|gallery.html",
            help="File to write: a contact sheet (.png) or a gallery page (.html).",
        ),
    ],
    count: Annotated[
        int | None,
        typer.Option("--count", metavar="N", min=1, help="Number of pairs; default 8 on a sheet, 500 on a page."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Seed of the choice of pairs; another number shows others.")
    ] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Show pairs on a contact sheet (PNG), or on a self-contained page with filters (HTML)."""
    kind = out.suffix.lower()
    if kind not in (".png", *_PAGE):
        raise typer.BadParameter(f"{out} is neither .png (a contact sheet) nor .html (a gallery)", param_hint="-o")
    from occsynth.databases.read_only import refuse_remembered_roots
    from occsynth.manifest import open_manifest

    refuse_remembered_roots(out, "-o")
    # the pattern manifests/*.csv also matches the lists of rejects
    named = [path for path in manifests if not path.name.endswith(".rejects.csv")] or manifests
    opened = [open_manifest(path) for path in named]
    if kind in _PAGE:
        from occsynth.pictures.gallery import LIMIT, write_gallery

        page = write_gallery(opened, out, limit=count or LIMIT, seed=seed, overwrite=overwrite)
        say("gallery", shown(page.path), f"{page.shown} of {page.total} pairs, {page.size_bytes / 1e6:.1f} MB")
        return
    from occsynth.pictures.contact_sheet import contact_sheet

    sheet = contact_sheet(opened, out, count=count or 8, seed=seed, overwrite=overwrite)
    for note in sheet.notes:
        warn(note)
    say("sheet", shown(sheet.path), f"{sheet.shown} of {sheet.total} pairs")


def stats(
    manifest: ManifestPath,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="PNG", help="Also draw a figure of classes and hidden shares to this file."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Count classes, splits, occluders, hidden shares, rejects and duplicates."""
    if out is not None and out.suffix.lower() != ".png":
        raise typer.BadParameter(f"{out} is not .png (a figure)", param_hint="-o")
    from occsynth.databases.read_only import refuse_remembered_roots
    from occsynth.manifest import open_manifest
    from occsynth.pictures.stats import summarise, tables

    summary = summarise(open_manifest(manifest))
    if out is not None:  # before anything is printed: it may be refused
        from occsynth.pictures.stats_figure import plot

        refuse_remembered_roots(out, "-o")
        plot(summary, out, overwrite=overwrite)
    for number, each in enumerate(tables(summary)):
        if number:
            say()
        say(each.title)
        table(each.columns, each.rows)
    if out is not None:
        say()
        say("figure", shown(out))
