"""FER2013 (Goodfellow et al., ICONIP 2013): 48x48 grey faces in the columns of a CSV, or as class folders."""

from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.class_folders import class_folder_items, has_class_folders
from occsynth.databases.labels import judge_code
from occsynth.databases.layout import find_file, lacks_columns, not_found
from occsynth.databases.record import Database, Reject, ScanItem, Variant
from occsynth.databases.scanning import checked, face_record
from occsynth.errors import DatabaseLayoutError, SourceError
from occsynth.pixels.row_table import RowTable

KEY = "fer2013"
EXPECTS = "the folder that holds fer2013.csv (columns emotion, pixels, Usage), or train/ and test/ with class folders"
COLUMNS = ("emotion", "pixels", "Usage")
TABLES = ("fer2013.csv", "fer2013/fer2013.csv", "icml_face_data.csv")
CODES = {"0": "angry", "1": "disgust", "2": "fear", "3": "happy", "4": "sad", "5": "surprise", "6": "neutral"}
USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
SETS = {"train": "train", "val": "val", "test": "test"}


@checked(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields the entries of the CSV, or if there is none, the images of the class folders."""
    table = find_file(root, TABLES)
    if table is not None:
        return _table_items(table, _opened(root / table))
    sets = [name for name in SETS if has_class_folders(root, name)]
    if not sets:
        raise not_found(KEY, root, "fer2013.csv, or train/ and test/ with class folders", EXPECTS)
    return (item for name in sets for item in class_folder_items(root, name, SETS[name]))


def _opened(path: Path) -> RowTable:
    """The table; raises DatabaseLayoutError if it is unreadable or a column is missing."""
    try:
        table = RowTable(path)
    except SourceError as error:
        raise DatabaseLayoutError(f"{KEY}: {path}: {error}") from error
    fault = lacks_columns(COLUMNS, table.columns)
    if fault:
        raise DatabaseLayoutError(f"{KEY}: {path}: {fault}")
    return table


def _table_items(name: str, table: RowTable) -> Iterator[ScanItem]:
    for row in table.rows():
        source = f"{name}#row={row.number}"
        try:
            cells = row.cells()
        except SourceError as error:
            yield Reject(source, str(error))
            continue
        expression = judge_code(source, cells["emotion"], CODES)
        if isinstance(expression, Reject):
            yield expression
        elif cells["Usage"] not in USAGES:
            yield Reject(source, f"unknown Usage '{cells['Usage'][:40]}'; expected one of {', '.join(USAGES)}")
        else:
            yield face_record(source, expression, split=USAGES[cells["Usage"]])


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
