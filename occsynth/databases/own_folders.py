"""Folders that occsynth and occfer made: a scan never takes what they hold for pictures of a raw database.

A build root that was made inside a raw root would otherwise double the database with its own occluded faces.
"""

from pathlib import Path

from occsynth.databases.record import Reject
from occsynth.ownership import maker_of
from occsynth.reading import read_json

OWN = "occsynth or occfer made this folder, so it is no part of the database"
_MANIFEST_KEYS = {"schema", "name", "database", "mode", "withheld"}
_ENVIRONMENT_KEYS = {"command", "versions", "device"}
_IMAGE_FOLDERS = {"clean", "occluded", "mask"}


def own_folder(path: str) -> Reject:
    """What a scan yields in place of such a folder."""
    return Reject(path, OWN, by_protocol=True)


def is_own_folder(item: object) -> bool:
    """Whether an item of a scan stands for such a folder."""
    return isinstance(item, Reject) and item.reason == OWN


def made_here(folder: Path) -> bool:
    """Whether occsynth or occfer made a folder: a build root, a part of one, a run, results, a template pack."""
    return (
        maker_of(folder).startswith(("occsynth ", "occfer "))
        or is_build_root(folder)
        or _is_part_of_build_root(folder)
        or _has_keys(folder / "environment.json", _ENVIRONMENT_KEYS)
    )


def is_build_root(folder: Path) -> bool:
    """Whether a folder holds a build, finished or not."""
    if not (folder / "data").is_dir():
        return False
    return is_manifests_folder(folder / "manifests") or any(folder.glob(".work/*"))


def is_manifests_folder(folder: Path) -> bool:
    """Whether a folder holds the JSON of a manifest."""
    return any(is_manifest_json(path) for path in folder.glob("*.json"))


def is_manifest_json(path: Path) -> bool:
    """Whether a file is the JSON of a manifest."""
    return _has_keys(path, _MANIFEST_KEYS)


def _is_part_of_build_root(folder: Path) -> bool:
    """The parts matter where the raw root itself was taken for a build root: beside them lies the raw database."""
    if folder.name in ("manifests", ".work"):
        return is_build_root(folder.parent)
    if folder.name == "cache":
        return (folder / "landmarks").is_dir() and is_build_root(folder.parent)
    if folder.parent.name != "data" or not is_build_root(folder.parent.parent):
        return False
    names = {path.name for path in folder.iterdir()}
    return bool(names) and names <= _IMAGE_FOLDERS


def _has_keys(path: Path, keys: set[str]) -> bool:
    if not path.is_file():
        return False
    try:
        return keys <= set(read_json(path, ValueError))
    except ValueError:
        return False
