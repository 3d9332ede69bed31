"""Oulu-CASIA NIR&VIS (Zhao et al., 2011): image sequences from neutral to the apex, two cameras, three lights.

The last three frames of a sequence show its expression, and the first one is neutral; ten folds of eight subjects.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.folds import with_subject_folds
from occsynth.databases.labels import judge
from occsynth.databases.layout import find_folder, list_folder, not_found
from occsynth.databases.record import Database, Reject, ScanItem, Variant
from occsynth.databases.scanning import checked, face_record
from occsynth.databases.subject_folders import sequence_folders

KEY = "oulu-casia"
EXPECTS = "the folder that holds B_OriginalImg/, with VL/Strong/P001/Anger/*.jpeg in it"
TOPS = ("B_OriginalImg/", "", "OriginalImg/", "B_OriginalImg/OriginalImg/", "B_OriginalImg/B_OriginalImg/OriginalImg/")
VARIANTS = {
    "vl-strong": "VL/Strong",
    "vl-weak": "VL/Weak",
    "vl-dark": "VL/Dark",
    "ni-strong": "NI/Strong",
    "ni-weak": "NI/Weak",
    "ni-dark": "NI/Dark",
}
APEX_FRAMES = 3
_SUBJECT = re.compile(r"P\d{3}")
_FRAME = re.compile(r"(\d+)\.jpe?g", re.IGNORECASE)


@checked(KEY, tuple(VARIANTS), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields four records per sequence of one camera and one light."""
    top = find_folder(root, [base + VARIANTS[variant] for base in TOPS])
    if top is None:
        raise not_found(KEY, root, f"{TOPS[0]}{VARIANTS[variant]}/ (of the variant '{variant}')", EXPECTS)
    return with_subject_folds(_items(root, top))


def _items(root: Path, top: str) -> Iterator[ScanItem]:
    for item in sequence_folders(root, top, _SUBJECT, "P001"):
        if isinstance(item, Reject):
            yield item
        else:
            subject, name = item
            yield from _sequence(root, f"{top}/{subject}/{name}", subject, name)


def _sequence(root: Path, folder: str, subject: str, name: str) -> Iterator[ScanItem]:
    expression = judge(folder, name)
    if isinstance(expression, Reject):
        yield expression
        return
    listing = list_folder(root, folder)
    yield from listing.faults
    yield from (Reject(f"{folder}/{each}", "a folder inside a sequence") for each in listing.folders)
    frames: list[tuple[int, str]] = []
    for file in listing.files:
        match = _FRAME.fullmatch(file)
        if match:
            frames.append((int(match[1]), file))
        else:
            yield Reject(f"{folder}/{file}", "not named like a frame, such as 000.jpeg")
    if len(frames) <= APEX_FRAMES:
        yield Reject(folder, f"{len(frames)} frames; the first and the last {APEX_FRAMES} need {APEX_FRAMES + 1}")
        return
    files = [file for _, file in sorted(frames)]
    yield face_record(f"{folder}/{files[0]}", "neutral", subject=subject)
    for file in files[-APEX_FRAMES:]:
        yield face_record(f"{folder}/{file}", expression, subject=subject)


DATABASE = Database(
    key=KEY,
    title="Oulu-CASIA NIR&VIS",
    expects=EXPECTS,
    terms="research use only, by signed agreement; images may not be passed on",
    size_px=48,
    variants=tuple(
        Variant(name, "similarity", cropped=False, note=f"{folder}: first and last three frames of each sequence")
        for name, folder in VARIANTS.items()
    ),
    scan=scan,
    published={"total": 1_920},
)
