"""A table of results as the page shows it: the texts of each cell, and what its filters and its order go by."""

from collections.abc import Sequence
from dataclasses import dataclass

from occfer.tables.cell_texts import LEGEND, NONE, details, each_cell, marks_of, shown_accuracy, shown_paper
from occfer.tables.lines import control_note, kind_of
from occfer.tables.paper_methods import CONTROL
from occfer.tables.result_table import AnyCell, Cell, Column, Missing, ResultTable, Speed, TableLine

# The choices of the filter, with the kinds of methods that each shows.
FILTERS = {
    "guided methods, with their control": ("plain", "guided", "control"),
    "baselines": ("baseline",),
    "references": ("reference",),
}


@dataclass(frozen=True, slots=True)
class CellView:
    """One cell, with the paper's figure, which the page shows in a column of its own.

    Attributes:
        column: its column's key.
        order: the number that it is sorted by; empty for none.
        main, interval, small: our figure, its interval, and lines in small print.
        paper: the paper's figure as printed; empty if it has none.
    """

    column: str
    order: str
    main: str
    interval: str
    small: tuple[str, ...]
    paper: str


@dataclass(frozen=True, slots=True)
class LineView:
    """One line; the filter goes by `kind`, the search looks through `words`."""

    title: str
    kind: str
    words: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True, slots=True)
class TableView:
    """A table as the page shows it.

    Attributes:
        anchor: the id of its section in the page.
        title, what: its heading, and what its figures are.
        columns: what is tested on.
        in_paper: keys of the columns for which the paper has figures.
        filters: choice to the kinds that it shows, of those that occur.
        lines: in the table's order.
        legend: what the marks mean.
        notes: what a reader must know.
        detail_header, details: everything beside the accuracy.
    """

    anchor: str
    title: str
    what: str
    columns: tuple[Column, ...]
    in_paper: frozenset[str]
    filters: tuple[tuple[str, str], ...]
    lines: tuple[LineView, ...]
    legend: tuple[str, ...]
    notes: tuple[str, ...]
    detail_header: tuple[str, ...]
    details: tuple[tuple[str, ...], ...]


def table_view(table: ResultTable, anchor: str, folder: str) -> TableView:
    """A table for the page.

    Args:
        table: of results.
        anchor: the id of its section in the page.
        folder: where it lies as CSV, Markdown and LaTeX.
    """
    control = {line.key: line for line in table.lines}.get(CONTROL)
    lines = tuple(_line(line, table, control) for line in table.lines)
    header, detail_lines = details(table)
    is_speed = table.quantity == "frames/s"
    quantity = (
        "Frames per second: median, and lowest to highest."
        if is_speed
        else "Accuracy in percent with its 95 % interval."
    )
    in_paper = {cell.column for line in lines for cell in line.cells if cell.paper}
    beside = "The paper's figures stand in columns of their own." if in_paper else "The paper has no such figures."
    used = {mark for line in lines for cell in line.cells for mark in LEGEND if mark in cell.main}
    kinds = {line.kind for line in lines}
    # a table of `occfer reproduce` has the note on the control already, one of an earlier version in other words
    has_control_note = is_speed or any(note.startswith(f"The control {CONTROL} ") for note in table.notes)
    missing = () if has_control_note else control_note(line.key for line in table.lines)
    return TableView(
        anchor=anchor,
        title=table.title,
        what=f"{quantity} {beside} As CSV, Markdown and LaTeX: {folder}",
        columns=table.columns,
        in_paper=frozenset(in_paper),
        filters=tuple((name, " ".join(shown)) for name, shown in FILTERS.items() if kinds & set(shown)),
        lines=lines,
        legend=tuple(f"{mark} {text}" for mark, text in LEGEND.items() if mark in used),
        notes=tuple(dict.fromkeys((*table.notes, *missing))),
        detail_header=tuple(header),
        details=tuple(tuple(line) for line in detail_lines),
    )


def _line(line: TableLine, table: ResultTable, control: TableLine | None) -> LineView:
    kind = kind_of(line.key)
    beside = control.cells if control is not None and kind == "guided" else {}
    cells = tuple(_cell(column, line.cells[column.key], beside.get(column.key)) for column in table.columns)
    return LineView(line.shown_title, kind, f"{line.key} {line.shown_title}".lower(), cells)


def _cell(column: Column, cell: AnyCell, control: AnyCell | None) -> CellView:
    paper = shown_paper(cell)
    if isinstance(cell, Missing):
        return CellView(column.key, "", NONE, "", (cell.reason,) if cell.reason else (), paper)
    if isinstance(cell, Speed):
        interval = f"{cell.low:.2f} to {cell.high:.2f}"
        small = (f"batch {cell.batch_size}, {cell.repeats} repeats", f"{cell.parameters:,} parameters")
        return CellView(column.key, str(cell.median), f"{cell.median:.2f}", interval, small, paper)
    marks = marks_of(cell)
    main = shown_accuracy(cell) + (f" {marks}" if marks else "")
    interval = f"{100 * cell.interval.low:.1f} to {100 * cell.interval.high:.1f}"
    return CellView(column.key, str(cell.accuracy), main, interval, tuple(_small(cell, control)), paper)


def _small(cell: Cell, control: AnyCell | None) -> list[str]:
    seeds = len(cell.seeds.each)
    lines = [f"n = {cell.n}" + (f", {seeds} seeds" if seeds > 1 else "") + (f", {cell.note}" if cell.note else "")]
    if isinstance(control, Cell):
        lines.append(f"control {100 * control.accuracy:.2f}, {100 * (cell.accuracy - control.accuracy):+.2f}")
    return lines


def interval_warnings(tables: Sequence[ResultTable]) -> list[str]:
    """What makes intervals of some tables too narrow, each reason once: `several answers on each of only 4 ...`."""
    cells = (cell for table in tables for _, _, cell in each_cell(table))
    reasons = (cell.interval.how.partition("too narrow for ")[2] for cell in cells if isinstance(cell, Cell))
    return [reason for reason in dict.fromkeys(reasons) if reason]
