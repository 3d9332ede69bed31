"""FED-RO, facial expressions with real occlusions (Li et al., IEEE TIP 2019): test images that are already occluded."""

import re
from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.class_folders import class_folder_items, has_class_folders
from occsynth.databases.labels import is_class_name, judge
from occsynth.databases.layout import file_fault, is_image_name, join, lines_of, list_folder, listed_path, not_found
from occsynth.databases.record import Database, Reject, ScanItem, Variant
from occsynth.databases.scanning import checked, face_record

KEY = "fed-ro"
EXPECTS = (
    "the folder that holds the class folders anger/, disgust/, ..., neural/ (so spelt), "
    "with or without a .txt list of <class>/<name>.jpg"
)
TOPS = ("", "FED-RO", "FED-RO_crop", "images")
_TRAILING_LABEL = re.compile(r"\s+\d+$")


@checked(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields what the list names if there is exactly one list, else what the class folders hold; all of it is test."""
    tops = [top for top in TOPS if has_class_folders(root, top)]
    if not tops:
        raise not_found(KEY, root, "class folders (anger/, disgust/, ..., neural/)", EXPECTS)
    top = tops[0]
    lists = [join(folder, name) for folder in dict.fromkeys(("", top)) for name in _lists(root, folder)]
    if len(lists) == 1:
        return _listed(root, top, lists[0])
    return class_folder_items(root, top, "test")


def _lists(root: Path, folder: str) -> list[str]:
    """Text files whose first line names an image in a class folder."""
    names = [name for name in list_folder(root, folder).files if name.lower().endswith((".txt", ".lst"))]
    return [name for name in names if any(_is_entry(line) for _, line in _first(root / folder / name))]


def _first(path: Path) -> Iterator[tuple[int, str]]:
    for number_and_line in lines_of(path):
        yield number_and_line
        return


def _is_entry(line: str) -> bool:
    parts = _TRAILING_LABEL.sub("", line).split("/")
    return len(parts) >= 2 and is_class_name(parts[-2]) and is_image_name(parts[-1])


def _listed(root: Path, top: str, list_path: str) -> Iterator[ScanItem]:
    named: set[str] = set()
    for number, line in lines_of(root / list_path):
        entry = _TRAILING_LABEL.sub("", line)
        if not _is_entry(line):
            yield Reject(f"{list_path}#line={number}", f"'{line[:60]}' is not of the form <class>/<name>.jpg")
            continue
        source = entry if top and entry.startswith(f"{top}/") else listed_path(root, entry, top)
        named.add(source)
        fault = file_fault(root, source)
        expression = Reject(source, fault) if fault else judge(source, entry.split("/")[-2])
        yield expression if isinstance(expression, Reject) else face_record(source, expression, split="test")
    for item in class_folder_items(root, top, "test"):
        if item.source not in named:
            yield item if isinstance(item, Reject) else Reject(item.source, f"not in {list_path}")


DATABASE = Database(
    key=KEY,
    title="Facial Expression Dataset with Real Occlusions (FED-RO)",
    expects=EXPECTS,
    terms="research use only, on request to the authors; pictures from the web, which may not be passed on",
    size_px=224,
    variants=(Variant("default", "similarity", cropped=True, note="test only, mode real"),),
    scan=scan,
    real=True,
    published={"test": 400},
)
