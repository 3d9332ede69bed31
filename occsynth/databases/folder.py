"""A database of the user's own: class folders, with or without splits above them, a CSV of paths, or lists of paths.

Folds are those of a CSV, or by its subjects. Without splits, folds and subjects they come from the hash of the path.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from occsynth.databases.class_folders import class_folder_items, has_class_folders
from occsynth.databases.codes import Codes
from occsynth.databases.folder_table import SPLITS, table_fault, table_items
from occsynth.databases.folds import hashed_fold
from occsynth.databases.layout import list_folder, not_found
from occsynth.databases.path_lists import find_lists, list_items
from occsynth.databases.record import Database, LabelOptions, Reject, ScanItem, Variant
from occsynth.databases.scanning import labelled
from occsynth.errors import DatabaseLayoutError

KEY = "folder"
EXPECTS = (
    "a folder that holds class folders (anger/, happy/, ...), split folders (train/, val/, test/) with class folders, "
    "labels.csv with the columns path,expression[,subject][,split][,fold], or labels.txt with lines path label"
)
LABELS = "labels.csv"


@labelled(KEY, ("default", "cropped"), EXPECTS)
def scan(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
    """Yields the entries of the CSV if there is one, else the images of split or class folders, else those of lists."""
    codes = Codes(KEY, {}, labels)
    faults = {name: table_fault(root / name) for name in list_folder(root).files if name.lower().endswith(".csv")}
    tables = [name for name, fault in faults.items() if fault is None]
    if LABELS in tables or len(tables) == 1:
        return table_items(KEY, root, LABELS if LABELS in tables else tables[0], codes)
    folders = list_folder(root).folders
    splits = [name for name in folders if name.lower() in SPLITS and has_class_folders(root, name, codes.is_class)]
    if splits:
        return chain(_unused_tables(faults), _split_folders(root, splits, codes))
    if has_class_folders(root, "", codes.is_class):
        items = _with_hashed_folds(class_folder_items(root, "", judged=codes.judge))
        return chain(_unused_tables(faults), codes.guard(items))
    lists, unused = find_lists(root)
    if lists:
        return chain(_unused_tables(faults), unused, list_items(root, lists, codes))
    _refuse_numbered_folders(root)
    if tables:
        raise DatabaseLayoutError(f"{KEY}: {root}: {_which(tables)}")
    if unused:
        raise DatabaseLayoutError(f"{KEY}: {root}: {unused[0].source}: {unused[0].reason}")
    if faults:
        described = "; ".join(f"{name}: {fault}" for name, fault in list(faults.items())[:3])
        raise DatabaseLayoutError(f"{KEY}: {root} holds no class folders and no table of labels. {described}")
    raise not_found(KEY, root, "class folders, split folders or a CSV with the columns path,expression", EXPECTS)


def _refuse_numbered_folders(root: Path) -> None:
    """Raises DatabaseLayoutError if folders are named by numbers that --labels does not explain."""
    for top in ("", *(name for name in list_folder(root).folders if name.lower() in SPLITS)):
        numbers = [name for name in list_folder(root, top).folders if name.isdecimal()]
        if len(numbers) > 1:
            meant = ",".join(f"{number}=CLASS" for number in numbers[:2])
            raise DatabaseLayoutError(
                f"{KEY}: {root / top} holds the folders {', '.join(numbers[:8])}; say which class each number means "
                f"with --labels {meant},..."
            )


def _unused_tables(faults: dict[str, str | None]) -> Iterator[Reject]:
    """A line for each table that is not used though it may be meant for the labels of the class folders."""
    tables = [name for name, fault in faults.items() if fault is None]
    if tables:
        yield Reject(tables[0], f"the class folders are used, since {_which(tables)}", by_protocol=True)
    if faults.get(LABELS):
        yield Reject(LABELS, f"the class folders are used, since {faults[LABELS]}", by_protocol=True)


def _which(tables: Sequence[str]) -> str:
    return f"{' and '.join(tables)} could each be the table of labels: name the one to use {LABELS}"


def _split_folders(root: Path, splits: list[str], codes: Codes) -> Iterator[ScanItem]:
    for name in list_folder(root).folders:
        if name in splits:
            own = codes.again()
            yield from own.guard(class_folder_items(root, name, SPLITS[name.lower()], judged=own.judge))
        else:
            yield Reject(name, f"a folder beside {', '.join(splits)} that is not a split with class folders")


def _with_hashed_folds(items: Iterator[ScanItem]) -> Iterator[ScanItem]:
    for item in items:
        yield item if isinstance(item, Reject) else replace(item, fold=hashed_fold(item.source))


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
    has_contempt=True,
    has_codes=True,
)
