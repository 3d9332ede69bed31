"""`occsynth templates`: list a template pack, or add to one."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from occsynth.cli.options import Overwrite, Templates
from occsynth.cli.output import counted, progress_bar, say, shown, table, warn
from occsynth.option_values import Edge, EdgeOption, ImportKind

if TYPE_CHECKING:
    from occsynth.templates.add import ImportSummary

templates = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
_REASONS_SHOWN = 8


@templates.callback()
def list_templates(
    context: typer.Context,
    folder: Templates = None,
) -> None:
    """List the templates of a template pack; `add` imports cut-outs into one."""
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
            each.wear.kind if each.wear else "-",
            "test" if each.file in pack.held_out else "train",
        )
        for each in pack.templates.values()
    ]
    table(("file", "category", "see-through", "goes on at", "licence", "source", "worn as", "split"), rows)
    counts = Counter(each.category for each in pack.templates.values())
    listed = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
    say(f"{len(pack.templates)} templates in {shown(pack.folder)}: {listed}", err=True)


@templates.command("add")
def add_templates(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|coco.json",
            help="Folder of RGBA images (its sub-folders are categories) or of images/ and masks/, or COCO instances.",
        ),
    ],
    licence: Annotated[
        str, typer.Option("--licence", metavar="SPDX", help="Licence of every cut-out: CC0-1.0, CC-BY-4.0, ...")
    ] = "",
    origin: Annotated[str, typer.Option("--source", metavar="TEXT", help="Where the cut-outs come from.")] = "",
    attribution: Annotated[
        str, typer.Option("--attribution", metavar="TEXT", help="Whom the licence asks to name.")
    ] = "",
    category: Annotated[
        str | None,
        typer.Option(
            "--category", metavar="NAME", help="Category of every cut-out; default the name of its sub-folder."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder of the pack to make or add to; default one in your data folder."
        ),
    ] = None,
    kind: Annotated[
        ImportKind, typer.Option("--kind", help="How the cut-outs are stored; auto looks at them.")
    ] = "auto",
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the pictures of a COCO file.")
    ] = None,
    coco_categories: Annotated[
        str,
        typer.Option(
            "--coco-categories",
            metavar="NAME,NAME",
            help="Categories of a COCO file to import; default those that are food, hands or drinks.",
        ),
    ] = "",
    base_edge: Annotated[
        EdgeOption,
        typer.Option(
            "--base-edge", help="Side at which the objects continue outside the picture; auto guesses it for hands."
        ),
    ] = "auto",
    min_side: Annotated[
        int, typer.Option("--min-side", metavar="PX", min=1, help="Shorter cut-outs are skipped; pixels.")
    ] = 64,
    long_side: Annotated[
        int, typer.Option("--long-side", metavar="PX", min=8, help="Longer cut-outs are shrunk to this; pixels.")
    ] = 512,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Largest number of new templates per category.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Import cut-outs into a pack, each with its licence and source."""
    from occsynth.databases.read_only import refuse_remembered_roots
    from occsynth.templates.add import add_pack, default_pack_folder

    folder = out or default_pack_folder(source)
    refuse_remembered_roots(folder)
    names = [name for name in (each.strip() for each in coco_categories.split(",")) if name]
    with progress_bar() as progress:
        summary = add_pack(
            source,
            folder,
            licence=licence,
            source_text=origin,
            attribution=attribution,
            category=category,
            kind=kind,
            images=images,
            coco_categories=names or None,
            base_edge=_edge(base_edge),
            min_side_px=min_side,
            long_side_px=long_side,
            limit=limit,
            overwrite=overwrite,
            progress=progress,
        )
    _print_summary(summary)


def _edge(option: EdgeOption) -> Edge | None:
    if option == "auto":
        return None
    return "" if option == "none" else option


def _print_summary(summary: "ImportSummary") -> None:
    for note in summary.notes:
        warn(note)
    say("added", f"{len(summary.added)} templates to {shown(summary.folder)}")
    say("skipped", len(summary.skipped))
    reasons = list(summary.reasons().items())
    for reason, count in reasons[:_REASONS_SHOWN]:
        say("", count, reason)
    if more := reasons[_REASONS_SHOWN:]:
        say("", sum(count for _, count in more), f"for {counted(len(more), 'other reason')}")
    say("next", f"occsynth templates --templates {shown(summary.folder)}")
