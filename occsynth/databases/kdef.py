"""KDEF, Karolinska directed emotional faces (Lundqvist et al., 1998): 70 people, five angles, two sessions."""

import re
from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.folds import with_subject_folds
from occsynth.databases.layout import find_folder, is_image_name, not_found, walk
from occsynth.databases.record import Database, Reject, ScanItem, Variant
from occsynth.databases.scanning import checked, face_record

KEY = "kdef"
EXPECTS = "the folder that holds AF01/AF01AFS.JPG, ... (or KDEF/ with them, or the pictures themselves)"
CODES = {
    "AF": "fear",  # afraid
    "AN": "anger",
    "DI": "disgust",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
_NAME = re.compile(r"([AB])([FM])(\d\d)(AF|AN|DI|HA|NE|SA|SU)(S|HL|HR|FL|FR)\.(JPE?G|PNG)", re.IGNORECASE)


@checked(KEY, ("frontal", "all"), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields a record for each picture, or each frontal one; files that are not pictures are ignored."""
    top = find_folder(root, ["KDEF_and_AKDEF/KDEF", "KDEF"]) or ""
    if not any(isinstance(path, str) and _match(path) for path in walk(root, top)):
        raise not_found(KEY, root, "pictures named like AF01AFS.JPG", EXPECTS)
    return with_subject_folds(_items(root, top, frontal_only=variant == "frontal"))


def _match(path: str) -> re.Match[str] | None:
    return _NAME.fullmatch(path.rpartition("/")[2])


def _items(root: Path, top: str, *, frontal_only: bool) -> Iterator[ScanItem]:
    for path in walk(root, top):
        if isinstance(path, Reject):
            yield path
        elif is_image_name(path):
            yield _item(path, frontal_only)


def _item(path: str, frontal_only: bool) -> ScanItem:
    match = _match(path)
    if not match:
        return Reject(path, "not named like a picture of KDEF, such as AF01AFS.JPG")
    _, sex, number, code, angle = (group.upper() for group in match.groups()[:5])
    if frontal_only and angle != "S":
        return Reject(path, f"angle {angle}; the variant 'frontal' takes only S", by_protocol=True)
    return face_record(path, CODES[code], subject=sex + number)


DATABASE = Database(
    key=KEY,
    title="Karolinska Directed Emotional Faces (KDEF)",
    expects=EXPECTS,
    terms="non-commercial research only; images may not be passed on",
    size_px=144,
    variants=(
        Variant("frontal", "similarity", cropped=False, note="the frontal pictures of both sessions"),
        Variant("all", "similarity", cropped=False, note="all five angles", published={"total": 4_900}),
    ),
    scan=scan,
    published={"total": 980},
)
