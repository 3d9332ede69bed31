"""FER+ (Barsoum et al., ICMI 2016): ten votes for each image of FER2013, and two rules that make a label of them.

The images are the PNG files that the authors' script makes, or the rows of FER2013's own table (`ferplus_images.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from occsynth.databases.ferplus_images import Entry, Images, find_images
from occsynth.databases.labels import judge
from occsynth.databases.layout import by_column, csv_entries, find_file, header_of, lacks_columns, not_found
from occsynth.databases.naming import pair_id_of
from occsynth.databases.record import Database, LabelOptions, Reject, ScanItem, Variant
from occsynth.databases.scanning import face_record, labelled
from occsynth.errors import DatabaseLayoutError

KEY = "ferplus"
EXPECTS = (
    "the folder that holds fer2013new.csv, and either ferNNNNNNN.png in FER2013Train/, ...Valid/ and ...Test/, or in "
    "images/, or FER2013's own fer2013.csv"
)
TABLES = ("fer2013new.csv", "data/fer2013new.csv", "FERPlus-master/fer2013new.csv")
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

Rule = Callable[[Sequence[int]], int | None]


@labelled(KEY, ("default", "argmax"), EXPECTS)
def scan(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
    """Yields a record for each entry whose votes give a class."""
    table = find_file(root, TABLES)
    if table is None:
        raise not_found(KEY, root, TABLES[0], EXPECTS)
    columns = _columns(root / table)
    images = find_images(KEY, root, [folder for _, folder in USAGES.values()])
    if images is None:
        looked_for = "images ferNNNNNNN.png, in FER2013Train/ or in one folder, or fer2013.csv,"
        raise not_found(KEY, root, looked_for, EXPECTS)
    rule = plurality if variant == "argmax" else majority
    return images.guard(_items(root, table, columns, images, partial(_labelled, rule, labels)))


def _columns(path: Path) -> list[str]:
    header = header_of(path)
    fault = lacks_columns(("Usage", "Image name", *VOTES), header)
    if fault:
        raise DatabaseLayoutError(f"{KEY}: {path}: {fault}")
    return header


@dataclass(frozen=True, slots=True)
class _Label:
    """What the votes for an image say."""

    expression: str
    votes: tuple[tuple[str, int], ...]


def _items(
    root: Path, table: str, columns: list[str], images: Images, judged: Callable[[str, list[str]], _Label | Reject]
) -> Iterator[ScanItem]:
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
            split, folder = USAGES[usage]
            image = Entry(line, name, usage, folder)
            named, source = images.find(image)
            label = judged(named, [entry.get(vote, "") for vote in VOTES])
            fault = None if isinstance(label, Reject) else images.fault(image, source, label.expression)
            if fault:
                yield Reject(named, fault)
            elif isinstance(label, Reject):
                yield label
            else:
                record = face_record(source, label.expression, split=split)
                yield replace(record, pair_id=pair_id_of(named), votes=label.votes)


def _labelled(rule: Rule, labels: LabelOptions, source: str, votes: list[str]) -> _Label | Reject:
    try:
        counts = [int(vote) for vote in votes]
    except ValueError:
        return Reject(source, f"votes that are not whole numbers: {','.join(votes)[:60]}")
    if min(counts) < 0:
        return Reject(source, f"votes below zero: {','.join(votes)[:60]}")
    winner = rule(counts)
    if winner is None:
        return Reject(source, "no majority among the votes", by_protocol=True)
    expression = judge(source, VOTES[winner], labels)
    return expression if isinstance(expression, Reject) else _Label(expression, tuple(zip(VOTED, counts, strict=True)))


def majority(votes: Sequence[int]) -> int | None:
    """The index of the class that wins, or None if none does.

    FER+'s rule: single votes are dropped as outliers; the top class needs more than half of the remaining votes.

    Args:
        votes: counts in the order of `VOTES`, none below zero.
    """
    kept = [vote if vote > 1 else 0 for vote in votes]
    top = max(kept)
    return kept.index(top) if 2 * top > sum(kept) else None


def plurality(votes: Sequence[int]) -> int | None:
    """The index of the class with most votes, the first of several; None if there are no votes.

    Args:
        votes: as for `majority`.
    """
    top = max(votes)
    return list(votes).index(top) if top else None


DATABASE = Database(
    key=KEY,
    title="FER+ (FER2013 with ten votes per image)",
    expects=EXPECTS,
    terms="votes under the MIT licence; the pictures are FER2013's, without a licence: do not pass on",
    size_px=48,
    variants=(
        Variant("default", "none", True, note="majority rule; unknown and not-a-face left out", also="majority"),
        Variant("argmax", "none", True, note="the class with most votes, the first of several"),
    ),
    scan=scan,
    has_votes=True,
    has_contempt=True,
)
