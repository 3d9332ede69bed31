"""Published manifests, alone or as a suite: the rows and the facts beside them, and no image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from occfer.errors import HubError
from occfer.hub.repository import LARGEST_FILE_BYTES, SUITE
from occsynth.errors import OccSynthError
from occsynth.files import inside, is_file
from occsynth.manifest import Manifest, open_manifest
from occsynth.reading import read_bytes
from occsynth.sharing.published import refuse_unpublished
from occsynth.suites.check import check
from occsynth.suites.suite import Suite


@dataclass(frozen=True, slots=True, eq=False)
class ManifestSet:
    """What is uploaded of manifests, beside the card.

    Attributes:
        tables: each manifest by what it is called there; the columns' names for a suite.
        names: the file of each in the repository.
        files: name and content, as they lie on the disk.
        suite: the suite, if it is one.
    """

    tables: dict[str, Manifest]
    names: dict[str, str]
    files: dict[str, bytes]
    suite: Suite | None = None


def is_suite(path: Path) -> bool:
    """Whether a folder holds a suite."""
    return is_file(path / SUITE)


def manifest_set(paths: Sequence[Path]) -> ManifestSet:
    """Opens manifests, or the folder of one suite, and looks at each of their rows.

    Raises:
        HubError: one is no manifest, or not as `occsynth publish` writes it; two have one name; or a suite is not what
            was frozen.
    """
    try:
        return _suite(paths[0]) if len(paths) == 1 and is_suite(paths[0]) else _manifests(paths)
    except OccSynthError as error:
        raise HubError(str(error)) from error


def _manifests(paths: Sequence[Path]) -> ManifestSet:
    tables: dict[str, Manifest] = {}
    for path in paths:
        manifest = open_manifest(path)
        refuse_unpublished(manifest)
        name = manifest.info.name
        if name in tables:
            raise HubError(f"two of the manifests are called {name}; share them in repositories of their own")
        tables[name] = manifest
    endings = {name: ".csv.gz" if each.path.name.endswith(".gz") else ".csv" for name, each in tables.items()}
    names = {name: f"{name}{ending}" for name, ending in endings.items()}
    return ManifestSet(tables, names, _files(tables, names))


def _suite(folder: Path) -> ManifestSet:
    found = check(folder)
    if found.problems:
        raise HubError(f"{folder} is not a frozen suite: {found.problems[0]}; see `occsynth suite check`")
    tables = {column.name: open_manifest(inside(folder, column.manifest)) for column in found.suite.columns}
    for manifest in tables.values():
        refuse_unpublished(manifest)
    names = {column.name: column.manifest for column in found.suite.columns}
    text = {SUITE: read_bytes(folder / SUITE, HubError)}
    return ManifestSet(tables, names, text | _files(tables, names), found.suite)


def _files(tables: dict[str, Manifest], names: dict[str, str]) -> dict[str, bytes]:
    files = {}
    for table, manifest in tables.items():
        name = names[table]
        facts = name.removesuffix(".gz").removesuffix(".csv") + ".json"
        for path, there in ((manifest.path, name), (manifest.beside(".json"), facts)):
            files[there] = read_bytes(path, HubError, largest=LARGEST_FILE_BYTES)
    return files
