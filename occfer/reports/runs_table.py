"""Runs and evaluations as a table of results: a line per run, a column per database and mode."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occfer.evaluation.result_folders import Result
from occfer.metrics.clean_result import read_clean_result
from occfer.metrics.groups import MODE_ORDER, by_numbers
from occfer.metrics.predictions import Predictions
from occfer.runs.model_info import data_facts
from occfer.tables.cells import MethodPredictions
from occfer.tables.columns import ColumnEntry, adjusted, make_column
from occfer.tables.lines import by_clean_landmarks, control_note, is_untrained, make_line
from occfer.tables.paper import paper_figure
from occfer.tables.result_table import AnyCell, Column, Provenance, ResultTable, TableLine

KEY = "runs"
DatabaseAndMode = tuple[str, str]
# Of an evaluation with `--view clean`, in place of the mode's own name.
CLEAN = ", clean faces"


@dataclass(frozen=True, slots=True, eq=False)
class _RunLine:
    """A result, and its predictions by what it was tested on."""

    result: Result
    predictions: dict[DatabaseAndMode, MethodPredictions]


def runs_table(results: Sequence[Result], relative_to: Path) -> ResultTable:
    """The accuracies of some results, with intervals, paired tests and the paper's figures.

    A cell counts the pairs that its own model was tested on; a paired test counts the pairs that both models were
    tested on.

    Args:
        results: at least one.
        relative_to: the folder to which the cells' runs are relative.
    """
    lines = [_RunLine(result, _by_tested(result)) for result in results]
    tested = sorted({each for line in lines for each in line.predictions}, key=_order)
    columns = {f"{database}-{mode}": _column(lines, (database, mode), relative_to) for database, mode in tested}
    methods = Counter(line.result.method for line in lines)
    table = ResultTable(
        key=KEY,
        title="Runs",
        database=",".join(dict.fromkeys(database for database, _ in tested)),
        quick=False,
        quantity="accuracy",
        columns=tuple(Column(f"{database}-{mode}", f"{database}, {mode}") for database, mode in tested),
        lines=tuple(
            _line(line.result, methods, {key: cells[index] for key, cells in columns.items()})
            for index, line in enumerate(lines)
        ),
        notes=control_note(methods),
        provenance=Provenance(command="", versions={}, device=""),
    )
    return adjusted(table)


def _line(result: Result, methods: Counter[str], cells: dict[str, AnyCell]) -> TableLine:
    several = methods[result.method] > 1
    return make_line(
        result.method,
        cells,
        title_end=f" ({result.folder})" if several else "",
        untrained=is_untrained(result.method, result.config),
        clean_landmarks=by_clean_landmarks(result.method, result.config),
    )


def _order(tested: DatabaseAndMode) -> tuple[str, int, list[tuple[str, int]]]:
    database, mode = tested
    return (database, MODE_ORDER.index(mode) if mode in MODE_ORDER else len(MODE_ORDER), by_numbers(mode))


def _by_tested(result: Result) -> dict[DatabaseAndMode, MethodPredictions]:
    found, clean = result.predictions, read_clean_result(result.folder)
    note = _fold_note(result)
    end = CLEAN if result.shows_clean_faces else ""
    return {
        (database, mode + end): MethodPredictions(
            {0: _by_fold(result, _on(found, (database, mode)))},
            (result.folder,),
            note,
            {} if clean is None else {0: _by_fold(result, _on(clean, (database, mode)))},
        )
        for database, mode in {(pair.database, pair.mode) for pair in found.pairs}
    }


def _on(predictions: Predictions, tested: DatabaseAndMode) -> Predictions:
    return predictions.where(np.array([(pair.database, pair.mode) == tested for pair in predictions.pairs]))


def _by_fold(result: Result, found: Predictions) -> dict[int | None, Predictions]:
    """The predictions of each fold where every fold has a model of its own; else all of them under None."""
    folds = [pair.fold for pair in found.pairs]
    if len(result.models) < 2 or None in folds:
        return {None: found}
    return {fold: found.where(np.array([each == fold for each in folds])) for fold in sorted(set(folds), key=str)}


def _fold_note(result: Result) -> str:
    fold = data_facts(result.data, str(result.folder)).fold
    return f"fold {fold}" if len(result.models) == 1 and fold is not None else ""


def _column(lines: Sequence[_RunLine], tested: DatabaseAndMode, relative_to: Path) -> list[AnyCell]:
    entries = [
        ColumnEntry(
            line.result.method,
            line.predictions.get(tested, ""),
            _paper_figure(line.result.method, tested),
            untrained=is_untrained(line.result.method, line.result.config),
        )
        for line in lines
    ]
    return make_column(entries, relative_to)


def _paper_figure(method: str, tested: DatabaseAndMode) -> float | None:
    """The paper's figure for a method that is trained and tested on one database, or tested on FED-RO."""
    database, mode = tested
    if mode.endswith(CLEAN):
        return None
    if database == "ck+":
        return paper_figure("table2", mode, method)
    if mode == "random":
        return paper_figure("table1", database, method)
    return paper_figure("table3", database, method)
