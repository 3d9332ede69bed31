"""AffectNet (Mollahosseini, Hasani and Mahoor, 2017): its manual annotations in the CSV and the npy release, and the
automatic ones.

Lists are read one entry at a time, and folders one at a time: memory grows only with the names in one folder.
"""

import io
import math
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError

from occsynth.databases.codes import Codes
from occsynth.databases.layout import (
    by_column,
    csv_entries,
    file_fault,
    find_file,
    find_folder,
    header_of,
    is_image_name,
    lacks_columns,
    list_folder,
    listed_path,
    not_found,
)
from occsynth.databases.points import finite, points_of_numbers
from occsynth.databases.record import Database, LabelOptions, Reject, ScanItem, Variant
from occsynth.databases.scanning import face_record, labelled
from occsynth.errors import DatabaseLayoutError
from occsynth.reading import read_bytes

KEY = "affectnet"
EXPECTS = (
    "the folder that holds Manually_Annotated_file_lists/ and Manually_Annotated_Images/ (CSV release), "
    "or train_set/ and val_set/ (npy release); Automatically_Annotated_file_lists/ and Automatically_Annotated_Images/ "
    "for the variant automatic"
)
LIST_FOLDERS = ("Manually_Annotated_file_lists/", "", "Manually_Annotated/Manually_Annotated_file_lists/")
IMAGE_FOLDERS = (
    "Manually_Annotated_Images",
    "Manually_Annotated/Manually_Annotated_Images",
    "Manually_Annotated_compressed/Manually_Annotated_Images",
)
LISTS = {"training.csv": "train", "validation.csv": "test"}  # the test labels are withheld: validation is the test
AUTOMATIC = "automatically_annotated.csv"
AUTOMATIC_LISTS = tuple(
    folder + AUTOMATIC
    for top in ("", "Automatically_Annotated/")
    for folder in (f"{top}Automatically_Annotated_file_lists/", f"{top}Automatically_annotated_file_list/", top)
)
AUTOMATIC_IMAGES = (
    "Automatically_Annotated_Images",
    "Automatically_Annotated/Automatically_Annotated_Images",
    "Automatically_Annotated_compressed/Automatically_Annotated/Automatically_Annotated_Images",
)
SETS = {"train_set": "train", "val_set": "test"}
_LARGEST_ARRAY_BYTES = 100_000
COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
CODES = {
    "0": "neutral",
    "1": "happy",
    "2": "sad",
    "3": "surprise",
    "4": "fear",
    "5": "disgust",
    "6": "anger",
    "7": "contempt",
    "8": "none",
    "9": "uncertain",
    "10": "no-face",
}


