"""A database of the user's own: class folders, with or without splits above them, or a CSV of paths.

Folds are by subject where a CSV names subjects. Without splits and subjects they come from the hash of the path.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from occsynth.databases.class_folders import class_folder_items, has_class_folders
from occsynth.databases.folds import hashed_fold, subject_folds
from occsynth.databases.labels import judge
from occsynth.databases.layout import (
    by_column,
    csv_entries,
    file_fault,
    header_of,
    lacks_columns,
    list_folder,
    listed_path,
    not_found,
)
from occsynth.databases.record import Database, FaceRecord, Reject, ScanItem, Variant
from occsynth.databases.scanning import checked, face_record
from occsynth.errors import DatabaseLayoutError

KEY = "folder"
EXPECTS = (
    "a folder that holds class folders (anger/, happy/, ...), split folders (train/, val/, test/) with class folders, "
    "or labels.csv with the columns path,expression[,subject][,split]"
)
LABELS = "labels.csv"
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


@checked(KEY, ("default", "cropped"), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields the entries of the CSV if there is one, else the images of split and class folders."""
    faults = {name: _table_fault(root / name) for name in list_folder(root).files if name.lower().endswith(".csv")}
    tables = [name for name, fault in faults.items() if fault is None]
    if LABELS in tables or len(tables) == 1:
        return table_items(root, LABELS if LABELS in tables else tables[0])
    splits = [name for name in list_folder(root).folders if name.lower() in SPLITS and has_class_folders(root, name)]
    if splits:
        return chain(_unused_tables(faults), _split_folders(root, splits))
    if has_class_folders(root, ""):
        return chain(_unused_tables(faults), _with_hashed_folds(class_folder_items(root, "")))
    if tables:
        raise DatabaseLayoutError(f"{KEY}: {root}: {_which(tables)}")
    if faults:
        described = "; ".join(f"{name}: {fault}" for name, fault in list(faults.items())[:3])
        raise DatabaseLayoutError(f"{KEY}: {root} holds no class folders and no table of labels. {described}")
    raise not_found(KEY, root, "class folders, split folders or a CSV with the columns path,expression", EXPECTS)


def _unused_tables(faults: dict[str, str | None]) -> Iterator[Reject]:
    """A line for each table that is not used though it may be meant for the labels of the class folders."""
    tables = [name for name, fault in faults.items() if fault is None]
    if tables:
        yield Reject(tables[0], f"the class folders are used, since {_which(tables)}", by_protocol=True)
    if faults.get(LABELS):
        yield Reject(LABELS, f"the class folders are used, since {faults[LABELS]}", by_protocol=True)


def _which(tables: Sequence[str]) -> str:
    return f"{' and '.join(tables)} could each be the table of labels: name the one to use {LABELS}"


def _table_fault(path: Path) -> str | None:
    try:
        return lacks_columns(COLUMNS, _header(path))
    except DatabaseLayoutError as error:  # any file may end in .csv
        return str(error)


def _header(path: Path) -> list[str]:
    return [cell.lower() for cell in header_of(path)]


def _split_folders(root: Path, splits: list[str]) -> Iterator[ScanItem]:
    for name in list_folder(root).folders:
        if name in splits:
            yield from class_folder_items(root, name, SPLITS[name.lower()])
        else:
            yield Reject(name, f"a folder beside {', '.join(splits)} that is not a split with class folders")


def _with_hashed_folds(items: Iterator[ScanItem]) -> Iterator[ScanItem]:
    for item in items:
        yield item if isinstance(item, Reject) else replace(item, fold=hashed_fold(item.source))


@dataclass(frozen=True, slots=True)
class _TableSplit:
    """How a table is split, which only the whole table tells.

    Attributes:
        has_split: it names splits.
        folds: fold by subject, if it names subjects but no splits.
    """

    has_split: bool
    folds: dict[str, int]


def table_items(root: Path, table: str) -> Iterator[ScanItem]:
    """Yields a record or reject for each entry of a CSV with the columns path, expression and maybe subject and split.

    The table is read twice, one entry at a time; only the subjects' names are held in memory.
    """
    columns = _header(root / table)
    fault = lacks_columns(COLUMNS, columns)
    if fault:
        raise DatabaseLayoutError(f"{KEY}: {root / table}: {fault}")
    table_split = _table_split(root, table, columns)
    entries = _entries(root / table, columns)
    return (_item(root, entry, table_split, f"{table}#line={line}") for line, entry in entries)


def _entries(path: Path, columns: list[str]) -> Iterator[tuple[int, dict[str, str] | str]]:
    return ((line, by_column(columns, cells)) for line, cells in csv_entries(path) if line > 1)


def _table_split(root: Path, table: str, columns: list[str]) -> _TableSplit:
    has_split, subjects = False, set()
    for _, entry in _entries(root / table, columns):
        if not isinstance(entry, str):
            has_split = has_split or bool(entry.get("split"))
            subjects.add(entry.get("subject", ""))
    return _TableSplit(has_split, {} if has_split else subject_folds(subjects - {""}))


def _item(root: Path, entry: dict[str, str] | str, table_split: _TableSplit, here: str) -> ScanItem:
    if isinstance(entry, str):
        return Reject(here, entry)
    listed, split, subject = entry.get("path", ""), entry.get("split", "").lower(), entry.get("subject", "")
    if not listed or "expression" not in entry:
        return Reject(here, "the line has no path or no expression")
    source = listed_path(root, listed)
    expression = judge(source, entry["expression"])
    if isinstance(expression, Reject):
        return expression
    fault = file_fault(root, source) or _split_fault(split, subject, table_split)
    if fault:
        return Reject(source, fault)
    return _with_split(face_record(source, expression, subject=subject), split, table_split)


def _split_fault(split: str, subject: str, table_split: _TableSplit) -> str | None:
    if table_split.has_split and split not in SPLITS:
        return f"split '{split}' is not one of train, val, test, which the table uses"
    if table_split.folds and not subject:
        return "it names no subject, though other lines do, so its fold cannot be decided"
    return None


def _with_split(record: FaceRecord, split: str, table_split: _TableSplit) -> FaceRecord:
    if table_split.has_split:
        return replace(record, split=SPLITS[split])
    fold = table_split.folds[record.subject] if table_split.folds else hashed_fold(record.source)
    return replace(record, fold=fold)


DATABASE = Database(
    key=KEY,
    title="A folder or table of your own",
    expects=EXPECTS,
    terms="your own images, your own terms",
    size_px=112,
    variants=(
        Variant("default", "similarity", cropped=False, note="pictures with a face anywhere"),
        Variant("cropped", "none", cropped=True, note="faces that are already cropped and aligned"),
    ),
    scan=scan,
)
