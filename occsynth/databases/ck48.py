"""48x48 crops of CK+, as circulating copies have them.

CK+48 has the last three frames of the 327 labelled sequences, and no neutral faces. The table `ckextended.csv` has one
frame of every sequence, where those without a label count as neutral, a split at random and no names of people.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from occsynth.databases.codes import Codes
from occsynth.databases.folds import with_subject_folds
from occsynth.databases.layout import find_file, find_folder, join, list_folder, not_found
from occsynth.databases.pixel_table import open_table, table_items
from occsynth.databases.record import Database, LabelOptions, Reject, ScanItem, Variant
from occsynth.databases.scanning import face_record, labelled

KEY = "ck+48"
EXPECTS = (
    "the folder that holds anger/, contempt/, disgust/, fear/, happy/, sadness/ and surprise/, or ckextended.csv for "
    "the variant extended"
)
TABLES = ("ckextended.csv", "CK+/ckextended.csv")
CODES = {
    "0": "anger",
    "1": "disgust",
    "2": "fear",
    "3": "happy",
    "4": "sadness",
    "5": "surprise",
    "6": "neutral",
    "7": "contempt",
}
"""Of `ckextended.csv`."""
_NAME = re.compile(r"(S\d{3,4})_(\d{3})_(\d{8})\.png", re.IGNORECASE)


@labelled(KEY, ("last-three", "last", "extended"), EXPECTS)
def scan(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
    """Yields a record for each crop; with variant `last`, all but a sequence's last are rejects by protocol."""
    if variant == "extended":
        codes = Codes(KEY, CODES, labels)
        table = find_file(root, TABLES)
        if table is None:
            raise not_found(KEY, root, f"{TABLES[0]} (of the variant 'extended')", EXPECTS)
        return table_items(table, open_table(KEY, root / table), codes)
    codes = Codes(KEY, {}, labels)
    top = find_folder(root, ("CK+48", ""))
    classes = list_folder(root, top or "")
    if top is None or not any(map(codes.is_class, classes.folders)):
        raise not_found(KEY, root, "class folders (anger/, disgust/, ...)", EXPECTS)
    items = codes.guard(_items(root, top, codes))
    return with_subject_folds(_last_only(items) if variant == "last" else items)


def _items(root: Path, top: str, codes: Codes) -> Iterator[ScanItem]:
    classes = list_folder(root, top)
    yield from classes.faults
    for folder in classes.folders:
        files = list_folder(root, join(top, folder))
        yield from files.faults
        yield from (Reject(join(top, f"{folder}/{name}"), "a folder inside a class folder") for name in files.folders)
        for name in files.files:
            source = join(top, f"{folder}/{name}")
            match = _NAME.fullmatch(name)
            if not match:
                yield Reject(source, "not named like a CK+ frame, such as S005_001_00000011.png")
                continue
            expression = codes.judge(source, folder)
            if isinstance(expression, Reject):
                yield expression
            else:
                yield face_record(source, expression, subject=match[1].upper())


def _last_only(items: Iterable[ScanItem]) -> Iterator[ScanItem]:
    last: dict[str, ScanItem] = {}
    for item in items:
        if isinstance(item, Reject):
            yield item
            continue
        sequence = item.source.rpartition("_")[0]
        before = last.get(sequence)
        if before is not None:  # names come in order, so the later frame follows
            yield Reject(before.source, "not the last frame of its sequence", by_protocol=True)
        last[sequence] = item
    yield from last.values()


DATABASE = Database(
    key=KEY,
    title="CK+48 (48x48 crops of CK+)",
    expects=EXPECTS,
    terms="as CK+: research use only, by agreement with CK+'s authors; images may not be passed on",
    size_px=48,
    variants=(
        Variant("last-three", "none", cropped=True, note="the last three frames of each sequence"),
        Variant("last", "none", cropped=True, note="the last frame of each sequence", published={"total": 309}),
        Variant(
            "extended", "none", cropped=True, note="ckextended.csv: a split at random, people unknown", published={}
        ),
    ),
    scan=scan,
    published={"total": 927},
    published_contempt={"total": 54},
    has_contempt=True,
    has_codes=True,
)
