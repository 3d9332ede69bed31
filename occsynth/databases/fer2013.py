"""FER2013 (Goodfellow et al., ICONIP 2013): 48x48 grey faces in the columns of a CSV, or as class folders."""

from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.class_folders import class_folder_items, has_class_folders
from occsynth.databases.codes import Codes
from occsynth.databases.layout import find_file, not_found
from occsynth.databases.pixel_table import open_table, table_items
from occsynth.databases.record import Database, LabelOptions, ScanItem, Variant
from occsynth.databases.scanning import labelled

KEY = "fer2013"
EXPECTS = "the folder that holds fer2013.csv (columns emotion, pixels, Usage), or train/ and test/ with class folders"
TABLES = ("fer2013.csv", "fer2013/fer2013.csv", "icml_face_data.csv")
CODES = {"0": "angry", "1": "disgust", "2": "fear", "3": "happy", "4": "sad", "5": "surprise", "6": "neutral"}
SETS = {"train": "train", "val": "val", "test": "test"}


@labelled(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
    """Yields the entries of the CSV, or if there is none, the images of the class folders."""
    table, codes = find_file(root, TABLES), Codes(KEY, CODES, labels)
    if table is not None:
        return table_items(table, open_table(KEY, root / table), codes)
    sets = [name for name in SETS if has_class_folders(root, name, codes.is_class)]
    if not sets:
        raise not_found(KEY, root, "fer2013.csv, or train/ and test/ with class folders", EXPECTS)
    return (item for name in sets for item in _folder_items(root, name, codes.again()))


def _folder_items(root: Path, name: str, codes: Codes) -> Iterator[ScanItem]:
    return codes.guard(class_folder_items(root, name, SETS[name], judged=codes.judge))


DATABASE = Database(
    key=KEY,
    title="FER2013",
    expects=EXPECTS,
    terms="released for a Kaggle competition; pictures from the web, without a licence: do not pass on",
    size_px=48,
    variants=(Variant("default", "none", cropped=True, note="48x48 grey faces; class-folder copies have no val"),),
    scan=scan,
    published={"train": 28_709, "val": 3_589, "test": 3_589},
    has_codes=True,
)
