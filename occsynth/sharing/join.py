"""Joining a published manifest with the recipient's own copy of the database, by the hashes of its sources."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from occsynth.build.duplicates import note_of
from occsynth.build.record_index import RecordIndex, record_to_json
from occsynth.build.settings import label_options
from occsynth.databases import DATABASES
from occsynth.databases.record import FaceRecord
from occsynth.errors import BuildError, ManifestError, SourceError, lookup
from occsynth.files import explained_os_errors
from occsynth.manifest import Manifest, ManifestInfo, Row, text_file, votes_text, write_rows
from occsynth.parallel import Progress, run_chunks
from occsynth.pixels.source_faults import explained_source_faults
from occsynth.pixels.sources import read_source, source_sha256
from occsynth.sharing.assign import assign
from occsynth.sharing.join_index import JoinIndex
from occsynth.sharing.publish import is_table_row, named
from occsynth.slurm import SlurmJobs


@dataclass(frozen=True, slots=True)
class JoinReport:
    """What a join found.

    Attributes:
        info: the JSON with nothing withheld: its counts by class and its duplicates are back, and the digest of the
            scan, if the rows are all that this copy gives.
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
    slurm: SlurmJobs | None = None,
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
                by_pixels = "source_sha256" in info.withheld
                chunks = ((str(raw_root), chunk, by_pixels) for _, chunk in records.chunks())
                done, total = 0, records.count()
                for hashed in run_chunks(
                    hash_chunk, chunks, workers=workers, backend=backend, scheduler=scheduler, slurm=slurm
                ):
                    index.add_sources(hashed)
                    done += len(hashed)
                    if progress:
                        progress("hash", done, total)
                missing, warnings = _match(manifest, raw_root, index)
                with explained_os_errors(path), text_file(path) as file:
                    write_rows(file, index.rows())
                joined = replace(
                    info,
                    withheld=[],
                    counts={"class": index.count_classes(), **info.counts},
                    duplicates=index.duplicates(),
                    notes=_notes(info, index, records, every=database.candidates is None),
                )
        finally:
            records.close()
    return JoinReport(joined, missing, warnings)


@contextmanager
def _explained(folder: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BuildError(f"cannot write to the temporary folder {folder}: {error}. Free some space there") from error


def _notes(info: ManifestInfo, index: JoinIndex, records: RecordIndex, *, every: bool) -> dict[str, str]:
    """The notes with those that `publish` leaves out, as far as this copy gives them.

    The digest of the scan tells a later `occsynth build` that the replayed build is the one of this copy. It is left
    out where this copy has other records, or the list of a subset or of folds had a say.

    Args:
        every: whether the records are those of a build's scan.
    """
    notes, across = dict(info.notes), index.duplicates_across()
    rows = sum(index.count_classes().values())
    same = every and not info.subset and not info.folds and rows <= records.count() <= rows + info.rejects
    digest = {"records_sha256": records.digest()} if same and "records_sha256" not in notes else {}
    return digest | notes | ({"duplicates_across": note_of(across)} if across else {})


def hash_chunk(raw_root: str, records: list[FaceRecord], by_pixels: bool) -> list[tuple[str, str, str]]:
    """`(hash, pair_id, record as JSON)` of some records; the hash is empty where a source cannot be read.

    Args:
        by_pixels: rows of tables are hashed as their pixels are, and not as the bytes of the source.
    """
    found = []
    for record in records:
        try:
            if by_pixels and is_table_row(record.source):
                with explained_source_faults():
                    digest = read_source(Path(raw_root), record.source).pixels_sha256
            else:
                digest = source_sha256(Path(raw_root), record.source)
        except SourceError:
            digest = ""
        found.append((digest, record.pair_id, record_to_json(record)))
    return found


def _match(manifest: Manifest, raw_root: Path, index: JoinIndex) -> tuple[list[tuple[str, str]], list[str]]:
    """Joins every row into the index; returns the rows without a source, and warnings."""
    missing, unsure, moved = [], [], []
    # published rows are sorted by the pixels of their source: rows of equal bytes are neighbours
    for _, group in groupby(_in_order(manifest), lambda row: row.source_pixels_sha256):
        rows_by_source: dict[str, list[Row]] = {}
        for row in group:
            rows_by_source.setdefault(row.source_sha256 or row.source_pixels_sha256, []).append(row)
        for digest, rows in rows_by_source.items():
            records = _in_place(rows, index.records(digest))
            pairs = assign(rows, records)
            if len(records) != len(rows) and len({(each.expression, each.subject) for each in records}) > 1:
                unsure += [row.pair_id for row, record in pairs if record.box_xyxy is None]
            for row, record in pairs:
                index.add_row(_joined_row(row, record, raw_root))
                fold = row.fold if manifest.info.folds else record.fold  # a list of one's own is not in this copy
                if (record.split, fold) != (row.split, row.fold) and row.clean:
                    moved.append(row.pair_id)
            found = {row.pair_id for row, _ in pairs}
            column = "source_sha256" if rows[0].source_sha256 else "source_pixels_sha256"
            problem = f"no image of this copy has {column} {digest}"
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


def _in_place(rows: list[Row], records: list[FaceRecord]) -> list[FaceRecord]:
    """Of more records than rows those of the rows' splits and folds, if they are enough: labels are not published."""
    places = {(row.split, row.fold) for row in rows}
    near = [record for record in records if (record.split, record.fold) in places]
    return near if len(rows) <= len(near) else records


def _joined_row(row: Row, record: FaceRecord, raw_root: Path) -> Row:
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
        source_sha256=row.source_sha256 or source_sha256(raw_root, record.source),
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
