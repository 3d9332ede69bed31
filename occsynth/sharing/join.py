"""Joining a published manifest with the recipient's own copy of the database, by the hashes of its sources."""

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occsynth.build.record_index import RecordIndex, record_from_json, record_to_json
from occsynth.databases import DATABASES
from occsynth.databases.record import FaceRecord
from occsynth.errors import BuildError, ManifestError, SourceError, lookup
from occsynth.faces.align import Alignment
from occsynth.files import explained_os_errors
from occsynth.manifest import Manifest, ManifestInfo, Row, text_file, write_rows
from occsynth.parallel import Progress, run_chunks
from occsynth.pixels.sources import source_sha256
from occsynth.pixels.warp import rescale, transform
from occsynth.sharing.publish import named


@dataclass(frozen=True, slots=True)
class Joined:
    """What a join gives.

    Attributes:
        info: the JSON with counts by class and duplicates again, nothing withheld.
        missing: `(pair_id of the published row, problem)`, rows whose source is not in this copy.
        warnings: rows that could be told apart only by the order of names, or whose fold is another in this copy.
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
) -> Joined:
    """Writes the rows of a published manifest with pair_id, subject, expression, paths and source of this copy.

    Split and fold stay the published ones. Several records of equal bytes are told apart by their face boxes, else by
    the order of their pair_ids, as they were numbered.

    Args:
        path: `.csv` or `.csv.gz` to write, in the order of the pair_ids.

    Raises:
        OccSynthError: the database is not laid out as its importer expects, or `path` cannot be written.
    """
    info = manifest.info
    database = lookup(DATABASES, info.database, kind="database")
    scan = database.candidates or database.scan
    with tempfile.TemporaryDirectory(prefix="occsynth-") as folder:
        index = RecordIndex(Path(folder) / "records.sqlite")
        try:
            with _explained(folder), closing(_Pool(Path(folder) / "join.sqlite")) as pool:
                index.add(scan(raw_root, info.variant))
                chunks = ((str(raw_root), records) for _, records in index.chunks())
                done, total = 0, index.count()
                for hashed in run_chunks(hash_chunk, chunks, workers=workers, backend=backend, scheduler=scheduler):
                    pool.add_sources(hashed)
                    done += len(hashed)
                    if progress:
                        progress("hash", done, total)
                missing, warnings = pool.match(manifest)
                with explained_os_errors(path), text_file(path) as file:
                    write_rows(file, pool.rows())
                counts = {"class": pool.count_classes(), **info.counts}
                joined = replace(info, withheld=[], counts=counts, duplicates=pool.duplicates())
        finally:
            index.close()
    return Joined(joined, missing, warnings)


@contextmanager
def _explained(folder: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BuildError(f"cannot write to the temporary folder {folder}: {error}. Make room there") from error


def hash_chunk(raw_root: str, records: list[FaceRecord]) -> list[tuple[str, str, str]]:
    """`(source_sha256, pair_id, record)` of some records; the hash is empty where a source cannot be read."""
    found = []
    for record in records:
        try:
            digest = source_sha256(Path(raw_root), record.source)
        except SourceError:
            digest = ""
        found.append((digest, record.pair_id, record_to_json(record)))
    return found


class _Pool:
    """Sources and joined rows on disk, so that memory stays flat."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
            "CREATE TABLE sources (sha256 TEXT, pair_id TEXT, record TEXT, PRIMARY KEY (sha256, pair_id));"
            "CREATE TABLE rows (pair_id TEXT PRIMARY KEY, pixels TEXT, place TEXT, expression TEXT, cells TEXT);"
        )

    def close(self) -> None:
        self._database.close()

    def add_sources(self, hashed: list[tuple[str, str, str]]) -> None:
        self._database.executemany("INSERT INTO sources VALUES (?, ?, ?)", (each for each in hashed if each[0]))

    def match(self, manifest: Manifest) -> tuple[list[tuple[str, str]], list[str]]:
        """Joins every row; returns those without a source, and warnings."""
        missing, unsure, moved = [], [], []
        # published rows are sorted by the pixels of their source: rows of equal bytes are neighbours
        for _, group in groupby(_in_order(manifest), lambda row: row.source_pixels_sha256):
            rows_by_source: dict[str, list[Row]] = {}
            for row in group:
                rows_by_source.setdefault(row.source_sha256, []).append(row)
            for digest, rows in rows_by_source.items():
                records = self._records(digest)
                pairs = assign(rows, records)
                if len(records) != len(rows) and len({(each.expression, each.subject) for each in records}) > 1:
                    unsure += [row.pair_id for row, record in pairs if record.box_xyxy is None]
                for row, record in pairs:
                    self._put(row, record)
                    if (record.split, record.fold) != (row.split, row.fold) and row.clean:
                        moved.append(row.pair_id)
                found = {row.pair_id for row, _ in pairs}
                problem = f"no image of this copy has source_sha256 {digest}"
                missing += [(row.pair_id, problem) for row in rows if row.pair_id not in found]
        return missing, _warnings(unsure, moved)

    def rows(self) -> Iterator[Row]:
        for (cells,) in self._database.execute("SELECT cells FROM rows ORDER BY pair_id"):
            yield Row.from_cells(json.loads(cells))

    def count_classes(self) -> dict[str, int]:
        query = "SELECT expression, COUNT(*) FROM rows GROUP BY expression ORDER BY expression"
        return dict(self._database.execute(query).fetchall())

    def duplicates(self) -> list[list[str]]:
        """As a build lists them, see `RecordIndex.duplicates`."""
        groups = self._database.execute(
            "SELECT pixels FROM rows GROUP BY pixels HAVING COUNT(DISTINCT place) > 1 ORDER BY MIN(pair_id)"
        ).fetchall()
        find = "SELECT pair_id FROM rows WHERE pixels = ? ORDER BY pair_id"
        return [[name for (name,) in self._database.execute(find, group)] for group in groups]

    def _records(self, digest: str) -> list[FaceRecord]:
        query = "SELECT record FROM sources WHERE sha256 = ? ORDER BY pair_id"
        return [record_from_json(text) for (text,) in self._database.execute(query, (digest,))]

    def _put(self, row: Row, record: FaceRecord) -> None:
        known = replace(row, subject=record.subject, expression=record.expression, source=record.source)
        names = named(row, record.pair_id)
        whole = replace(
            known, pair_id=names["pair_id"], clean=names["clean"], occluded=names["occluded"], mask=names["mask"]
        )
        place = f"{whole.split}\x1f{whole.subject}"
        values = (whole.pair_id, whole.source_pixels_sha256, place, whole.expression, json.dumps(whole.cells()))
        self._database.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", values)


