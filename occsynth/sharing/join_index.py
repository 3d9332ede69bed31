"""The index of a join: the copy's hashed sources and the joined rows, on disk so that memory stays flat."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from occsynth.build.duplicates import Duplicates
from occsynth.build.record_index import record_from_json
from occsynth.databases.record import FaceRecord
from occsynth.manifest import Row


class JoinIndex:
    """A SQLite file in a temporary folder; only the process that leads the join opens it.

    Every method may raise sqlite3.Error, such as on a full disk.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
            "CREATE TABLE sources (sha256 TEXT, pair_id TEXT, record TEXT, PRIMARY KEY (sha256, pair_id));"
            "CREATE TABLE rows (pair_id TEXT PRIMARY KEY, expression TEXT, cells TEXT);"
        )
        self._duplicates = Duplicates(self._database)

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def add_sources(self, hashed: Iterable[tuple[str, str, str]]) -> None:
        """Adds `(source_sha256, pair_id, record as JSON)`s; those without a hash are left out."""
        self._database.executemany("INSERT INTO sources VALUES (?, ?, ?)", (each for each in hashed if each[0]))

    def records(self, source_sha256: str) -> list[FaceRecord]:
        """The records whose source has this hash, by rising pair_id."""
        query = "SELECT record FROM sources WHERE sha256 = ? ORDER BY pair_id"
        return [record_from_json(text) for (text,) in self._database.execute(query, (source_sha256,))]

    def add_row(self, row: Row) -> None:
        """Adds a joined row."""
        values = (row.pair_id, row.expression, json.dumps(row.cells()))
        self._database.execute("INSERT INTO rows VALUES (?, ?, ?)", values)
        self._duplicates.note(row)

    def rows(self) -> Iterator[Row]:
        """The joined rows by rising pair_id, as a build writes them."""
        for (cells,) in self._database.execute("SELECT cells FROM rows ORDER BY pair_id"):
            yield Row.from_cells(json.loads(cells))

    def count_classes(self) -> dict[str, int]:
        """Rows per expression, as in `ManifestInfo.counts`."""
        query = "SELECT expression, COUNT(*) FROM rows GROUP BY expression ORDER BY expression"
        return dict(self._database.execute(query).fetchall())

    def duplicates_across(self) -> dict[str, int]:
        """`Duplicates.across` of the joined rows."""
        return self._duplicates.across()

    def duplicates(self) -> list[list[str]]:
        """Groups of pair_ids as a build lists them."""
        return self._duplicates.groups()
