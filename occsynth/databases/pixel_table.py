"""Tables that hold 48x48 faces in a column `pixels`, as FER2013 has them: a label, the pixels, the part of the set."""

from collections.abc import Iterator
from pathlib import Path

from occsynth.databases.codes import Codes
from occsynth.databases.layout import lacks_columns
from occsynth.databases.record import Reject, ScanItem
from occsynth.databases.scanning import face_record
from occsynth.errors import DatabaseLayoutError, SourceError
from occsynth.pixels.row_table import RowTable

COLUMNS = ("emotion", "pixels", "Usage")
USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}


def open_table(key: str, path: Path) -> RowTable:
    """The table; raises DatabaseLayoutError if it is unreadable or a column is missing.

    Args:
        key: of the database, for the message.
        path: of the CSV file.
    """
    try:
        table = RowTable(path)
    except SourceError as error:
        raise DatabaseLayoutError(f"{key}: {path}: {error}") from error
    fault = lacks_columns(COLUMNS, table.columns)
    if fault:
        raise DatabaseLayoutError(f"{key}: {path}: {fault}")
    return table


def table_items(name: str, table: RowTable, codes: Codes) -> Iterator[ScanItem]:
    """Yields a record or reject for each row.

    Args:
        name: the table's path under the raw root.
        table: as `open_table` gives it.
        codes: of its column `emotion`.

    Raises:
        DatabaseLayoutError: after the last row, if the codes do not fit.
    """
    return codes.guard(_items(name, table, codes))


def _items(name: str, table: RowTable, codes: Codes) -> Iterator[ScanItem]:
    for row in table.rows():
        source = f"{name}#row={row.number}"
        try:
            cells = row.cells()
        except SourceError as error:
            yield Reject(source, str(error))
            continue
        expression = codes.judge(source, cells["emotion"])
        if isinstance(expression, Reject):
            yield expression
        elif cells["Usage"] not in USAGES:
            yield Reject(source, f"unknown Usage '{cells['Usage'][:40]}'; expected one of {', '.join(USAGES)}")
        else:
            yield face_record(source, expression, split=USAGES[cells["Usage"]])
