"""`occsynth databases` and `occsynth modes`: list what can be built."""

from pathlib import Path
from typing import Annotated

import typer

from occsynth.cli.output import say, table
from occsynth.modes import DESCRIPTIONS, GROUPS

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
        variants = ", ".join(each.name for each in database.variants)
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


def modes() -> None:
    """List the occlusion modes."""
    groups = [(name, f"{', '.join(modes)} in one pass over the database") for name, modes in GROUPS.items()]
    table(("mode", "what it does"), [*DESCRIPTIONS.items(), *groups])
