"""JAFFE, Japanese female facial expressions (Lyons et al., 1998): 213 pictures of ten women, all in the file names."""

import re
from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.folds import with_subject_folds
from occsynth.databases.layout import is_image_name, list_folder, not_found
from occsynth.databases.record import Database, Reject, ScanItem, Variant
from occsynth.databases.scanning import checked, face_record

KEY = "jaffe"
EXPECTS = "the folder that holds the pictures KA.AN1.39.tiff, ... (or jaffe/ with them)"
TOPS = ("", "jaffe", "jaffedbase", "jaffeimages/jaffe", "jaffedbase/jaffe")
CODES = {
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
_NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})\d+\.\d+\.(tiff?|png|jpg)", re.IGNORECASE)


@checked(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields a record for each picture; documents beside them are ignored."""
    for top in TOPS:
        if any(_NAME.fullmatch(name) for name in list_folder(root, top).files):
            return with_subject_folds(_items(root, top))
    raise not_found(KEY, root, "pictures named like KA.AN1.39.tiff", EXPECTS)


def _items(root: Path, top: str) -> Iterator[ScanItem]:
    listing = list_folder(root, top)
    yield from listing.faults
    for name in filter(is_image_name, listing.files):
        source = f"{top}/{name}" if top else name
        match = _NAME.fullmatch(name)
        if not match:
            yield Reject(source, "not named like a picture of JAFFE, such as KA.AN1.39.tiff")
        elif match[2].upper() not in CODES:
            yield Reject(source, f"unknown expression '{match[2]}' in the name; expected one of {', '.join(CODES)}")
        else:
            yield face_record(source, CODES[match[2].upper()], subject=match[1].upper())


DATABASE = Database(
    key=KEY,
    title="Japanese Female Facial Expression (JAFFE)",
    expects=EXPECTS,
    terms="non-commercial research only; images may not be passed on",
    size_px=144,
    variants=(Variant("default", "similarity", cropped=False, note="256x256 grey pictures"),),
    scan=scan,
    published={"total": 213},
)
