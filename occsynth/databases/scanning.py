"""What all scans have in common: the root exists, the variant is known, the pair_ids are unique."""

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

from occsynth.databases.naming import name_fault, pair_id_of
from occsynth.databases.record import SEVEN, FaceRecord, LabelOptions, PointTuples, Reject, Scan, ScanItem
from occsynth.errors import BuildError, DatabaseLayoutError, lookup
from occsynth.escapes import printable

if TYPE_CHECKING:
    import sqlite3

PlainScan = Callable[[Path, str], Iterator[ScanItem]]
"""Root, variant -> items: a scan whose labels leave no choice."""
LabelledScan = Callable[[Path, str, LabelOptions], Iterator[ScanItem]]
"""Root, variant, label options -> items."""


def face_record(
    source: str,
    expression: str,
    *,
    subject: str = "",
    split: str = "",
    fold: int | None = None,
    box_xyxy: tuple[float, float, float, float] | None = None,
    points_xy: PointTuples | None = None,
    suffix: str = "",
) -> FaceRecord:
    """A `FaceRecord` whose pair_id follows from its source and the suffix."""
    pair_id = pair_id_of(source, suffix)
    return FaceRecord(source, pair_id, expression, subject, split, fold, box_xyxy, points_xy)


def checked(key: str, variants: tuple[str, ...], expects: str) -> Callable[[PlainScan], Scan]:
    """As `labelled`, for a scan whose labels leave no choice."""

    def wrap(scan: PlainScan) -> Scan:
        @wraps(scan)
        def without_labels(root: Path, variant: str, labels: LabelOptions) -> Iterator[ScanItem]:
            del labels
            return scan(root, variant)

        return labelled(key, variants, expects)(without_labels)

    return wrap


def labelled(key: str, variants: tuple[str, ...], expects: str) -> Callable[[LabelledScan], Scan]:
    """Wraps a scan: checks the root and the variant first, then passes every item through `settle`.

    A scan checks the layout when it is called, not when its first item is drawn, so that a wrong --root is an error at
    once.

    Args:
        key: of the database.
        variants: names of its variants.
        expects: what --root must be.
    """

    def wrap(scan: LabelledScan) -> Scan:
        @wraps(scan)
        def scan_checked(root: Path, variant: str, labels: LabelOptions = SEVEN) -> Iterator[ScanItem]:
            if not root.is_dir():
                state = "is a file" if root.exists() else "does not exist"
                raise DatabaseLayoutError(f"{key}: the folder {root} {state}. --root must be {expects}")
            lookup(dict.fromkeys(variants), variant, kind=f"{key} variant")
            return settle(scan(root, variant, labels))

        return scan_checked

    return wrap


def settle(items: Iterable[ScanItem]) -> Iterator[ScanItem]:
    """Yields the items; a record whose name no manifest can hold, or whose pair_id was used before, becomes a reject.

    The pair_ids seen are kept in a temporary database on disk, so that memory stays flat.

    Raises:
        BuildError: the temporary folder is full or not writable.
    """
    import sqlite3  # here, so that listing the databases stays fast

    try:
        seen = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        seen.execute("PRAGMA journal_mode=OFF")
        seen.execute("CREATE TABLE seen (pair_id TEXT PRIMARY KEY, source TEXT) WITHOUT ROWID")
        for item in items:
            yield _settle_record(seen, item) if isinstance(item, FaceRecord) else _printable(item)
    except sqlite3.Error as error:
        raise BuildError(f"cannot write to the temporary folder: {error}. Free some space there") from error


def _settle_record(seen: "sqlite3.Connection", record: FaceRecord) -> ScanItem:
    fault = name_fault(record.source)
    if fault is None and printable(record.subject) != record.subject:
        fault = f"the subject's name '{record.subject}' cannot be printed"
    if fault:
        return _printable(Reject(record.source, fault))
    added = seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (record.pair_id, record.source)).rowcount
    if added:
        return record
    (first,) = seen.execute("SELECT source FROM seen WHERE pair_id = ?", (record.pair_id,)).fetchone()
    if first == record.source:
        return Reject(record.source, "listed a second time; the first entry is used")
    return Reject(record.source, f"it differs from {first} only in its ending; that one is used")


def _printable(reject: Reject) -> Reject:
    return Reject(printable(reject.source), printable(reject.reason), reject.by_protocol)
