"""Freezing a suite: manifests are published, and a digest over all that decides a figure seals the folder."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from occsynth.errors import SuiteError
from occsynth.files import explained_os_errors, inside, write_atomic
from occsynth.manifest import Manifest, open_manifest
from occsynth.ownership import owned_folder
from occsynth.reading import open_unpacked
from occsynth.sharing.publish import publish
from occsynth.suites.suite import FILE, Column, Suite, dump_suite, read_suite, suite_digest, truth_sha256

MAKER = "occsynth suite freeze"
_MANIFESTS = "manifests"
_PIECE_BYTES = 2**20


def freeze(folder: Path, out: Path, *, overwrite: bool = False) -> Suite:
    """Writes a suite that can be shared: suite.toml and published manifests, without images, labels and names.

    Args:
        folder: as `make_suite` made it.
        out: a new folder, or one in which this command has frozen the same suite before.
        overwrite: write into a folder that holds other files too, or another suite.

    Raises:
        SuiteError: it is frozen already or not made yet; the columns show different faces; or `out` holds something
            else, or another suite of that name and version.
        OccSynthError: a manifest cannot be read or published.
    """
    made = read_suite(folder)
    if made.is_frozen:
        raise SuiteError(f"{folder} is a frozen suite already: {made.name} {made.version}, digest {made.digest}")
    manifests = [_built(folder, column) for column in made.columns]
    faces = _common_faces(made, manifests)
    with owned_folder(out, MAKER, SuiteError, overwrite=overwrite), _beside(out) as work:
        columns = []
        for column, manifest in zip(made.columns, manifests, strict=True):
            name = f"{_MANIFESTS}/{column.name}.csv.gz"
            published = open_manifest(publish(manifest, work / name))
            columns.append(replace(column, manifest=name, sha256=column_sha256(published)))
        unsealed = replace(made, columns=tuple(columns), truth_sha256=truth_sha256(faces))
        frozen = replace(unsealed, digest=suite_digest(unsealed))
        if not overwrite and (out / FILE).exists() and (there := read_suite(out)).digest != frozen.digest:
            raise SuiteError(
                f"{out} holds {there.name} {there.version} of digest {there.digest}, but this one has {frozen.digest}: "
                "choose another folder and another version, or give --overwrite to replace it"
            )
        with explained_os_errors(out):
            (out / _MANIFESTS).mkdir(exist_ok=True)
            for made_file in sorted((work / _MANIFESTS).iterdir()):
                write_atomic(out / _MANIFESTS / made_file.name, made_file.read_bytes())
        write_atomic(out / FILE, dump_suite(frozen).encode())  # last: where it is, all is there
    return frozen


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder for files that are not to be seen before all of them are made."""
    with explained_os_errors(out), TemporaryDirectory(prefix=".freeze-", dir=out) as folder:
        yield Path(folder)


def _built(folder: Path, column: Column) -> Manifest:
    if not column.manifest:
        raise SuiteError(f"{folder} is a recipe: column '{column.name}' is not built; run `occsynth suite make` first")
    return open_manifest(inside(folder, column.manifest))


Face = tuple[str, str, str]
"""The hash of a source's pixels, the expression and the subject."""


def _common_faces(suite: Suite, manifests: list[Manifest]) -> list[Face]:
    """The faces of the columns; raises SuiteError where they differ: columns can be compared only on the same faces."""
    first: list[Face] = []
    for column, manifest in zip(suite.columns, manifests, strict=True):
        faces = sorted((row.source_pixels_sha256, row.expression, row.subject) for row in manifest.rows())
        if not faces:
            raise SuiteError(f"{manifest.path} has no rows")
        if first and faces != first:
            raise SuiteError(f"column '{column.name}' shows other faces than column '{suite.columns[0].name}'")
        first = first or faces
    return first


def column_sha256(manifest: Manifest) -> str:
    """SHA-256 (hexadecimal) over a published manifest's rows and what its JSON says of the build.

    However the rows are packed, and with which versions the pictures were made, does not count: rows hold hashes of
    pixels.
    """
    digest = hashlib.sha256()
    about = {name: value for name, value in asdict(manifest.info).items() if name != "versions"}
    digest.update(json.dumps(about, sort_keys=True).encode())
    try:
        with open_unpacked(manifest.path) as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
    except (OSError, EOFError) as error:
        raise SuiteError(f"{manifest.path} cannot be read: {error}") from error
    return digest.hexdigest()
