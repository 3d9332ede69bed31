"""What verify checks on the whole manifest: order, disjoint subjects, counts, and the files beside it."""

from collections.abc import Iterator

import numpy as np

from occsynth.errors import ManifestError
from occsynth.faces.landmark_file import open_landmarks
from occsynth.manifest import Manifest, ManifestInfo, Row
from occsynth.reading import read_table
from occsynth.row_counts import RowCounts


class RowTotals:
    """Counts the rows as they pass and notes what only shows over all of them: wrong order, subjects in two folds.

    Attributes:
        problems: `(pair_id, what is wrong)`.
        counts: of the rows that passed.
    """

    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []
        self.counts = RowCounts()
        self._places: dict[str, tuple[str, int | None]] = {}

    def watch(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yields the rows unchanged and counts them."""
        last = ""
        for row in rows:
            if self.counts.rows and row.pair_id <= last:
                what = "occurs twice" if row.pair_id == last else f"comes after {last}, but rows are sorted by pair_id"
                self.problems.append((row.pair_id, f"pair_id {what}"))
            last = row.pair_id
            self.counts.add(row)
            self._check_subject(row)
            yield row

    def _check_subject(self, row: Row) -> None:
        if not row.subject:
            return
        place = (row.split, row.fold)
        first = self._places.setdefault(row.subject, place)
        if first != place:
            self.problems.append((row.pair_id, f"subject {row.subject} is in {_place(first)} and in {_place(place)}"))


def _place(place: tuple[str, int | None]) -> str:
    split, fold = place
    words = [f"split {split}" if split else "", f"fold {fold}" if fold is not None else ""]
    return " ".join(filter(None, words)) or "no split or fold"


def info_problems(info: ManifestInfo, totals: RowTotals) -> list[tuple[str, str]]:
    """Where the manifest's JSON contradicts its rows."""
    name, problems = f"{info.name}.json", []
    rows, tables = totals.counts.rows, totals.counts.tables()
    if info.rows != rows:
        problems.append((name, f"says {info.rows} rows, but the manifest has {rows}"))
    if info.sources != info.rows + info.rejects:
        problems.append((name, f"{info.sources} sources are not {info.rows} rows + {info.rejects} rejects"))
    for table in ("class", "split", "fold"):
        if tables.get(table, {}) != info.counts.get(table, {}):
            problems.append((name, f"counts per {table} do not match the rows"))
    return problems


def reject_problems(manifest: Manifest) -> list[tuple[str, str]]:
    """What is wrong with the list of rejects, if there is one."""
    path = manifest.beside(".rejects.csv")
    if not path.exists():
        return []
    try:
        lines = sum(1 for _ in read_table(path, ("source", "reason"), ManifestError))
    except ManifestError as error:
        return [(path.name, str(error))]
    if lines != manifest.info.rejects:
        return [(path.name, f"lists {lines} rejects, but the JSON says {manifest.info.rejects}")]
    return []


def landmark_problems(manifest: Manifest, rows: int) -> list[tuple[str, str]]:
    """What is wrong with the landmark file, if there is one.

    Args:
        rows: how many rows the manifest has.
    """
    path = manifest.beside(".landmarks.npz")
    if not path.exists():
        return []
    try:
        pair_ids, points_xy = open_landmarks(path)
    except ManifestError as error:
        return [(path.name, str(error))]
    if len(pair_ids) != rows:
        return [(path.name, f"holds {len(pair_ids)} faces for {rows} rows")]
    names = (row.pair_id for row in manifest.rows())
    problems = []
    for number, (name, there, points) in enumerate(zip(names, pair_ids, points_xy, strict=True), 1):
        if name != there:
            problems.append((path.name, f"names {there} as number {number}, but the manifest has {name} there"))
            break
        if not np.isfinite(points).all():
            problems.append((name, f"its landmarks in {path.name} are not finite"))
    return problems
