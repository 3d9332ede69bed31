"""table.json: a table of results as a file.

The names of the fields in the file are older than those in the code: lines are `rows` there. They do not change, so
that tables of earlier versions can still be read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from occfer.errors import CheckpointError, ReportError
from occfer.files import read_sealed, write_sealed
from occfer.tables.lines import by_clean_landmarks
from occfer.tables.published import PublishedFigure
from occfer.tables.result_table import (
    AnyCell,
    Cell,
    Column,
    Missing,
    PairedTest,
    Provenance,
    Quantity,
    ResultTable,
    Speed,
    TableLine,
)
from occsynth.reading import record_of

SCHEMA = 1
FILE = "table.json"
CELL_KINDS: dict[str, type[AnyCell]] = {"accuracy": Cell, "speed": Speed, "missing": Missing}
LARGEST_NUMBER = 1e15
"""Far above any count or speed, and far below what takes minutes to print."""


@dataclass(frozen=True, slots=True)
class _LineFile:
    """A line as the file has it; its cells are of several kinds."""

    key: str
    title: str
    cells: dict[str, dict[str, Any]]
    reconstruction: bool = False
    not_trained: bool = False
    reference: bool = False
    clean_landmarks: bool | None = None


@dataclass(frozen=True, slots=True)
class _TableFile:
    """The content of the file."""

    key: str
    title: str
    database: str
    quick: bool
    measure: Quantity
    columns: tuple[Column, ...]
    rows: tuple[_LineFile, ...]
    notes: tuple[str, ...]
    provenance: Provenance
    published: tuple[PublishedFigure, ...] = ()


def write_table(folder: Path, table: ResultTable) -> Path:
    """Writes `table.json` atomically and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(folder / FILE, to_json(table))
    return folder / FILE


def read_table(path: Path) -> ResultTable:
    """A table from its file, or from the folder that holds it.

    Raises:
        ReportError: the file is missing, damaged, or of another version.
    """
    file = path / FILE if path.is_dir() else path
    try:
        content = read_sealed(file)
    except CheckpointError as error:
        raise ReportError(
            f"{file} cannot be read as a table of results ({error}); make it with occfer reproduce"
        ) from error
    if content.get("schema") != SCHEMA:
        raise ReportError(f"{file} is not a table of results of this version; make it again with occfer reproduce")
    return from_json(content, str(file))


def to_json(table: ResultTable) -> dict[str, Any]:
    """JSON values. Each cell states its kind: `accuracy`, `speed` or `missing`."""
    return {
        "schema": SCHEMA,
        "key": table.key,
        "title": table.title,
        "database": table.database,
        "quick": table.quick,
        "measure": table.quantity,
        "columns": [asdict(column) for column in table.columns],
        "rows": [_line_to_json(line) for line in table.lines],
        "notes": list(table.notes),
        "provenance": asdict(table.provenance),
        "published": [asdict(each) for each in table.published],
    }


def _line_to_json(line: TableLine) -> dict[str, Any]:
    return asdict(line) | {"cells": {key: _cell_to_json(cell) for key, cell in line.cells.items()}}


def _cell_to_json(cell: AnyCell) -> dict[str, Any]:
    kind = next(name for name, kind in CELL_KINDS.items() if isinstance(cell, kind))
    values = {"kind": kind} | asdict(cell)
    if isinstance(cell, Cell):
        values["tests"] = {other: _test_to_json(test) for other, test in cell.tests.items()}
    return values


def _test_to_json(test: PairedTest) -> dict[str, Any]:
    counts = {"only_row": test.only_this, "only_other": test.only_other}
    return {"p": test.p, "p_holm": test.p_holm, **counts, "how": test.how}


def from_json(content: dict[str, Any], where: str = "this") -> ResultTable:
    """The inverse of `to_json`.

    Args:
        content: JSON values, which are not trusted: types are checked.
        where: what they are, for the message.

    Raises:
        ReportError: they are not a table of results; the message names what is wrong.
    """
    where = f"{where} is not a table of results"
    for value in _plain_values(content):
        if isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
            raise ReportError(f"{where}: it holds a number that is not finite or above {LARGEST_NUMBER:g}")
    file = record_of(_TableFile, content, where, ReportError)
    table = ResultTable(
        key=file.key,
        title=file.title,
        database=file.database,
        quick=file.quick,
        quantity=file.measure,
        columns=file.columns,
        lines=tuple(_line(line, where, file.provenance.settings) for line in file.rows),
        notes=file.notes,
        provenance=file.provenance,
        published=file.published,
    )
    fitting = (Missing, Speed if table.quantity == "frames/s" else Cell)
    for line in table.lines:
        for column in table.columns:
            if not isinstance(line.cells.get(column.key), fitting):
                raise ReportError(f"{where}: the line {line.key!r} has no fitting cell in the column {column.key!r}")
    return table


def _plain_values(content: object) -> Iterator[object]:
    """What JSON values hold at any depth, other than lists and objects."""
    if isinstance(content, dict | list):
        for each in content.values() if isinstance(content, dict) else content:
            yield from _plain_values(each)
    else:
        yield content


def _line(line: _LineFile, where: str, settings: Mapping[str, Any]) -> TableLine:
    before = by_clean_landmarks(line.key, {"landmarks_from": "clean"} | dict(settings))  # of version 0.1
    return TableLine(
        line.key,
        line.title,
        {key: _cell(cell, f"{where}: cell {key!r} of the line {line.key!r}") for key, cell in line.cells.items()},
        line.reconstruction,
        line.not_trained,
        line.reference,
        before if line.clean_landmarks is None else line.clean_landmarks,
    )


def _cell(content: dict[str, Any], where: str) -> AnyCell:
    kind = CELL_KINDS.get(str(content.get("kind")))
    if kind is None:
        raise ReportError(f"{where} is of none of the kinds {', '.join(CELL_KINDS)}")
    values = dict(content)
    if kind is Cell and isinstance(values.get("tests"), dict):
        values["tests"] = {
            other: test | {"only_this": test.get("only_row")} if isinstance(test, dict) else test
            for other, test in values["tests"].items()
        }
    return record_of(kind, values, where, ReportError)