@labelled(KEY, ("default", "automatic"), EXPECTS)
def scan(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
    """Yields the records of the release that is there; if both are, of the CSV release."""
    codes = Codes(KEY, CODES, labels)
    if variant == "automatic":
        return _automatic(root, codes)
    images = find_folder(root, IMAGE_FOLDERS)
    lists = {name: find_file(root, [folder + name for folder in LIST_FOLDERS]) for name in LISTS}
    if images is not None and any(lists.values()):
        return _csv_release(root, images, lists, codes)
    sets = [name for name in SETS if find_folder(root, [f"{name}/images"])]
    if sets:
        return _npy_release(root, codes)
    looked_for = "Manually_Annotated_file_lists/training.csv and Manually_Annotated_Images/, or train_set/images/"
    raise not_found(KEY, root, looked_for, EXPECTS)


def _automatic(root: Path, codes: Codes) -> Iterator[ScanItem]:
    images, path = find_folder(root, AUTOMATIC_IMAGES), find_file(root, AUTOMATIC_LISTS)
    if images is None or path is None:
        looked_for = AUTOMATIC_LISTS[0] if path is None else f"{AUTOMATIC_IMAGES[0]}/"
        raise not_found(KEY, root, f"{looked_for} (of the variant 'automatic')", EXPECTS)
    return codes.guard(_list_items(root, images, path, "train", codes))


def _csv_release(root: Path, images: str, lists: dict[str, str | None], codes: Codes) -> Iterator[ScanItem]:
    for name, path in lists.items():
        if path is None:
            yield Reject(f"{LIST_FOLDERS[0]}{name}", "the list is missing, so none of its images is used")
        else:
            own = codes.again()
            yield from own.guard(_list_items(root, images, path, LISTS[name], own))


def _list_items(root: Path, images: str, path: str, split: str, codes: Codes) -> Iterator[ScanItem]:
    header = _header(root / path)
    for number, cells in csv_entries(root / path):
        if number > 1 or header is None:
            entry = by_column(header or COLUMNS, cells)
            yield _csv_item(root, images, f"{path}#line={number}", entry, split, codes)


def _header(path: Path) -> list[str] | None:
    """The columns of a list, or None if it has no header and so the published order; raises DatabaseLayoutError."""
    first = header_of(path)
    if not first or is_image_name(first[0]) or "/" in first[0]:
        return None
    fault = lacks_columns((COLUMNS[0], COLUMNS[6]), first)
    if fault:
        raise DatabaseLayoutError(f"{KEY}: {path}: {fault}")
    return first


def _csv_item(root: Path, images: str, here: str, entry: dict[str, str] | str, split: str, codes: Codes) -> ScanItem:
    if isinstance(entry, str):
        return Reject(here, entry)
    path, code = entry.get("subDirectory_filePath"), entry.get("expression")
    if not path or code is None:
        return Reject(here, f"the line has {len(entry)} cells; a path and an expression are needed")
    source = listed_path(root, path, images)
    expression = codes.judge(source, code)
    if isinstance(expression, Reject):
        return expression
    fault = file_fault(root, source)
    if fault:
        return Reject(source, fault)
    return face_record(
        source,
        expression,
        split=split,
        box_xyxy=_box([entry.get(column, "") for column in COLUMNS[1:5]]),
        points_xy=points_of_numbers(entry.get("facial_landmarks", "").split(";"), 68),
    )


def _box(cells: list[str]) -> tuple[float, float, float, float] | None:
    """The box of x, y, width and height, or None if they are not the numbers of a box."""
    numbers = finite(cells)
    if numbers is None or numbers[2] <= 0 or numbers[3] <= 0:
        return None
    x, y, width, height = numbers
    return x, y, x + width, y + height


def _npy_release(root: Path, codes: Codes) -> Iterator[ScanItem]:
    for name, split in SETS.items():
        if find_folder(root, [f"{name}/images"]) is None:
            yield Reject(name, "the folder is missing, so none of its images is used")
            continue
        listing = list_folder(root, f"{name}/images")
        yield from listing.faults
        own = codes.again()
        yield from own.guard(_npy_image(root, name, file, split, own) for file in listing.files)


def _npy_image(root: Path, folder: str, file: str, split: str, codes: Codes) -> ScanItem:
    source = f"{folder}/images/{file}"
    if not is_image_name(file):
        return Reject(source, "not named as an image")
    stem = file.rpartition(".")[0]
    annotation = f"{folder}/annotations/{stem}_exp.npy"
    values = _load(root, annotation)
    if values is None:
        return Reject(source, f"{annotation} is missing or malformed")
    expression = codes.judge(source, "".join(values))
    if isinstance(expression, Reject):
        return expression
    points = points_of_numbers(_load(root, f"{folder}/annotations/{stem}_lnd.npy") or [], 68)
    return face_record(source, expression, split=split, points_xy=points)


def _load(root: Path, path: str) -> list[str] | None:
    """The values of a small .npy file as text, or None if it is unusable; never unpickles.

    numpy makes room for as many values as a file claims to hold before it reads any. So the claim is checked first.
    """
    import numpy as np
    from numpy.lib import format as npy

    if file_fault(root, path):
        return None
    try:
        content = io.BytesIO(read_bytes(root / path, ValueError, largest=_LARGEST_ARRAY_BYTES))
        version = npy.read_magic(content)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read_header(content)
        values = content.read()
        needed = math.prod(shape) * kind.itemsize
        if kind.kind not in "iufU" or not 0 < needed <= len(values):
            return None
        if kind.kind == "U":  # numpy itself ends in a SystemError where a number is no character
            return [values[:needed].decode("utf-32-be" if kind.byteorder == ">" else "utf-32-le").rstrip("\0")]
        return [str(value) for value in np.frombuffer(values[:needed], kind).tolist()]
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError):  # of hostile headers
        return None


DATABASE = Database(
    key=KEY,
    title="AffectNet",
    expects=EXPECTS,
    terms="non-commercial research only, by signed agreement; images may not be passed on",
    size_px=224,
    variants=(
        Variant("default", "none", True, note="the manual annotations; validation is the test", also="manual"),
        Variant("automatic", "none", True, note="the automatic annotations, all of them train", published={}),
    ),
    scan=scan,
    published={"train": 283_901, "test": 3_500},
    published_contempt={"train": 3_750, "test": 500},
    has_contempt=True,
    has_codes=True,
)
