"""`occsynth templates`: list a pack, import one."""

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from occsynth.cli.output import progress_bar, shown, table, warn

if TYPE_CHECKING:
    from occsynth.templates.add import ImportSummary

templates = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
_REASONS_SHOWN = 8


class KindName(StrEnum):
    """What `--kind` takes."""

    auto = "auto"
    rgba = "rgba"
    masks = "masks"
    coco = "coco"


class EdgeName(StrEnum):
    """What `--base-edge` takes."""

    auto = "auto"
    none = "none"
    top = "top"
    right = "right"
    bottom = "bottom"
    left = "left"


@templates.callback()
def list_templates(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Option("--templates", metavar="DIR", help="A template pack; default the one that ships.")
    ] = None,
) -> None:
    """List the templates of a pack; `add` imports cut-outs into one."""
    if context.invoked_subcommand is not None:
        return
    from occsynth.templates.pack import load_pack

    pack = load_pack(folder)
    rows = [
        (
            each.file,
            each.category,
            "yes" if each.see_through else "no",
            each.base_edge or "-",
            each.licence,
            each.source,
        )
        for each in pack.templates.values()
    ]
    table(("file", "category", "see-through", "goes on at", "licence", "source"), rows)
    counts = Counter(each.category for each in pack.templates.values())
    listed = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
    typer.echo(f"{len(pack.templates)} templates in {shown(pack.folder)}: {listed}", err=True)


@templates.command("add")
def add_templates(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|coco.json",
            help="RGBA images (sub-folders are categories), a folder with images/ and masks/, or COCO instances.",
        ),
    ],
    licence: Annotated[
        str, typer.Option("--licence", metavar="SPDX", help="Of every cut-out: CC0-1.0, CC-BY-4.0, ...")
    ] = "",
    origin: Annotated[str, typer.Option("--source", metavar="TEXT", help="Where they come from.")] = "",
    attribution: Annotated[str, typer.Option("--attribution", metavar="TEXT", help="Whom the licence names.")] = "",
    category: Annotated[
        str | None, typer.Option("--category", metavar="NAME", help="Of all of them; default by sub-folder.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="The pack to make or add to; default beside your data.")
    ] = None,
    kind: Annotated[KindName, typer.Option("--kind", help="How they lie there.")] = KindName.auto,
    images: Annotated[Path | None, typer.Option("--images", metavar="DIR", help="Pictures of a COCO file.")] = None,
    coco_categories: Annotated[
        str, typer.Option("--coco-categories", metavar="NAME,NAME", help="Of a COCO file; default food, hands, drinks.")
    ] = "",
    base_edge: Annotated[
        EdgeName, typer.Option("--base-edge", help="Where objects go on outside; auto guesses it for hands.")
    ] = EdgeName.auto,
    min_side: Annotated[int, typer.Option("--min-side", metavar="PX", min=1, help="Smaller ones are skipped.")] = 64,
    long_side: Annotated[int, typer.Option("--long-side", metavar="PX", min=8, help="Longer ones are shrunk.")] = 512,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many a category.")
    ] = None,
) -> None:
    """Import cut-outs into a pack, each with its licence and source."""
    from occsynth.templates.add import add_pack, default_pack_folder

    names = [name for name in (each.strip() for each in coco_categories.split(",")) if name]
    with progress_bar() as progress:
        summary = add_pack(
            source,
            out or default_pack_folder(source),
            licence=licence,
            source_text=origin,
            attribution=attribution,
            category=category,
            kind=kind.value,
            images=images,
            coco_categories=names or None,
            base_edge={"auto": None, "none": ""}.get(base_edge.value, base_edge.value),
            min_side_px=min_side,
            long_side_px=long_side,
            limit=limit,
            progress=progress,
        )
    _print_summary(summary)


def _print_summary(summary: "ImportSummary") -> None:
    for note in summary.notes:
        warn(note)
    typer.echo(f"added\t{len(summary.added)} templates to {shown(summary.folder)}")
    typer.echo(f"skipped\t{len(summary.skipped)}")
    for reason, count in list(summary.reasons().items())[:_REASONS_SHOWN]:
        typer.echo(f"\t{count}\t{reason}")
    typer.echo(f"next\toccsynth templates --templates {shown(summary.folder)}")
