"""Equal pictures of a database: which rows show the same pixels though they come from different sources."""

import re
import sqlite3
from collections.abc import Mapping

from occsynth.manifest import Row

PLACES = ("split", "subject", "fold", "expression")
"""Columns in which rows of equal pictures should not differ. Where the expression differs, a label is wrong."""

_FIND = """
    SELECT sha256, COUNT(DISTINCT split) AS splits, COUNT(DISTINCT subject) AS subjects, COUNT(DISTINCT fold) AS folds,
        COUNT(DISTINCT expression) AS expressions
    FROM pixels GROUP BY sha256
    HAVING COUNT(DISTINCT source) > 1 AND MAX(splits, subjects, folds, expressions) > 1
    ORDER BY MIN(pair_id)
"""


class Duplicates:
    """A table of the source pixels of rows, in a SQLite database that the caller owns.

    Every method may raise sqlite3.Error, such as on a full disk.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute(
            "CREATE TABLE pixels "
            "(sha256 TEXT, pair_id TEXT, source TEXT, split TEXT, subject TEXT, fold TEXT, expression TEXT)"
        )

    def note(self, row: Row) -> None:
        """Notes the pixels of a row."""
        fold = "" if row.fold is None else str(row.fold)
        places = (row.split, row.subject, fold, row.expression)
        values = (row.source_pixels_sha256, row.pair_id, row.source, *places)
        self._database.execute("INSERT INTO pixels VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def groups(self) -> list[list[str]]:
        """Groups of pair_ids whose sources have equal pixels and that differ in one of `PLACES`.

        Several faces of one picture, as in ExpW, are no such group.
        """
        find = "SELECT pair_id FROM pixels WHERE sha256 = ? ORDER BY pair_id"
        return [[name for (name,) in self._database.execute(find, (digest,))] for digest, *_ in self._found()]

    def across(self) -> dict[str, int]:
        """How many of the groups differ in each of `PLACES`, without those that are 0."""
        found = self._found()
        differ = {name: sum(counts[number] > 1 for _, *counts in found) for number, name in enumerate(PLACES)}
        return {name: count for name, count in differ.items() if count}

    def _found(self) -> list[tuple[str, int, int, int, int]]:
        self._database.execute("CREATE INDEX IF NOT EXISTS by_pixels ON pixels (sha256)")
        return self._database.execute(_FIND).fetchall()


def note_of(across: Mapping[str, int]) -> str:
    """`Duplicates.across` as a note of a manifest, such as `fold 2, expression 1`."""
    return ", ".join(f"{name} {count}" for name, count in across.items())


def across_of(note: str) -> dict[str, int]:
    """The inverse of `note_of`; empty for any other text."""
    return {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", note) if name in PLACES}


def in_words(across: Mapping[str, int]) -> str:
    """`Duplicates.across` for people, such as `2 across folds, 1 with different labels`."""
    words = {"split": "across splits", "subject": "of different subjects", "fold": "across folds"}
    return ", ".join(f"{count} {words.get(name, 'with different labels')}" for name, count in across.items())
