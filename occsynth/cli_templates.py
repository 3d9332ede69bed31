"""`occsynth templates`: the templates there are, and importing a pack of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from occsynth.cli_output import progress_bar, shown, table

templates = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@templates.callback()
def list_templates(
    context: typer.Context,
    pack: Annotated[Path | None, typer.Option("--templates", metavar="DIR", help="Default the shipped pack.")] = None,
) -> None:
    """List the templates of a pack; `add` imports cut-outs into a pack of your own."""
    if context.invoked_subcommand is not None:
        return
    from occsynth.templates import load_pack

    rows = (
        (each.file, each.category, "yes" if each.see_through else "no", each.licence, each.source)
        for each in load_pack(pack).templates.values()
    )
    table(("file", "category", "see-through", "licence", "source"), rows)


@templates.command("add")
def add(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="RGBA folder, images/ + masks/, or COCO JSON.")],
    licence: Annotated[str, typer.Option("--licence", help="Licence of the cut-outs.")] = "",
    origin: Annotated[str, typer.Option("--source", help="Where they come from.")] = "",
    attribution: Annotated[str, typer.Option("--attribution", help="Whom to name.")] = "",
    category: Annotated[str | None, typer.Option("--category", help="Category of all of them.")] = None,
    images: Annotated[Path | None, typer.Option("--images", metavar="DIR", help="Pictures of a COCO file.")] = None,
    coco: Annotated[str, typer.Option("--coco-categories", metavar="A,B", help="Names in the COCO file.")] = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The pack to make or add to.")] = None,
) -> None:
    """Import cut-outs; a pack without licence or source is refused."""
    from occsynth.template_import import add_pack, default_pack_folder

    folder = out or default_pack_folder(source)
    with progress_bar() as progress:
        summary = add_pack(
            source,
            folder,
            licence=licence,
            source_text=origin,
            attribution=attribution,
            category=category,
            images=images,
            coco_categories=[name.strip() for name in coco.split(",") if name.strip()] or None,
            progress=progress,
        )
    for note in summary.notes:
        typer.echo(f"note\t{note}")
    for reason, count in summary.reasons().items():
        typer.echo(f"skipped\t{count}\t{reason}")
    typer.echo(f"pack\t{shown(folder)}\tuse it with --templates {shown(folder)}")
