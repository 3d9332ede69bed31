"""AffectNet, manually annotated (Mollahosseini, Hasani and Mahoor, 2017): the CSV release and the npy release.

Lists are read one entry at a time, and folders one at a time: memory grows only with the names in one folder.
"""

from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.labels import judge_code
from occsynth.databases.layout import (
    csv_entries,
    file_fault,
    find_file,
    find_folder,
    is_image_name,
    list_folder,
    not_found,
)
from occsynth.databases.points import finite, points_of_numbers
from occsynth.databases.record import Database, Reject, ScanItem, Variant
from occsynth.databases.scanning import checked, face_record

KEY = "affectnet"
EXPECTS = (
    "the folder that holds Manually_Annotated_file_lists/ and Manually_Annotated_Images/ (CSV release), "
    "or train_set/ and val_set/ (npy release)"
)
LIST_FOLDERS = ("Manually_Annotated_file_lists/", "", "Manually_Annotated/Manually_Annotated_file_lists/")
IMAGE_FOLDERS = (
    "Manually_Annotated_Images",
    "Manually_Annotated/Manually_Annotated_Images",
    "Manually_Annotated_compressed/Manually_Annotated_Images",
)
LISTS = {"training.csv": "train", "validation.csv": "test"}  # the test labels are withheld: validation is the test
SETS = {"train_set": "train", "val_set": "test"}
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


@checked(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields the records of the release that is there; if both are, of the CSV release."""
    images = find_folder(root, IMAGE_FOLDERS)
    lists = {name: find_file(root, [folder + name for folder in LIST_FOLDERS]) for name in LISTS}
    if images is not None and any(lists.values()):
        return _csv_release(root, images, lists)
    sets = [name for name in SETS if find_folder(root, [f"{name}/images"])]
    if sets:
        return _npy_release(root)
    looked_for = "Manually_Annotated_file_lists/training.csv and Manually_Annotated_Images/, or train_set/images/"
    raise not_found(KEY, root, looked_for, EXPECTS)


def _csv_release(root: Path, images: str, lists: dict[str, str | None]) -> Iterator[ScanItem]:
    for name, path in lists.items():
        if path is None:
            yield Reject(f"{LIST_FOLDERS[0]}{name}", "the list is missing, so none of its images is used")
            continue
        columns: tuple[str, ...] = COLUMNS
        for number, cells in csv_entries(root / path):
            if number == 1 and COLUMNS[0] in (cell.strip() for cell in cells):
                columns = tuple(cell.strip() for cell in cells)
            else:
                yield _csv_item(root, images, f"{path}#line={number}", dict(zip(columns, cells, strict=False)), name)


def _csv_item(root: Path, images: str, here: str, entry: dict[str, str], name: str) -> ScanItem:
    path = entry.get("subDirectory_filePath", "").strip()
    code = entry.get("expression")
    if not path or code is None:
        return Reject(here, f"the line has {len(entry)} cells; a path and an expression are needed")
    source = f"{images}/{path}"
    expression = judge_code(source, code, CODES)
    if isinstance(expression, Reject):
        return expression
    fault = file_fault(root, source)
    if fault:
        return Reject(source, fault)
    return face_record(
        source,
        expression,
        split=LISTS[name],
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


def _npy_release(root: Path) -> Iterator[ScanItem]:
    for name, split in SETS.items():
        if find_folder(root, [f"{name}/images"]) is None:
            yield Reject(name, "the folder is missing, so none of its images is used")
            continue
        listing = list_folder(root, f"{name}/images")
        yield from listing.faults
        for file in listing.files:
            yield _npy_image(root, name, file, split)


def _npy_image(root: Path, folder: str, file: str, split: str) -> ScanItem:
    source = f"{folder}/images/{file}"
    if not is_image_name(file):
        return Reject(source, "not named as an image")
    stem = file.rpartition(".")[0]
    annotation = f"{folder}/annotations/{stem}_exp.npy"
    values = _load(root, annotation)
    if values is None:
        return Reject(source, f"{annotation} is missing or malformed")
    expression = judge_code(source, "".join(values), CODES)
    if isinstance(expression, Reject):
        return expression
    points = points_of_numbers(_load(root, f"{folder}/annotations/{stem}_lnd.npy") or [], 68)
    return face_record(source, expression, split=split, points_xy=points)


def _load(root: Path, path: str) -> list[str] | None:
    """The values of a small .npy file as text, or None if it is unusable; never unpickles."""
    import numpy as np

    if file_fault(root, path) or (root / path).stat().st_size > 100_000:
        return None
    try:
        values = np.load(root / path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(values, np.ndarray):
        return None
    return [str(value) for value in values.ravel().tolist()]


DATABASE = Database(
    key=KEY,
    title="AffectNet, manually annotated, seven expressions",
    expects=EXPECTS,
    terms="non-commercial research only, by signed agreement; images may not be passed on",
    size_px=224,
    variants=(Variant("default", "none", cropped=True, note="the authors' face crops; validation is the test"),),
    scan=scan,
    published={"train": 283_901, "test": 3_500},
)
