"""How the cells of a table read: the figure with its interval and marks, and the details beside it.

Accuracies are shown in percent; the paper's figures stand in columns of their own.
"""

from collections.abc import Iterator

from occfer.metrics.significance import shown_p
from occfer.tables.paper_methods import CONTROL
from occfer.tables.result_table import AnyCell, Cell, Missing, ResultTable, Speed, TableLine

SIGNIFICANT = 0.05
MARKS = {"resnet": "*", CONTROL: "†"}
LEGEND = {
    "*": "differs from resnet, p < 0.05 (exact McNemar, Holm over the lines)",
    "†": "differs from resnet-long, by the same test",
}
NONE = "-"


def grid(table: ResultTable) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the table as it is printed: the method, then for each column our figure and the paper's."""
    header = ["method"]
    for column in table.columns:
        header += [column.title, "paper"]
    lines = []
    for line in table.lines:
        texts = [line.shown_title]
        for column in table.columns:
            cell = line.cells[column.key]
            texts += [shown(cell), shown_paper(cell) or NONE]
        lines.append(texts)
    return header, lines


def shown(cell: AnyCell) -> str:
    """`97.80 [96.23, 98.71] *`: accuracy, its 95 % interval, marks; with several seeds `97.80 ± 0.31 [...]`."""
    if isinstance(cell, Missing):
        return f"{NONE} ({cell.reason})" if cell.reason else NONE
    if isinstance(cell, Speed):
        return f"{cell.median:.2f} [{cell.low:.2f}, {cell.high:.2f}]"
    bounds = f" [{percent(cell.interval.low)}, {percent(cell.interval.high)}]"
    marks = marks_of(cell)
    note = f" ({cell.note})" if cell.note else ""
    return shown_accuracy(cell) + bounds + (f" {marks}" if marks else "") + note


def shown_accuracy(cell: Cell) -> str:
    """`97.80`; with several seeds `97.80 ± 0.31`."""
    return with_sd(cell.accuracy, cell.seeds.sd)


def with_sd(mean: float, sd: float | None) -> str:
    """A mean share in percent, with its deviation where it is known.

    >>> with_sd(0.978, 0.0031), with_sd(0.978, None)
    ('97.80 ± 0.31', '97.80')
    """
    return percent(mean) if sd is None else f"{percent(mean)} ± {percent(sd)}"


def marks_of(cell: Cell) -> str:
    """The marks of the methods from which a cell's method differs significantly."""
    return "".join(
        mark for other, mark in MARKS.items() if other in cell.tests and cell.tests[other].p_holm < SIGNIFICANT
    )


def shown_paper(cell: AnyCell) -> str:
    """The paper's figure as printed; empty where it has none."""
    return "" if cell.paper is None else f"{cell.paper:.2f}"


def percent(share: float) -> str:
    """A share in percent, with two digits after the point."""
    return f"{100 * share:.2f}"


def details(table: ResultTable) -> tuple[list[str], list[list[str]]]:
    """Header and lines of everything beside the accuracy, one line per method and column; no lines for speeds."""
    header = [
        "method", "on", "right answers", "folds", "UAR", "macro-F1", "ECE",
        "p against resnet (Holm)", "p against resnet-long (Holm)",
    ]  # fmt: skip
    return header, [_detail(line, title, cell) for line, title, cell in each_cell(table) if isinstance(cell, Cell)]


def _detail(line: TableLine, title: str, cell: Cell) -> list[str]:
    tests = [
        f"{shown_p(cell.tests[other].p)} ({shown_p(cell.tests[other].p_holm)})" if other in cell.tests else NONE
        for other in MARKS
    ]
    seeds = len(cell.seeds.each)
    answers = f"{cell.correct}/{cell.n * seeds}" + (f" over {seeds} seeds" if seeds > 1 else "")
    folds = NONE if cell.folds is None else f"{with_sd(cell.folds.mean, cell.folds.sd)} over {cell.folds.n}"
    shares = (percent(cell.uar), percent(cell.macro_f1))
    return [line.shown_title, title, answers, folds, *shares, f"{cell.ece:.3f}", *tests]


def each_cell(table: ResultTable) -> Iterator[tuple[TableLine, str, AnyCell]]:
    """Every cell with its line and the title of its column, line by line."""
    for line in table.lines:
        for column in table.columns:
            yield line, column.title, line.cells[column.key]
