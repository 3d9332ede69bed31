"""Published manifests: no label, subject or file name of the licensed database; hashes alone identify the sources.

`occsynth.sharing.join` brings back what is withheld here from the recipient's own copy.
"""

import filecmp
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from occsynth.errors import BuildError, ManifestError
from occsynth.files import explained_os_errors, replacing, write_atomic
from occsynth.manifest import Manifest, Row, manifest_name, text_file, write_rows
from occsynth.ownership import refuse_foreign_file

WITHHELD = ("pair_id", "subject", "expression", "clean", "occluded", "mask", "source")
"""Columns that are emptied, as is `votes` where there are votes; pair_id and the paths that end in it get a number
instead."""


MAKER = "occsynth publish"


def publish(manifest: Manifest, out: Path, *, overwrite: bool = False) -> Path:
    """Writes a manifest without what names people, labels or files, and its JSON beside it.

    Rows are sorted by their source's hash and numbered, so that neither their names nor their order tell anything.
    Counts by class, duplicates (which are pair_ids), the list of rejects and the landmarks are left out too; folds and
    splits stay. The same manifest published again gives the same bytes, so that nothing has to be replaced.

    Args:
        manifest: as built or replayed.
        out: the `.csv` or `.csv.gz` to write.
        overwrite: replace `out` and the JSON beside it even if they hold something else.

    Returns:
        `out`.

    Raises:
        ManifestError: the manifest is published already, or a path in it does not end in its pair_id.
        BuildError: `out` or the JSON holds something else, or cannot be written.
    """
    if manifest.info.withheld:
        withheld = ", ".join(manifest.info.withheld)
        raise ManifestError(f"{manifest.path} is already a published manifest: it withholds {withheld}")
    description = out.with_name(f"{manifest_name(out)}.json")
    if out.resolve() == manifest.path.resolve() or description.resolve() == manifest.beside(".json").resolve():
        raise ManifestError(f"{out} is the manifest itself; give the published one another name or folder")
    counts = {name: table for name, table in manifest.info.counts.items() if name != "class"}
    emptied = [*WITHHELD, *(["votes"] if manifest.has_votes else [])]
    info = replace(manifest.info, withheld=emptied, counts=counts, duplicates=[])
    described = info.dumps().encode()
    refuse = partial(refuse_foreign_file, maker=MAKER, error=BuildError, overwrite=overwrite)
    refuse(description, is_own=lambda path: path.is_file() and path.read_bytes() == described)
    refuse(out, is_own=lambda path: path.is_file() and description.exists())  # its rows are compared below
    with explained_os_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as temporary:
            with _by_source(manifest) as rows, text_file(temporary) as file:
                write_rows(file, (numbered(row, number) for number, row in enumerate(rows, 1)))
            refuse(out, is_own=lambda path: filecmp.cmp(path, temporary, shallow=False))
            write_atomic(description, described)  # the CSV appears last: a manifest is never half there
    return out


def numbered(row: Row, number: int) -> Row:
    """The row with a number in place of its pair_id, and nothing that names people, labels or files.

    Raises:
        ManifestError: a path does not end in the pair_id.
    """
    name = f"{number:08d}"
    paths = {column: _renamed(getattr(row, column), row.pair_id, name) for column in ("clean", "occluded", "mask")}
    votes = None if row.votes is None else ""
    bare = replace(row, pair_id=name, subject="", expression="", source="", votes=votes)
    return replace(bare, clean=paths["clean"], occluded=paths["occluded"], mask=paths["mask"])


def named(row: Row, pair_id: str) -> dict[str, str]:
    """The pair_id and the paths of a numbered row under another pair_id: the inverse of `numbered` for these."""
    paths = {column: _renamed(getattr(row, column), row.pair_id, pair_id) for column in ("clean", "occluded", "mask")}
    return {"pair_id": pair_id, **paths}


def _renamed(path: str, old: str, new: str) -> str:
    """`folder/<old>.png` as `folder/<new>.png`; empty stays empty."""
    if not path:
        return ""
    head, _, ending = path.rpartition(".")
    if not head.endswith(f"/{old}"):
        raise ManifestError(f"path '{path}' does not end in its pair_id '{old}'; this manifest was edited by hand")
    return f"{head.removesuffix(old)}{new}.{ending}"


@contextmanager
def _by_source(manifest: Manifest) -> Iterator[Iterator[Row]]:
    """The rows sorted by source pixels, then pair_id; sorted on disk, so that memory stays flat."""
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("CREATE TABLE rows (pixels TEXT, pair_id TEXT, cells TEXT)")
        found = ((row.source_pixels_sha256, row.pair_id, json.dumps(row.cells())) for row in manifest.rows())
        database.execute("BEGIN")
        database.executemany("INSERT INTO rows VALUES (?, ?, ?)", found)
        database.execute("COMMIT")
        ordered = database.execute("SELECT cells FROM rows ORDER BY pixels, pair_id")
        yield (Row.from_cells(json.loads(cells)) for (cells,) in ordered)
