"""FER2013 (Goodfellow et al., ICONIP 2013): 48x48 grey faces in the columns of a CSV, or as class folders."""

from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.class_folders import class_folder_items, has_class_folders
from occsynth.databases.labels import judge_code
from occsynth.databases.layout import csv_entries, find_file, header_of, not_found
from occsynth.databases.record import Database, Reject, ScanItem, Variant
from occsynth.databases.scanning import checked, face_record
from occsynth.errors import DatabaseLayoutError

KEY = "fer2013"
EXPECTS = "the folder that holds fer2013.csv (columns emotion, pixels, Usage), or train/ and test/ with class folders"
TABLES = ("fer2013.csv", "fer2013/fer2013.csv", "icml_face_data.csv")
CODES = {"0": "angry", "1": "disgust", "2": "fear", "3": "happy", "4": "sad", "5": "surprise", "6": "neutral"}
USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
SETS = {"train": "train", "val": "val", "test": "test"}


@checked(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields the entries of the CSV, or if there is none, the images of the class folders."""
    table = find_file(root, TABLES)
    if table is not None:
        return _table_items(root, table, _columns(root / table))
    sets = [name for name in SETS if has_class_folders(root, name)]
    if not sets:
        raise not_found(KEY, root, "fer2013.csv, or train/ and test/ with class folders", EXPECTS)
    return (item for name in sets for item in class_folder_items(root, name, SETS[name]))


def _columns(path: Path) -> tuple[int, int]:
    """Positions of the columns `emotion` and `Usage`; raises DatabaseLayoutError if a column is missing."""
    header = header_of(path)
    missing = [name for name in ("emotion", "pixels", "Usage") if name not in header]
    if missing:
        there = ", ".join(header)[:60] or "nothing"
        raise DatabaseLayoutError(f"{KEY}: {path}: the header lacks {', '.join(missing)}; its first line is: {there}")
    return header.index("emotion"), header.index("Usage")


def _table_items(root: Path, table: str, columns: tuple[int, int]) -> Iterator[ScanItem]:
    for line, cells in csv_entries(root / table):
        if line == 1:
            continue
        source = f"{table}#row={line - 1}"
        if len(cells) <= max(columns):
            yield Reject(source, f"it has only {len(cells)} cells")
            continue
        code, usage = (cells[column].strip() for column in columns)
        expression = judge_code(source, code, CODES)
        if isinstance(expression, Reject):
            yield expression
        elif usage not in USAGES:
            yield Reject(source, f"unknown Usage '{usage[:40]}'; expected one of {', '.join(USAGES)}")
        else:
            yield face_record(source, expression, split=USAGES[usage])


DATABASE = Database(
    key=KEY,
    title="FER2013",
    expects=EXPECTS,
    terms="released for a Kaggle competition; pictures from the web, without a licence: do not pass on",
    size_px=48,
    variants=(Variant("default", "none", cropped=True, note="48x48 grey faces; class-folder copies have no val"),),
    scan=scan,
    published={"train": 28_709, "val": 3_589, "test": 3_589},
)
