"""RAF-DB, basic expressions (Li, Deng and Du, CVPR 2017): one list of labels, whose file names tell the split.

Lists that others derived from it are read, too: names with `_aligned` or without an ending, commas between the columns,
and further columns behind the label.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.codes import Codes
from occsynth.databases.layout import file_fault, find_file, find_folder, lines_of, list_folder, not_found, read_text
from occsynth.databases.points import points_of_lines
from occsynth.databases.record import Database, LabelOptions, PointTuples, Reject, ScanItem, Variant
from occsynth.databases.scanning import face_record, labelled

KEY = "raf-db"
EXPECTS = "the folder (basic/) that holds EmoLabel/list_patition_label.txt and Image/aligned/ or Image/original/"
BASES = ("", "basic/", "RAF-DB/basic/")
LISTS = ("EmoLabel/list_patition_label.txt", "EmoLabel/list_partition_label.txt")  # the first spelling is the authors'
CODES = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happiness",
    "5": "sadness",
    "6": "anger",
    "7": "neutral",
}
_NAME = re.compile(r"(?:.*/)?((?:train|test)_\d+)(?:_aligned)?(\.(?:jpg|jpeg|png))?", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*[,;]\s*|\s+")


@labelled(KEY, ("aligned", "original"), EXPECTS)
def scan(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
    """Yields a record for each line of the list, and a reject for each image that it does not name."""
    list_path = find_file(root, [base + name for base in BASES for name in LISTS])
    if list_path is None:
        raise not_found(KEY, root, LISTS[0], EXPECTS)
    base = list_path.removesuffix("EmoLabel/" + Path(list_path).name)
    images = find_folder(root, [f"{base}Image/{variant}"])
    if images is None:
        raise not_found(KEY, root, f"{base}Image/{variant}/ (of the variant '{variant}')", EXPECTS)
    codes = Codes(KEY, CODES, labels)
    return codes.guard(_items(root, list_path, images, base if variant == "original" else None, codes))


def _items(root: Path, list_path: str, images: str, annotated: str | None, codes: Codes) -> Iterator[ScanItem]:
    named: set[str] = set()
    for number, line in lines_of(root / list_path):
        words = _BETWEEN.split(line)
        match = _NAME.fullmatch(words[0])
        if match is None or len(words) < 2:
            if number > 1 or any(map(str.isdecimal, line)):  # else it names the columns
                yield Reject(f"{list_path}#line={number}", f"'{line[:60]}' is not of the form 'train_00001.jpg 5'")
            continue
        name, code = match[1] + (match[2] or ".jpg"), words[1]
        source = f"{images}/{name}" if annotated is not None else _aligned(root, images, name)
        named.add(source)
        expression = codes.judge(source, code)
        fault = file_fault(root, source)
        expression = Reject(source, fault) if fault else expression
        if isinstance(expression, Reject):
            yield expression
            continue
        split = name.partition("_")[0].lower()
        points = None if annotated is None else _points(root, annotated, name)
        yield face_record(source, expression, split=split, points_xy=points)
    there = list_folder(root, images)
    yield from there.faults
    for name in there.files:
        if f"{images}/{name}" not in named:
            yield Reject(f"{images}/{name}", f"not in {list_path}")


def _aligned(root: Path, images: str, name: str) -> str:
    """The path of an aligned image: `train_00001_aligned.jpg`, or the plain name, which some copies have."""
    stem, _, ending = name.rpartition(".")
    plain, suffixed = f"{images}/{name}", f"{images}/{stem}_aligned.{ending}"
    return plain if file_fault(root, suffixed) and not file_fault(root, plain) else suffixed


def _points(root: Path, base: str, name: str) -> PointTuples | None:
    """Eyes, nose tip and mouth corners from the manual annotation, in the original image's pixels."""
    stem = name.rpartition(".")[0]
    points = points_of_lines(read_text(root / base / "Annotation" / "manual" / f"{stem}_manu_attri.txt"), 5)
    if points is None:
        return None
    eyes, mouth = sorted(points[:2]), sorted(points[3:])  # the picture's left first
    return (*eyes, points[2], *mouth)


DATABASE = Database(
    key=KEY,
    title="Real-world Affective Faces (RAF-DB), basic expressions",
    expects=EXPECTS,
    terms="non-commercial research only, on signed request; images may not be passed on",
    size_px=88,
    variants=(
        Variant("aligned", "none", cropped=True, note="the authors' aligned 100x100 faces"),
        Variant("original", "similarity", cropped=False, note="the pictures as found, with 5 manual landmarks"),
    ),
    scan=scan,
    published={"train": 12_271, "test": 3_068},
    has_codes=True,
)
