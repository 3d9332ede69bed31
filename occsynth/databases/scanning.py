"""What every scan has in common: its root exists, its variant is known, its pair_ids are unique."""

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

from occsynth.databases.naming import name_fault, pair_id_of, printable
from occsynth.databases.record import FaceRecord, Points, Reject
from occsynth.errors import BuildError, DatabaseLayoutError, UnknownNameError

if TYPE_CHECKING:
    import sqlite3

Item = FaceRecord | Reject
Scan = Callable[[Path, str], Iterator[Item]]


def face_record(
    source: str,
    expression: str,
    *,
    subject: str = "",
    split: str = "",
    fold: int | None = None,
    box_xyxy: tuple[float, float, float, float] | None = None,
    points_xy: Points | None = None,
    suffix: str = "",
) -> FaceRecord:
    """A `FaceRecord` whose pair_id follows from its source and the suffix."""
    pair_id = pair_id_of(source, suffix)
    return FaceRecord(source, pair_id, expression, subject, split, fold, box_xyxy, points_xy)


def checked(key: str, variants: tuple[str, ...], expects: str) -> Callable[[Scan], Scan]:
    """Wraps a scan: the root and the variant are looked at first, then every item is settled by `settle`.

    The scan itself looks at the layout before it returns, so that a wrong --root is an error at once.
    """

    def wrap(scan: Scan) -> Scan:
        @wraps(scan)
        def scan_checked(root: Path, variant: str) -> Iterator[Item]:
            if not root.is_dir():
                state = "is a file" if root.exists() else "does not exist"
                raise DatabaseLayoutError(f"{key}: the folder {root} {state}. --root must be {expects}")
            if variant not in variants:
                raise UnknownNameError(f"unknown variant '{variant}' of {key}; choose one of: {', '.join(variants)}")
            return settle(scan(root, variant))

        return scan_checked

    return wrap


def settle(items: Iterable[Item]) -> Iterator[Item]:
    """The items, in which a record with a name that no manifest can hold, or with a pair_id used before, is a reject.

    The pair_ids seen are kept in a temporary database on disk, so memory stays flat.

    Raises:
        BuildError: the temporary folder is full or not writable.
    """
    import sqlite3  # here, so that listing the databases stays quick

    try:
        seen = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        seen.execute("PRAGMA journal_mode=OFF")
        seen.execute("CREATE TABLE seen (pair_id TEXT PRIMARY KEY, source TEXT) WITHOUT ROWID")
        for item in items:
            yield _settle_record(seen, item) if isinstance(item, FaceRecord) else _printable(item)
    except sqlite3.Error as error:
        raise BuildError(f"the list of names seen cannot be kept in the temporary folder: {error}") from error


def _settle_record(seen: "sqlite3.Connection", record: FaceRecord) -> Item:
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
        return Reject(record.source, "listed a second time; its first entry is used")
    return Reject(record.source, f"its name without the ending is that of {first}, which is used")


def _printable(reject: Reject) -> Reject:
    return Reject(printable(reject.source), printable(reject.reason), reject.by_protocol)
