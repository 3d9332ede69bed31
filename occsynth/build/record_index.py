"""The index of a build: records and rejects of a scan on disk, sorted by pair_id, so that memory stays flat."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

from occsynth.build.duplicates import Duplicates
from occsynth.databases.record import FaceRecord, Reject, ScanItem
from occsynth.errors import BuildError
from occsynth.manifest import Row

CHUNK_RECORDS = 32
"""Records that a worker takes at a time: what each worker can lose when a build is killed."""

_RECORD_FIELDS = [each.name for each in fields(FaceRecord) if each.name != "votes"]


class RecordIndex:
    """A SQLite file in a build's work folder; only the process that leads the build opens it.

    Every method raises BuildError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            self._database = sqlite3.connect(path, check_same_thread=False)  # chunks are drawn by joblib's thread
            self._database.executescript(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
                "CREATE TABLE records (pair_id TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID;"
                "CREATE TABLE rejects (source TEXT, reason TEXT, by_protocol INTEGER);"
            )
            self._duplicates = Duplicates(self._database)

    def close(self) -> None:
        """Closes and deletes the file."""
        self._database.close()
        self._path.unlink(missing_ok=True)

    def add(self, found: Iterable[ScanItem]) -> None:
        """Adds what a scan yields; its pair_ids are unique, see `occsynth.databases.scanning.settle`."""
        with self._explained():
            for each in found:
                if isinstance(each, Reject):
                    self.reject(each)
                else:
                    values = (each.pair_id, record_to_json(each))
                    self._database.execute("INSERT INTO records VALUES (?, ?)", values)
            self._database.commit()

    def reject(self, reject: Reject) -> None:
        """Adds one reject."""
        with self._explained():
            values = (reject.source, reject.reason, int(reject.by_protocol))
            self._database.execute("INSERT INTO rejects VALUES (?, ?, ?)", values)

    def note_pixels(self, row: Row) -> None:
        """Notes a row's source pixels for `duplicates`."""
        with self._explained():
            self._duplicates.note(row)

    def duplicates(self) -> tuple[list[list[str]], dict[str, int]]:
        """`Duplicates.groups` and `Duplicates.across` of the rows that were noted."""
        with self._explained():
            return self._duplicates.groups(), self._duplicates.across()

    def digest(self, *, votes: bool = True) -> str:
        """SHA-256 over all records in order; scanning an unchanged database again gives the same.

        Args:
            votes: False leaves them out, as versions did that knew none.
        """
        digest = hashlib.sha256()
        with self._explained():
            for (record,) in self._database.execute("SELECT record FROM records ORDER BY pair_id"):
                digest.update((record if votes else _without_votes(record)).encode())
        return digest.hexdigest()

    def count(self) -> int:
        """How many records there are."""
        return int(self._one("SELECT COUNT(*) FROM records"))

    def longest_pair_id(self) -> int:
        """Length of the longest pair_id."""
        return int(self._one("SELECT COALESCE(MAX(LENGTH(pair_id)), 1) FROM records"))

    def rejects(self) -> Iterator[tuple[str, str, bool]]:
        """Every reject as `(source, reason, left out by protocol)`, sorted by source."""
        with self._explained():
            for source, reason, by_protocol in self._database.execute("SELECT * FROM rejects ORDER BY source, reason"):
                yield source, reason, bool(by_protocol)

    def chunks(self) -> Iterator[tuple[int, list[FaceRecord]]]:
        """The chunks in order: their number, and `CHUNK_RECORDS` records by rising pair_id."""
        after, number = "", 0
        query = "SELECT pair_id, record FROM records WHERE pair_id > ? ORDER BY pair_id LIMIT ?"
        while True:
            with self._explained():
                found = self._database.execute(query, (after, CHUNK_RECORDS)).fetchall()
            if not found:
                return
            yield number, [record_from_json(text) for _, text in found]
            after, number = found[-1][0], number + 1

    def _one(self, query: str) -> str:
        return str(self._database.execute(query).fetchone()[0])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BuildError(
                f"cannot write {self._path}: {error}. Free some space or fix the permissions, then run the same "
                "command again"
            ) from error


def record_to_json(record: FaceRecord) -> str:
    """The record as one line of JSON, which `record_from_json` reads."""
    content = {name: getattr(record, name) for name in _RECORD_FIELDS}
    # records without votes are those of versions that knew none, and so are their digests
    return json.dumps(content if record.votes is None else content | {"votes": record.votes}, separators=(",", ":"))


def _without_votes(text: str) -> str:
    return record_to_json(replace(record_from_json(text), votes=None))


def record_from_json(text: str) -> FaceRecord:
    """The inverse of `record_to_json`."""
    content = json.loads(text)
    for name in ("box_xyxy", "points_xy", "votes"):
        if content.get(name) is not None:
            content[name] = tuple(tuple(each) if isinstance(each, list) else each for each in content[name])
    return FaceRecord(**content)
