"""Runs and evaluations as a table of results: a row a run, a column a database and mode, like `occfer reproduce`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from occfer.evaluation.result_folders import Result
from occfer.method_table import METHOD_TABLE
from occfer.metrics.groups import MODE_ORDER
from occfer.metrics.predictions import Predictions
from occfer.metrics.significance import holm
from occfer.tables.cells import AGAINST, Answers, make_cell, paired_test
from occfer.tables.paper import paper_figure
from occfer.tables.paper_rows import CONTROL, REFERENCES, control_note, is_trial
from occfer.tables.result_table import AnyCell, Cell, Column, Missing, PairedTest, Provenance, ResultTable, TableRow

KEY = "runs"
Tested = tuple[str, str]  # database and mode


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A result, and its answers by what they are answers to."""

    result: Result
    answers: dict[Tested, Answers]


def runs_table(results: Sequence[Result], relative_to: Path) -> ResultTable:
    """The accuracies of some results, with intervals, paired tests and the paper's figures.

    A cell's pairs are those that its own model was tested on; a test is on the pairs that both models were tested on,
    against the first result of `resnet` and of `resnet-long` that shares some, and adjusted over the rows of a column.

    Args:
        results: at least one.
        relative_to: the folder to which the cells' runs are relative.
    """
    rows = [_Row(result, _answers(result)) for result in results]
    tested = sorted({each for row in rows for each in row.answers}, key=_place)
    cells = {each: _column(rows, each, relative_to) for each in tested}
    methods = Counter(row.result.method for row in rows)
    return ResultTable(
        key=KEY,
        title="Runs",
        database=",".join(dict.fromkeys(database for database, _ in tested)),
        quick=False,
        measure="accuracy",
        columns=tuple(Column(f"{database}-{mode}", f"{database}, {mode}") for database, mode in tested),
        rows=tuple(
            _table_row(row.result, methods, {f"{each[0]}-{each[1]}": cells[each][place] for each in tested})
            for place, row in enumerate(rows)
        ),
        notes=control_note(methods),
        provenance=Provenance(command="", versions={}, device=""),
    )


def title_of(method: str, settings: Mapping[str, Any] | None = None) -> str:
    """How reports name a method: a reconstruction is called one, and what was not trained with these settings, too."""
    row = METHOD_TABLE.get(method)
    title = method if row is None else row.shown_title
    return f"{title} (not trained)" if is_trial(method, settings or {}) else title


def _table_row(result: Result, methods: Counter[str], cells: dict[str, AnyCell]) -> TableRow:
    row = METHOD_TABLE.get(result.method)
    title = result.method if row is None else row.title
    return TableRow(
        key=result.method,
        title=f"{title} ({result.folder})" if methods[result.method] > 1 else title,
        cells=cells,
        reconstruction=row is not None and row.reconstruction,
        not_trained=is_trial(result.method, result.config),
        reference=result.method == CONTROL or result.method in REFERENCES,
    )


def _place(tested: Tested) -> tuple[str, int, str]:
    database, mode = tested
    return (database, MODE_ORDER.index(mode) if mode in MODE_ORDER else len(MODE_ORDER), mode)


def _answers(result: Result) -> dict[Tested, Answers]:
    """By database and mode, one part a fold for the answers of several models."""
    found = result.predictions
    kinds = {(pair.database, pair.mode) for pair in found.pairs}
    return {kind: Answers({0: _parts(result, _of(found, kind))}, (result.folder,), _note(result)) for kind in kinds}


def _of(predictions: Predictions, kind: Tested) -> Predictions:
    return predictions.where(np.array([(pair.database, pair.mode) == kind for pair in predictions.pairs]))


def _parts(result: Result, found: Predictions) -> dict[int | None, Predictions]:
    folds = [pair.fold for pair in found.pairs]
    if len(result.models) < 2 or None in folds:
        return {None: found}
    return {fold: found.where(np.array([each == fold for each in folds])) for fold in sorted(set(folds), key=str)}


def _note(result: Result) -> str:
    fold = result.data.get("fold")
    return f"fold {fold}" if len(result.models) == 1 and fold is not None else ""


def _column(rows: Sequence[_Row], tested: Tested, relative_to: Path) -> list[AnyCell]:
    """The cells of a column, one a row."""
    cells: list[AnyCell] = [
        make_cell(row.answers[tested], _paper(row.result.method, tested), relative_to)
        if tested in row.answers
        else Missing("", _paper(row.result.method, tested))
        for row in rows
    ]
    tests: list[dict[str, PairedTest]] = [{} for _ in rows]
    for other in AGAINST:
        found = {place: test for place in range(len(rows)) if (test := _test(rows, place, other, tested)) is not None}
        for (place, test), p_holm in zip(found.items(), holm([test.p for test in found.values()]), strict=True):
            tests[place][other] = replace(test, p_holm=p_holm)
    return [
        replace(cell, tests=own) if isinstance(cell, Cell) else cell for cell, own in zip(cells, tests, strict=True)
    ]


def _test(rows: Sequence[_Row], place: int, other: str, tested: Tested) -> PairedTest | None:
    """A row against the first result of another method that shares pairs with it."""
    row = rows[place]
    if tested not in row.answers or row.result.method == other or not _comparable(row.result):
        return None
    references = [each.answers[tested] for each in rows if each.result.method == other and tested in each.answers]
    tests = (paired_test(row.answers[tested], reference) for reference in references)
    return next((test for test in tests if test is not None), None)


def _comparable(result: Result) -> bool:
    row = METHOD_TABLE.get(result.method)
    in_tests = row is not None and row.comparable and result.method not in REFERENCES
    return in_tests and not is_trial(result.method, result.config)


def _paper(method: str, tested: Tested) -> float | None:
    """The paper's figure for a method on a database within itself, or on FED-RO."""
    database, mode = tested
    if database == "ck+":
        return paper_figure("table2", mode, method)
    if mode == "random":
        return paper_figure("table1", database, method)
    return paper_figure("table3", database, method)
