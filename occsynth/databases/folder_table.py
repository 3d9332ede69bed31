"""Tables of a user's own: a CSV with the columns path and expression, and maybe subject, split and fold."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from occsynth.databases.codes import Codes
from occsynth.databases.folds import fold_number, hashed_fold, subject_folds, two_folds
from occsynth.databases.layout import by_column, csv_entries, file_fault, header_of, lacks_columns, listed_path
from occsynth.databases.record import FaceRecord, Reject, ScanItem
from occsynth.databases.scanning import face_record
from occsynth.errors import DatabaseLayoutError

COLUMNS = ("path", "expression")
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""How a split may be written, in any case."""


@dataclass(frozen=True, slots=True)
class _TableSplit:
    """How a table is split, which only the whole table tells.

    Attributes:
        has_split: it names splits.
        has_folds: it names folds, and no splits.
        folds: fold by subject, if it names subjects but neither splits nor folds.
    """

    has_split: bool
    has_folds: bool
    folds: dict[str, int]


def table_fault(path: Path) -> str | None:
    """Why a file cannot be a table of labels, or None."""
    try:
        return lacks_columns(COLUMNS, _header(path))
    except DatabaseLayoutError as error:  # any file may end in .csv
        return str(error)


def table_items(key: str, root: Path, table: str, codes: Codes) -> Iterator[ScanItem]:
    """Yields a record or reject for each entry.

    The table is read twice, one entry at a time; only the subjects' names are held in memory.

    Raises:
        DatabaseLayoutError: a column is missing, or a subject is in two folds; after the last entry, if the codes do
            not fit.
    """
    columns = _header(root / table)
    fault = lacks_columns(COLUMNS, columns)
    if fault:
        raise DatabaseLayoutError(f"{key}: {root / table}: {fault}")
    table_split = _table_split(key, root / table, columns)
    return codes.guard(_items(root, table, columns, table_split, codes))


def _header(path: Path) -> list[str]:
    return [cell.lower() for cell in header_of(path)]


def _entries(path: Path, columns: list[str]) -> Iterator[tuple[int, dict[str, str] | str]]:
    return ((line, by_column(columns, cells)) for line, cells in csv_entries(path) if line > 1)


def _table_split(key: str, path: Path, columns: list[str]) -> _TableSplit:
    has_split, has_folds, subjects = False, False, defaultdict[str, set[int]](set)
    for _, entry in _entries(path, columns):
        if isinstance(entry, str):
            continue
        fold = entry.get("fold", "")
        has_split, has_folds = has_split or bool(entry.get("split")), has_folds or bool(fold)
        number = fold_number(fold)
        subjects[entry.get("subject", "")].update(() if number is None else (number,))
    subjects.pop("", None)
    if has_split:
        return _TableSplit(True, False, {})
    if has_folds:
        fault = two_folds(subjects)
        if fault:
            raise DatabaseLayoutError(f"{key}: {path}: {fault}")
        return _TableSplit(False, True, {})
    return _TableSplit(False, False, subject_folds(subjects))


def _items(root: Path, table: str, columns: list[str], table_split: _TableSplit, codes: Codes) -> Iterator[ScanItem]:
    if table_split.has_split and "fold" in columns:
        yield Reject(table, "its column fold is not used, since it names splits", by_protocol=True)
    for line, entry in _entries(root / table, columns):
        yield _item(root, entry, table_split, f"{table}#line={line}", codes)


def _item(root: Path, entry: dict[str, str] | str, table_split: _TableSplit, here: str, codes: Codes) -> ScanItem:
    if isinstance(entry, str):
        return Reject(here, entry)
    listed = entry.get("path", "")
    if not listed or "expression" not in entry:
        return Reject(here, "the line has no path or no expression")
    source = listed_path(root, listed)
    expression = codes.judge(source, entry["expression"])
    if isinstance(expression, Reject):
        return expression
    fault = file_fault(root, source) or _split_fault(entry, table_split)
    if fault:
        return Reject(source, fault)
    return _with_split(face_record(source, expression, subject=entry.get("subject", "")), entry, table_split)


def _split_fault(entry: dict[str, str], table_split: _TableSplit) -> str | None:
    split, fold = entry.get("split", "").lower(), entry.get("fold", "")
    if table_split.has_split and split not in SPLITS:
        return f"split '{split}' is not one of train, val, test, which the table uses"
    if table_split.has_folds and fold_number(fold) is None:
        return f"fold '{fold[:40]}' is no whole number from 0 to 999, which the table uses"
    if table_split.folds and not entry.get("subject"):
        return "it names no subject, though other lines do, so its fold cannot be decided"
    return None


def _with_split(record: FaceRecord, entry: dict[str, str], table_split: _TableSplit) -> FaceRecord:
    if table_split.has_split:
        return replace(record, split=SPLITS[entry["split"].lower()])
    if table_split.has_folds:
        return replace(record, fold=fold_number(entry["fold"]))
    fold = table_split.folds[record.subject] if table_split.folds else hashed_fold(record.source)
    return replace(record, fold=fold)
