"""Where the user keeps each raw database: remembered between commands in the user's settings."""

import json
import os
from pathlib import Path

from occsynth.databases import DATABASES
from occsynth.databases.record import Database
from occsynth.errors import BuildError, DatabaseLayoutError, lookup


def settings_path() -> Path:
    """The file that holds the remembered roots."""
    import platformdirs

    return Path(platformdirs.user_config_dir("occsynth")) / "roots.json"


def remembered_roots() -> dict[str, Path]:
    """Every remembered root by database key.

    Raises:
        DatabaseLayoutError: the file is there but malformed.
    """
    path = settings_path()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DatabaseLayoutError(f"{path} cannot be read: {error.strerror or error}. Give permission") from error
    except ValueError as error:
        raise DatabaseLayoutError(f"{path} is malformed: {error}. Delete it and set the roots again") from error
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise DatabaseLayoutError(f"{path} is not a table of folders by database. Delete it and set the roots again")
    return {key: Path(value) for key, value in content.items()}


def remembered(key: str) -> Path | None:
    """The remembered root of a database, or None."""
    return remembered_roots().get(key)


def remember(key: str, folder: Path) -> Path:
    """Remembers a root, as an absolute path, and returns it.

    Raises:
        DatabaseLayoutError: it is no folder, or the settings cannot be written.
    """
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise DatabaseLayoutError(f"{key}: {folder} is not a folder; give the one that holds the raw database")
    roots = {**remembered_roots(), key: folder}
    text = json.dumps({name: str(path) for name, path in sorted(roots.items())}, indent=2) + "\n"
    path = settings_path()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DatabaseLayoutError(f"{path} cannot be written: {error.strerror or error}") from error
    return folder


def root_of(database: Database, given: Path | None) -> Path:
    """The raw root to use: the one given, the embedded one, or the remembered one.

    Raises:
        DatabaseLayoutError: none of them, with what to type.
    """
    if given is not None:
        return given.expanduser()
    if not database.needs_root:
        from occsynth.databases.demo import ROOT

        return ROOT
    root = remembered(database.key)
    if root is None:
        raise DatabaseLayoutError(
            f"{database.key}: no --root given and none remembered. --root must hold: {database.expects}. "
            f"`occsynth databases set {database.key} DIR` remembers it"
        )
    return root


def raw_root(key: str, given: Path | None) -> Path:
    """The database's raw root: as given, or remembered; the demo database ships with occsynth.

    Raises:
        DatabaseLayoutError: neither given nor remembered.
        BuildError: not a folder.
    """
    database = lookup(DATABASES, key, kind="database")
    root = root_of(database, given)
    if not root.is_dir():
        raise BuildError(f"{key}: the root {root} is not a folder. It must hold: {database.expects}")
    return root
