"""How many rows a manifest has per class, per split and per fold: counted by a build, checked by verify."""

from collections import Counter

from occsynth.manifest import Row


class RowCounts:
    """Counts rows one at a time, so that no list of them is held."""

    def __init__(self) -> None:
        self._tables: dict[str, Counter[str]] = {"class": Counter(), "split": Counter(), "fold": Counter()}

    def add(self, row: Row) -> None:
        """Counts one row."""
        self._tables["class"][row.expression] += 1
        self._tables["split"][row.split] += 1
        self._tables["fold"]["" if row.fold is None else str(row.fold)] += 1

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return self._tables["class"].total()

    def tables(self) -> dict[str, dict[str, int]]:
        """The counts as `ManifestInfo.counts` holds them: keys sorted, tables that apply to no row left out."""
        tables = {name: dict(sorted(counter.items())) for name, counter in self._tables.items()}
        return {name: table for name, table in tables.items() if set(table) != {""}}
