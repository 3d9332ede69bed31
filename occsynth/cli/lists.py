"""`occsynth databases` and `occsynth modes`: list what can be built."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from occsynth.cli.output import say, table
from occsynth.modes import DESCRIPTIONS, GROUPS, REAL, expand, find_mode
from occsynth.option_values import Fill, SquareAt

databases = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@databases.callback()
def list_databases(context: typer.Context) -> None:
    """List the databases, with what --root must hold, terms of use and remembered root; `set` remembers a root."""
    if context.invoked_subcommand is not None:
        return
    from occsynth.databases import DATABASES
    from occsynth.databases.roots import remembered_roots

    roots = remembered_roots()
    rows = []
    for database in DATABASES.values():
        root = "ships with occsynth" if not database.needs_root else str(roots.get(database.key, "-"))
        variants = ", ".join(f"{each.name} ({each.also})" if each.also else each.name for each in database.variants)
        about = (database.expects, database.terms, root)
        rows.append((database.key, database.title, str(database.size_px), variants, *about))
    columns = ("key", "database", "size", "variants", "--root is", "terms", "remembered root")
    table(columns, rows, lines=True)


@databases.command("set")
def set_root(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Key of the database.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that holds it.")],
) -> None:
    """Remember where a raw database is, so that --root can be left out."""
    from occsynth.databases import find_database
    from occsynth.databases.roots import remember, settings_path

    database = find_database(key)
    say(f"{key} is at {remember(database.key, folder)} (kept in {settings_path()})")


def modes(
    measure: Annotated[
        str,
        typer.Option(
            "--measure",
            metavar="MODE[,MODE]",
            help="Instead, occlude the 280 demo faces in these modes and show how much is hidden on average.",
        ),
    ] = "",
    fill: Annotated[
        Fill | None, typer.Option("--fill", help="What hides the faces with --measure; default a template, and black.")
    ] = None,
    square_at: Annotated[
        SquareAt, typer.Option("--square-at", help="Where the squares of r8, r16 and r24 have their centre.")
    ] = "picture",
) -> None:
    """List the occlusion modes, or measure how much some of them hide."""
    if measure:
        _measure(expand(measure), (fill,) if fill else ("template", "black"), square_at)
        return
    if fill or square_at != "picture":
        raise typer.BadParameter(
            "they say how --measure occludes faces; give it modes", param_hint="--fill, --square-at"
        )
    groups = [(name, f"{', '.join(modes)} in one pass over the database") for name, modes in GROUPS.items()]
    table(("mode", "what it does"), [*DESCRIPTIONS.items(), *groups])


def _measure(names: Sequence[str], fills: Sequence[Fill], square_at: SquareAt) -> None:
    from occsynth.hidden_shares import hidden_shares

    if REAL in names:
        raise typer.BadParameter(f"{REAL} hides nothing that could be measured", param_hint="--measure")
    columns = ("mode", "fill", "by its name", "picture", "face", "eyes", "mouth", "misses the face", "partial")
    lines = []
    for found in hidden_shares(names, fills, square_at):
        shares = (found.picture, found.face, found.eyes, found.mouth, found.misses_face, found.partial)
        named = find_mode(found.mode).named_share or "-"
        lines.append((found.mode, found.fill, named, *(f"{100 * share:.1f} %" for share in shares)))
    table(columns, lines)
