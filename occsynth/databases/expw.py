"""ExpW, expression in the wild (Zhang et al., 2015, 2018): several boxed faces per image, no official split.

The list is read line by line. Since there are neither subjects nor a split, the fold comes from the hash of the image's
path, which is our own rule.
"""

from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.codes import Codes
from occsynth.databases.folds import hashed_fold
from occsynth.databases.layout import file_fault, find_file, find_folder, lines_of, listed_path, not_found
from occsynth.databases.points import finite
from occsynth.databases.record import Database, LabelOptions, Reject, ScanItem, Variant
from occsynth.databases.scanning import face_record, labelled

KEY = "expw"
EXPECTS = "the folder that holds label.lst (or label/label.lst) and origin/ (or image/origin/)"
LISTS = ("label.lst", "label/label.lst", "data/label/label.lst")
IMAGES = ("origin", "image/origin", "data/image/origin")
CODES = {"0": "angry", "1": "disgust", "2": "fear", "3": "happy", "4": "sad", "5": "surprise", "6": "neutral"}


@labelled(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
    """Yields a record for each line of the list: one face of one image."""
    table, images = find_file(root, LISTS), find_folder(root, IMAGES)
    if table is None or images is None:
        raise not_found(KEY, root, "label.lst" if table is None else "origin/ with the images", EXPECTS)
    codes = Codes(KEY, CODES, labels)
    lines = lines_of(root / table)
    return codes.guard(_item(root, images, f"{table}#line={number}", line, codes) for number, line in lines)


def _item(root: Path, images: str, here: str, line: str, codes: Codes) -> ScanItem:
    words = line.rsplit(maxsplit=7)
    if len(words) != 8:
        return Reject(here, "a line needs name, face, top, left, right, bottom, confidence, label")
    name, face, top, left, right, bottom, _, code = words
    source = listed_path(root, name, images)
    expression = codes.judge(here, code)
    if isinstance(expression, Reject):
        return Reject(here, f"{name}: {expression.reason}", expression.by_protocol)
    numbers = finite((left, top, right, bottom))
    if numbers is None or numbers[2] <= numbers[0] or numbers[3] <= numbers[1] or not face.isalnum():
        return Reject(here, f"{name}: '{face}' with {left},{top},{right},{bottom} is not a face number with a box")
    fault = file_fault(root, source)
    if fault:
        return Reject(source, fault)
    box = (numbers[0], numbers[1], numbers[2], numbers[3])
    return face_record(source, expression, fold=hashed_fold(source), box_xyxy=box, suffix=f"-face{face}")


DATABASE = Database(
    key=KEY,
    title="Expression in the Wild (ExpW)",
    expects=EXPECTS,
    terms="non-commercial research only; pictures from the web, which may not be passed on",
    size_px=112,
    variants=(Variant("default", "similarity", cropped=False, note="one record per boxed face; folds by hash"),),
    scan=scan,
    published={"total": 91_793},
    has_codes=True,
)
