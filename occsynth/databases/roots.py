"""Where the user keeps each raw database, remembered between commands in the user's settings."""

import json
from pathlib import Path

from occsynth.databases import DATABASES
from occsynth.databases.record import Database
from occsynth.errors import BuildError, DatabaseLayoutError, lookup
from occsynth.files import replacing
from occsynth.reading import read_json


def settings_path() -> Path:
    """The file that holds the remembered roots."""
    import platformdirs

    return Path(platformdirs.user_config_dir("occsynth")) / "roots.json"


def remembered_roots() -> dict[str, Path]:
    """Every remembered root by database key; empty if none was remembered yet.

    Raises:
        DatabaseLayoutError: the file exists but is malformed.
    """
    path = settings_path()
    if not path.exists():
        return {}
    try:
        content = read_json(path, DatabaseLayoutError)
    except DatabaseLayoutError as error:
        raise DatabaseLayoutError(f"{error}. Delete it and set the roots again") from error
    if not all(isinstance(value, str) for value in content.values()):
        raise DatabaseLayoutError(f"{path} is not a JSON object of folders. Delete it and set the roots again")
    return {key: Path(value) for key, value in content.items()}


def remembered(key: str) -> Path | None:
    """The remembered root of a database, or None."""
    return remembered_roots().get(key)


def remember(key: str, folder: Path) -> Path:
    """Remembers a root as an absolute path, and returns that.

    Raises:
        DatabaseLayoutError: it is not a folder, or the settings cannot be written.
    """
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise DatabaseLayoutError(f"{key}: {folder} is not a folder; give the one that holds the raw database")
    roots = {**remembered_roots(), key: folder}
    text = json.dumps({name: str(path) for name, path in sorted(roots.items())}, indent=2) + "\n"
    path = settings_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DatabaseLayoutError(f"{path} cannot be written: {error.strerror or error}") from error
    return folder


def root_of(database: Database, given: Path | None) -> Path:
    """The raw root to use: the given one, that of the demo database, or the remembered one.

    Raises:
        DatabaseLayoutError: there is none; the message says what to type.
    """
    if given is not None:
        return given.expanduser()
    if not database.needs_root:
        from occsynth.databases.demo import ROOT

        return ROOT
    root = remembered(database.key)
    if root is None:
        raise DatabaseLayoutError(
            f"{database.key}: no --root was given and none is remembered. --root must be {database.expects}. "
            f"`occsynth databases set {database.key} DIR` remembers it"
        )
    return root


def raw_root(key: str, given: Path | None) -> Path:
    """The raw root of a database, checked to be a folder; see `root_of`.

    Raises:
        DatabaseLayoutError: it is neither given nor remembered.
        BuildError: it is not a folder.
        UnknownNameError: there is no database of that key.
    """
    database = lookup(DATABASES, key, kind="database")
    root = root_of(database, given)
    if not root.is_dir():
        raise BuildError(f"{key}: the root {root} is not a folder. --root must be {database.expects}")
    return root
