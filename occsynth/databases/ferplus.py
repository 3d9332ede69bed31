"""FER+ (Barsoum et al., ICMI 2016): ten votes for each image of FER2013, and its majority rule."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from occsynth.databases.labels import judge
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
from occsynth.databases.record import Database, Reject, ScanItem, Variant
from occsynth.databases.scanning import checked, face_record
from occsynth.errors import DatabaseLayoutError

KEY = "ferplus"
EXPECTS = (
    "the folder that holds fer2013new.csv and ferNNNNNNN.png in FER2013Train/, ...Valid/ and ...Test/, or in images/"
)
TABLES = ("fer2013new.csv", "data/fer2013new.csv")
VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
VOTED = (*VOTES[:-1], "not-a-face")
"""What the manifest calls them."""
USAGES = {
    "Training": ("train", "FER2013Train"),
    "PublicTest": ("val", "FER2013Valid"),
    "PrivateTest": ("test", "FER2013Test"),
}
DOUBLE_NAMES = ("fer0006953.png", "fer0008403.png", "fer0011785.png", "fer0033120.png")
"""Names that the published list has twice; the first entry counts."""


@checked(KEY, ("default",), EXPECTS)
def scan(root: Path, variant: str) -> Iterator[ScanItem]:
    """Yields a record for each entry whose votes agree; images are found by the name column, never by position."""
    table = find_file(root, TABLES)
    if table is None:
        raise not_found(KEY, root, TABLES[0], EXPECTS)
    columns = _columns(root / table)
    folders = {folder: _image_folder(root, folder) for _, folder in USAGES.values()}
    if all(folder is None for folder in folders.values()):
        raise not_found(KEY, root, "images ferNNNNNNN.png, in FER2013Train/ or in one folder,", EXPECTS)
    return _items(root, table, columns, folders)


def _columns(path: Path) -> list[str]:
    header = header_of(path)
    fault = lacks_columns(("Usage", "Image name", *VOTES), header)
    if fault:
        raise DatabaseLayoutError(f"{KEY}: {path}: {fault}")
    return header


def _image_folder(root: Path, folder: str) -> str | None:
    """The folder of one split's images: its own, or one that all splits share."""
    own = find_folder(root, [folder, f"data/{folder}", f"images/{folder}"])
    return own if own is not None else _common_folder(root)


def _common_folder(root: Path) -> str | None:
    for folder in ("images", "", "data/images", "data"):
        if any(name.startswith("fer") and is_image_name(name) for name in list_folder(root, folder).files):
            return folder
    return None


def _items(root: Path, table: str, columns: list[str], folders: dict[str, str | None]) -> Iterator[ScanItem]:
    lines_by_name: dict[str, int] = {}
    for line, cells in csv_entries(root / table):
        if line == 1:
            continue
        here = f"{table}#line={line}"
        entry = by_column(columns, cells)
        if isinstance(entry, str):
            yield Reject(here, entry)
            continue
        name, usage = entry.get("Image name", ""), entry.get("Usage", "")
        if not name:
            yield Reject(here, "it names no image: the voters saw no face", by_protocol=True)
        elif usage not in USAGES:
            yield Reject(here, f"unknown Usage '{usage[:40]}'; expected one of {', '.join(USAGES)}")
        elif name in lines_by_name:
            reason = f"{name} is already named in line {lines_by_name[name]}, which is used"
            yield Reject(here, reason, by_protocol=name in DOUBLE_NAMES)
        else:
            lines_by_name[name] = line
            split, expected_folder = USAGES[usage]
            folder = folders[expected_folder]
            votes = [entry.get(vote, "") for vote in VOTES]
            # where the folder is missing, each of its images becomes a reject, like a single missing image
            yield _item(root, listed_path(root, name, expected_folder if folder is None else folder), votes, split)


def _item(root: Path, source: str, votes: list[str], split: str) -> ScanItem:
    try:
        counts = [int(vote) for vote in votes]
    except ValueError:
        return Reject(source, f"votes that are not whole numbers: {','.join(votes)[:60]}")
    if min(counts) < 0:
        return Reject(source, f"votes below zero: {','.join(votes)[:60]}")
    winner = majority(counts)
    if winner is None:
        return Reject(source, "no majority among the votes", by_protocol=True)
    expression = judge(source, VOTES[winner])
    fault = None if isinstance(expression, Reject) else file_fault(root, source)
    if fault:
        return Reject(source, fault)
    if isinstance(expression, Reject):
        return expression
    return replace(face_record(source, expression, split=split), votes=tuple(zip(VOTED, counts, strict=True)))


def majority(votes: Sequence[int]) -> int | None:
    """The index of the class that wins, or None if none does.

    FER+'s rule: single votes are dropped as outliers; the top class needs more than half of the remaining votes.

    Args:
        votes: counts in the order of `VOTES`, none below zero.
    """
    kept = [vote if vote > 1 else 0 for vote in votes]
    top = max(kept)
    return kept.index(top) if 2 * top > sum(kept) else None


DATABASE = Database(
    key=KEY,
    title="FER+ (FER2013 with ten votes per image)",
    expects=EXPECTS,
    terms="votes under the MIT licence; the pictures are FER2013's, without a licence: do not pass on",
    size_px=48,
    variants=(
        Variant("default", "none", cropped=True, note="majority rule; contempt, unknown and not-a-face left out"),
    ),
    scan=scan,
    has_votes=True,
)