def _in_order(manifest: Manifest) -> Iterator[Row]:
    """The rows; raises ManifestError where they are not sorted as `publish` writes them."""
    last = ("", "")
    for row in manifest.rows():
        key = (row.source_pixels_sha256, row.pair_id)
        if key <= last or row.pair_id <= last[1]:
            raise ManifestError(
                f"{manifest.path}: row {row.pair_id} is out of order; take the file as it was published"
            )
        last = key
        yield row


def assign(rows: list[Row], records: list[FaceRecord]) -> list[tuple[Row, FaceRecord]]:
    """Which record each row was made from, all of one source: by face box where there are more records than rows.

    Rows without a record are left out.

    Args:
        rows: in the order of their numbers.
        records: in the order of their pair_ids.
    """
    if len(records) <= len(rows) or any(record.box_xyxy is None for record in records):
        return list(zip(rows, records, strict=False))
    left, pairs = list(records), []
    for row in rows:
        centre = _face_centre(Alignment.from_json(row.align))
        nearest = min(left, key=lambda record: float(np.linalg.norm(_box_centre(record) - centre)))
        left.remove(nearest)
        pairs.append((row, nearest))
    return pairs


def _face_centre(alignment: Alignment) -> npt.NDArray[np.float64]:
    """Where the middle of the aligned face lies in its source, pixels; the aligned side does not matter much."""
    middle = transform(alignment.affine, np.array([[48.0, 48.0]]))
    return np.asarray(rescale(middle, alignment.reduced_wh, alignment.source_wh)[0])


def _box_centre(record: FaceRecord) -> npt.NDArray[np.float64]:
    x0, y0, x1, y1 = record.box_xyxy or (0.0, 0.0, 0.0, 0.0)
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2])


def _warnings(unsure: list[str], moved: list[str]) -> list[str]:
    warnings = []
    if unsure:
        warnings.append(
            f"{len(unsure)} rows have sources that this copy holds more often than the manifest, with other labels or "
            f"subjects; they were told apart by the order of their names: {', '.join(unsure[:5])}"
        )
    if moved:
        warnings.append(
            f"{len(moved)} rows have another split or fold in this copy; the manifest's stay: {', '.join(moved[:5])}"
        )
    return warnings
