"""Any database of the user's own: class folders, with or without splits above them, or a CSV of paths.

Folds: by subject where a CSV names subjects; where there is neither a split nor a subject, from the hash of the path.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from occsynth.databases.class_folders import class_folder_items, has_class_folders
from occsynth.databases.folds import hashed_fold, subject_folds
from occsynth.databases.labels import judge
from occsynth.databases.layout import csv_rows, file_fault, header_of, list_folder, not_found
from occsynth.databases.record import Database, FaceRecord, Reject, Variant
from occsynth.databases.scanning import Item, checked, face_record

KEY = "folder"
EXPECTS = (
    "a folder that holds class folders (anger/, happy/, ...), split folders (train/, val/, test/) with class folders, "
    "or labels.csv with the columns path,expression[,subject][,split]"
)
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
def scan(root: Path, variant: str) -> Iterator[Item]:
    """Rows of the CSV where there is one; else the images of split and class folders."""
    table = find_table(root)
    if table is not None:
        return table_items(root, table)
    splits = [name for name in list_folder(root).folders if name.lower() in SPLITS and has_class_folders(root, name)]
    if splits:
        return _split_folders(root, splits)
    if has_class_folders(root, ""):
        return _with_hashed_folds(class_folder_items(root, ""))
    raise not_found(KEY, root, "class folders, split folders or a CSV with the columns path,expression", EXPECTS)


def find_table(root: Path) -> str | None:
    """`labels.csv`, or the one CSV of the root that has the columns; None if there is none or more than one."""
    names = [name for name in list_folder(root).files if name.lower().endswith(".csv")]
    tables = [name for name in names if {"path", "expression"} <= set(_header(root / name))]
    if "labels.csv" in tables:
        return "labels.csv"
    return tables[0] if len(tables) == 1 else None


def _header(path: Path) -> list[str]:
    return [cell.lower() for cell in header_of(path)]


def _split_folders(root: Path, splits: list[str]) -> Iterator[Item]:
    for name in list_folder(root).folders:
        if name in splits:
            yield from class_folder_items(root, name, SPLITS[name.lower()])
        else:
            yield Reject(name, f"a folder beside {', '.join(splits)} that is no split with class folders")


def _with_hashed_folds(items: Iterator[Item]) -> Iterator[Item]:
    for item in items:
        yield item if isinstance(item, Reject) else replace(item, fold=hashed_fold(item.source))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the whole table says of splits and subjects, known before its first row is used."""

    has_split: bool
    folds: dict[str, int]


def table_items(root: Path, table: str) -> Iterator[Item]:
    """A record or reject for each row of a CSV with the columns path, expression and, if wanted, subject and split.

    The table is read twice, row by row; only the subjects' names are held.
    """
    columns = _header(root / table)
    plan = _plan(root, table, columns)
    for line, cells in csv_rows(root / table):
        if line > 1:
            row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
            yield _row(root, row, plan, f"{table}#line={line}")


def _plan(root: Path, table: str, columns: list[str]) -> _Plan:
    has_split, subjects = False, set()
    for line, cells in csv_rows(root / table):
        if line > 1:
            row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
            has_split = has_split or bool(row.get("split"))
            subjects.add(row.get("subject", ""))
    return _Plan(has_split, {} if has_split else subject_folds(subjects - {""}))


def _row(root: Path, row: dict[str, str], plan: _Plan, here: str) -> Item:
    source, split, subject = row.get("path", ""), row.get("split", "").lower(), row.get("subject", "")
    if not source or "expression" not in row:
        return Reject(here, "the row has no path or no expression")
    expression = judge(source, row["expression"])
    if isinstance(expression, Reject):
        return expression
    fault = file_fault(root, source) or _plan_fault(split, subject, plan)
    if fault:
        return Reject(source, fault)
    return _placed(face_record(source, expression, subject=subject), split, plan)


def _plan_fault(split: str, subject: str, plan: _Plan) -> str | None:
    if plan.has_split and split not in SPLITS:
        return f"split '{split}' is none of train, val, test, which the table uses"
    if plan.folds and not subject:
        return "no subject, while other rows name theirs: its fold cannot be told"
    return None


def _placed(record: FaceRecord, split: str, plan: _Plan) -> FaceRecord:
    if plan.has_split:
        return replace(record, split=SPLITS[split])
    fold = plan.folds[record.subject] if plan.folds else hashed_fold(record.source)
    return replace(record, fold=fold)


DATABASE = Database(
    key=KEY,
    title="A folder or table of your own",
    expects=EXPECTS,
    terms="your own images, your own terms",
    size_px=112,
    variants=(
        Variant("default", "similarity", cropped=False, note="pictures with a face somewhere"),
        Variant("cropped", "none", cropped=True, note="faces that are cropped and aligned already"),
    ),
    scan=scan,
)
