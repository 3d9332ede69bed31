"""Joining a published manifest with the recipient's own copy of the database, by the hashes of its sources."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from occsynth.build.record_index import RecordIndex, record_to_json
from occsynth.build.settings import label_options
from occsynth.databases import DATABASES
from occsynth.databases.record import FaceRecord
from occsynth.errors import BuildError, ManifestError, SourceError, lookup
from occsynth.files import explained_os_errors
from occsynth.manifest import Manifest, ManifestInfo, Row, text_file, votes_text, write_rows
from occsynth.parallel import Progress, run_chunks
from occsynth.pixels.sources import source_sha256
from occsynth.sharing.assign import assign
from occsynth.sharing.join_index import JoinIndex
from occsynth.sharing.publish import named


@dataclass(frozen=True, slots=True)
class JoinReport:
    """What a join found.

    Attributes:
        info: the JSON with nothing withheld: its counts by class and its duplicates are back.
        missing: `(pair_id of the published row, problem)`, rows whose source is not in this copy.
        warnings: rows matched by nothing but the order of names, and rows with another split or fold in this copy.
    """

    info: ManifestInfo
    missing: list[tuple[str, str]]
    warnings: list[str]


def join(
    manifest: Manifest,
    raw_root: Path,
    path: Path,
    *,
    workers: int | None = None,
    backend: str = "loky",
    scheduler: str = "",
    progress: Progress | None = None,
) -> JoinReport:
    """Writes the rows of a published manifest with pair_id, subject, expression, paths and source of this copy.

    Split and fold stay the published ones. Several records of one file are told apart by their face boxes, else by
    the order of their pair_ids, which is the order in which they were numbered.

    Args:
        path: `.csv` or `.csv.gz` to write, in the order of the pair_ids.

    Raises:
        OccSynthError: the database is not laid out as its importer expects, or `path` cannot be written.
    """
    info = manifest.info
    database = lookup(DATABASES, info.database, kind="database")
    scan = database.candidates or database.scan
    with tempfile.TemporaryDirectory(prefix="occsynth-") as folder:
        records = RecordIndex(Path(folder) / "records.sqlite")
        try:
            with _explained(folder), closing(JoinIndex(Path(folder) / "join.sqlite")) as index:
                records.add(scan(raw_root, info.variant, label_options(info)))
                chunks = ((str(raw_root), chunk) for _, chunk in records.chunks())
                done, total = 0, records.count()
                for hashed in run_chunks(hash_chunk, chunks, workers=workers, backend=backend, scheduler=scheduler):
                    index.add_sources(hashed)
                    done += len(hashed)
                    if progress:
                        progress("hash", done, total)
                missing, warnings = _match(manifest, index)
                with explained_os_errors(path), text_file(path) as file:
                    write_rows(file, index.rows())
                counts = {"class": index.count_classes(), **info.counts}
                joined = replace(info, withheld=[], counts=counts, duplicates=index.duplicates())
        finally:
            records.close()
    return JoinReport(joined, missing, warnings)


@contextmanager
def _explained(folder: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BuildError(f"cannot write to the temporary folder {folder}: {error}. Free some space there") from error


def hash_chunk(raw_root: str, records: list[FaceRecord]) -> list[tuple[str, str, str]]:
    """`(source_sha256, pair_id, record as JSON)` of some records; the hash is empty where a source cannot be read."""
    found = []
    for record in records:
        try:
            digest = source_sha256(Path(raw_root), record.source)
        except SourceError:
            digest = ""
        found.append((digest, record.pair_id, record_to_json(record)))
    return found


def _match(manifest: Manifest, index: JoinIndex) -> tuple[list[tuple[str, str]], list[str]]:
    """Joins every row into the index; returns the rows without a source, and warnings."""
    missing, unsure, moved = [], [], []
    # published rows are sorted by the pixels of their source: rows of equal bytes are neighbours
    for _, group in groupby(_in_order(manifest), lambda row: row.source_pixels_sha256):
        rows_by_source: dict[str, list[Row]] = {}
        for row in group:
            rows_by_source.setdefault(row.source_sha256, []).append(row)
        for digest, rows in rows_by_source.items():
            records = index.records(digest)
            pairs = assign(rows, records)
            if len(records) != len(rows) and len({(each.expression, each.subject) for each in records}) > 1:
                unsure += [row.pair_id for row, record in pairs if record.box_xyxy is None]
            for row, record in pairs:
                index.add_row(_joined_row(row, record))
                fold = row.fold if manifest.info.folds else record.fold  # a list of one's own is not in this copy
                if (record.split, fold) != (row.split, row.fold) and row.clean:
                    moved.append(row.pair_id)
            found = {row.pair_id for row, _ in pairs}
            problem = f"no image of this copy has source_sha256 {digest}"
            missing += [(row.pair_id, problem) for row in rows if row.pair_id not in found]
    return missing, _warnings(unsure, moved)


def _in_order(manifest: Manifest) -> Iterator[Row]:
    """The rows; raises ManifestError where they are not sorted as `publish` writes them."""
    last = ("", "")
    for row in manifest.rows():
        key = (row.source_pixels_sha256, row.pair_id)
        if key <= last or row.pair_id <= last[1]:
            raise ManifestError(f"{manifest.path}: row {row.pair_id} is out of order; use the file as it was published")
        last = key
        yield row


def _joined_row(row: Row, record: FaceRecord) -> Row:
    names = named(row, record.pair_id)
    return replace(
        row,
        pair_id=names["pair_id"],
        clean=names["clean"],
        occluded=names["occluded"],
        mask=names["mask"],
        subject=record.subject,
        expression=record.expression,
        source=record.source,
        votes=None if row.votes is None else votes_text(record.votes or ()),
    )


def _warnings(unsure: list[str], moved: list[str]) -> list[str]:
    warnings = []
    if unsure:
        warnings.append(
            f"{len(unsure)} rows have sources that this copy lists a different number of times, under different labels "
            f"or subjects; they were matched by the order of their names: {', '.join(unsure[:5])}"
        )
    if moved:
        warnings.append(
            f"{len(moved)} rows have another split or fold in this copy; the manifest's are kept: "
            f"{', '.join(moved[:5])}"
        )
    return warnings
