"""Published manifests: no label, subject or file name of the licensed database; hashes alone identify the sources.

No digest travels whose text is withheld: it would tell whoever guesses the text that the guess is right. What each
field still tells, and to whom, is listed in docs/sharing.md. `occsynth.sharing.join` brings back what is withheld here
from the recipient's own copy.
"""

import filecmp
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from occsynth.errors import BuildError, ManifestError
from occsynth.files import explained_os_errors, replacing, write_atomic
from occsynth.manifest import Manifest, ManifestInfo, Row, manifest_name, text_file, write_rows
from occsynth.modes import REAL
from occsynth.ownership import refuse_foreign_file

WITHHELD = ("pair_id", "subject", "expression", "clean", "occluded", "mask", "source")
"""Columns that are emptied; pair_id and the paths that end in it get a number instead.

`votes` is emptied too where there are votes, and `source_sha256` where sources are rows of a table: there it is a
digest over a line that holds the label.
"""

NOTES = ("excluded_by_protocol", "clean_folder")
"""Notes that stay. The others are made of what is withheld."""


MAKER = "occsynth publish"


def publish(manifest: Manifest, out: Path, *, overwrite: bool = False) -> Path:
    """Writes a manifest without what names people, labels or files, and its JSON beside it.

    Rows are sorted by their source's hash and numbered, so that neither their names nor their order tell anything.
    Counts by class, duplicates (which are pair_ids), digests of the scan and of lists, the list of rejects and the
    landmarks are left out too; folds and splits stay. The same manifest published again gives the same bytes, so that
    nothing has to be replaced.

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
    refuse = partial(refuse_foreign_file, maker=MAKER, error=BuildError, overwrite=overwrite)
    with _by_source(manifest) as by_source:
        described = _published_info(manifest, table_rows=by_source.table_rows).dumps().encode()
        refuse(description, is_own=lambda path: path.is_file() and path.read_bytes() == described)
        refuse(out, is_own=lambda path: path.is_file() and description.exists())  # its rows are compared below
        with explained_os_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            with replacing(out) as temporary:
                with text_file(temporary) as file:
                    write_rows(file, (numbered(row, number) for number, row in enumerate(by_source.rows, 1)))
                refuse(out, is_own=lambda path: filecmp.cmp(path, temporary, shallow=False))
                write_atomic(description, described)  # the CSV appears last: a manifest is never half there
    return out


def draws_tell_names(info: ManifestInfo) -> bool:
    """Whether the occlusions were drawn from pair_ids, as in schema 1: they confirm a guess of the names."""
    return info.schema == 1 and info.mode != REAL


def _published_info(manifest: Manifest, *, table_rows: bool) -> ManifestInfo:
    info = manifest.info
    emptied = ["votes" if manifest.has_votes else "", "source_sha256" if table_rows else ""]
    return replace(
        info,
        withheld=[*WITHHELD, *filter(None, emptied)],
        counts={name: table for name, table in info.counts.items() if name != "class"},
        duplicates=[],
        root="..",
        subset_sha256="",
        folds_sha256="",
        notes={name: info.notes[name] for name in NOTES if name in info.notes},
    )


def numbered(row: Row, number: int) -> Row:
    """The row with a number in place of its pair_id, and nothing that names people, labels or files.

    Raises:
        ManifestError: a path does not end in the pair_id.
    """
    name = f"{number:08d}"
    paths = {column: _renamed(getattr(row, column), row.pair_id, name) for column in ("clean", "occluded", "mask")}
    votes = None if row.votes is None else ""
    digest = "" if is_table_row(row.source) else row.source_sha256
    bare = replace(row, pair_id=name, subject="", expression="", source="", source_sha256=digest, votes=votes)
    return replace(bare, clean=paths["clean"], occluded=paths["occluded"], mask=paths["mask"])


def is_table_row(source: str) -> bool:
    """Whether a source is a row of a table, which holds the label beside the pixels."""
    return "#row=" in source


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


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The rows of a manifest sorted by source pixels, then pair_id.

    Attributes:
        rows: can be read once.
        table_rows: whether there are any whose source is a row of a table.
    """

    rows: Iterator[Row]
    table_rows: bool


@contextmanager
def _by_source(manifest: Manifest) -> Iterator[_Sorted]:
    """Sorts on disk, so that memory stays flat."""
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("CREATE TABLE rows (pixels TEXT, pair_id TEXT, cells TEXT, of_table INTEGER)")
        found = (
            (row.source_pixels_sha256, row.pair_id, json.dumps(row.cells()), is_table_row(row.source))
            for row in manifest.rows()
        )
        database.execute("BEGIN")
        database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", found)
        database.execute("COMMIT")
        (table_rows,) = database.execute("SELECT COALESCE(MAX(of_table), 0) FROM rows").fetchone()
        ordered = database.execute("SELECT cells FROM rows ORDER BY pixels, pair_id")
        yield _Sorted((Row.from_cells(json.loads(cells)) for (cells,) in ordered), bool(table_rows))
