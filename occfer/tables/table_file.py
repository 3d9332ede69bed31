"""table.json: a table of results as a file.

The names of the fields in the file are older than those in the code: lines are `rows` there. They do not change, so
that tables of earlier versions can still be read.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from occfer.errors import ReportError
from occfer.files import write_json
from occfer.metrics.averages import MeanAndSd
from occfer.metrics.intervals import Interval
from occfer.tables.result_table import (
    AnyCell,
    Cell,
    Column,
    FailedJob,
    Missing,
    PairedTest,
    Provenance,
    RecordedManifest,
    ResultTable,
    SeedAccuracies,
    Speed,
    TableLine,
)

SCHEMA = 1
FILE = "table.json"
CELL_KINDS: dict[str, type[AnyCell]] = {"accuracy": Cell, "speed": Speed, "missing": Missing}


def write_table(folder: Path, table: ResultTable) -> Path:
    """Writes `table.json` atomically and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, to_json(table))
    return folder / FILE


def read_table(path: Path) -> ResultTable:
    """A table from its file, or from the folder that holds it.

    Raises:
        ReportError: the file is missing, damaged, or of another version.
    """
    file = path / FILE if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(
            f"{file} cannot be read as a table of results ({error}); make it with occfer reproduce"
        ) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ReportError(f"{file} is not a table of results of this version; make it again with occfer reproduce")
    return from_json(content)


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
    return {"p": test.p, "p_holm": test.p_holm, "only_row": test.only_this, "only_other": test.only_other}


def from_json(content: dict[str, Any]) -> ResultTable:
    """The inverse of `to_json`; raises ReportError for anything else."""
    try:
        values = dict(content)
        values.pop("schema", None)
        return ResultTable(
            provenance=_provenance(values.pop("provenance")),
            lines=tuple(_line(line) for line in values.pop("rows")),
            columns=tuple(Column(**column) for column in values.pop("columns")),
            notes=tuple(values.pop("notes")),
            quantity=values.pop("measure"),
            **values,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReportError(f"this is not a table of results ({type(error).__name__}: {error})") from error


def _provenance(values: dict[str, Any]) -> Provenance:
    manifests = tuple(RecordedManifest(**each) for each in values["manifests"])
    failed = tuple(FailedJob(**each) for each in values["failed"])
    return Provenance(**values | {"manifests": manifests, "failed": failed})


def _line(values: dict[str, Any]) -> TableLine:
    return TableLine(**values | {"cells": {key: _cell(cell) for key, cell in values["cells"].items()}})


def _cell(content: dict[str, Any]) -> AnyCell:
    values = dict(content)
    kind = CELL_KINDS[values.pop("kind")]
    if kind is Cell:
        values["interval"] = Interval(**values["interval"])
        values["seeds"] = SeedAccuracies(**values["seeds"] | {"each": tuple(values["seeds"]["each"])})
        values["folds"] = None if values["folds"] is None else MeanAndSd(**values["folds"])
        values["tests"] = {other: _test(test) for other, test in values["tests"].items()}
        values["runs"] = tuple(values["runs"])
    return kind(**values)


def _test(content: dict[str, Any]) -> PairedTest:
    values = dict(content)
    return PairedTest(only_this=values.pop("only_row"), **values)
