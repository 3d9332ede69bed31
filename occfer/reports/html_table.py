"""A table of results as the page shows it: what stands in each cell, and what its filters and its order go by."""

from collections.abc import Sequence
from dataclasses import dataclass

from occfer.tables.paper_rows import CONTROL, control_note, kind_of
from occfer.tables.result_table import AnyCell, Cell, Column, Missing, ResultTable, Speed, TableRow
from occfer.tables.text import LEGEND, MARKS, SIGNIFICANT, details

# What a filter's choice shows, by the kinds of rows.
FILTERS = {
    "guided methods, with their control": ("plain", "guided", "control"),
    "baselines": ("baseline",),
    "references": ("reference",),
}


@dataclass(frozen=True, slots=True)
class CellView:
    """One cell, with the paper's figure that stands in a column of its own.

    Attributes:
        column: its column's key.
        order: what it is sorted by; empty for nothing.
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
class RowView:
    """One row; `kind` is what the filter goes by, `words` what the search looks in."""

    title: str
    kind: str
    words: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True, slots=True)
class TableView:
    """A table as the page shows it.

    Attributes:
        anchor: its place in the page.
        title, what: heading, and what its figures are.
        columns: what is tested on.
        in_paper: keys of columns for which the paper has figures.
        filters: choice to the kinds that it shows, of those that are there.
        rows: in the table's order.
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
    rows: tuple[RowView, ...]
    legend: tuple[str, ...]
    notes: tuple[str, ...]
    detail_header: tuple[str, ...]
    details: tuple[tuple[str, ...], ...]


def table_view(table: ResultTable, anchor: str, file: str) -> TableView:
    """A table for the page.

    Args:
        table: of results.
        anchor: its place in the page.
        file: where it lies as CSV, Markdown and LaTeX.
    """
    controls = {row.key: row for row in table.rows}.get(CONTROL)
    rows = tuple(_row(row, table, controls) for row in table.rows)
    header, lines = details(table)
    is_speed = table.measure == "frames/s"
    what = (
        "Frames per second: median, and lowest to highest."
        if is_speed
        else "Accuracy in percent with its 95 % interval."
    )
    in_paper = {cell.column for row in rows for cell in row.cells if cell.paper}
    beside = " The paper's figures stand in columns of their own." if in_paper else " The paper has no such figures."
    used = {mark for row in rows for cell in row.cells for mark in LEGEND if mark in cell.main}
    kinds = {row.kind for row in rows}
    return TableView(
        anchor=anchor,
        title=table.title,
        what=f"{what}{beside} As CSV, Markdown and LaTeX: {file}",
        columns=table.columns,
        in_paper=frozenset(in_paper),
        filters=tuple((name, " ".join(shown)) for name, shown in FILTERS.items() if kinds & set(shown)),
        rows=rows,
        legend=tuple(f"{mark} {text}" for mark, text in LEGEND.items() if mark in used),
        notes=tuple(dict.fromkeys((*table.notes, *(() if is_speed else control_note(row.key for row in table.rows))))),
        detail_header=tuple(header),
        details=tuple(tuple(line) for line in lines),
    )


def _row(row: TableRow, table: ResultTable, control: TableRow | None) -> RowView:
    kind = kind_of(row.key)
    beside = control.cells if control is not None and kind == "guided" else {}
    cells = tuple(_cell(column, row.cells[column.key], beside.get(column.key)) for column in table.columns)
    return RowView(row.shown_title, kind, f"{row.key} {row.shown_title}".lower(), cells)


def _cell(column: Column, cell: AnyCell, control: AnyCell | None) -> CellView:
    paper = "" if cell.paper is None else f"{cell.paper:.2f}"
    if isinstance(cell, Missing):
        return CellView(column.key, "", "-", "", (cell.reason,) if cell.reason else (), paper)
    if isinstance(cell, Speed):
        interval = f"{cell.low:.2f} to {cell.high:.2f}"
        small = (f"batch {cell.batch_size}, {cell.repeats} repeats", f"{cell.parameters:,} parameters")
        return CellView(column.key, str(cell.median), f"{cell.median:.2f}", interval, small, paper)
    marks = [mark for name, mark in MARKS.items() if name in cell.tests and cell.tests[name].p_holm < SIGNIFICANT]
    deviation = "" if cell.seeds.sd is None else f" ± {100 * cell.seeds.sd:.2f}"
    main = f"{100 * cell.accuracy:.2f}{deviation}{' ' if marks else ''}{''.join(marks)}"
    interval = f"{100 * cell.interval.low:.1f} to {100 * cell.interval.high:.1f}"
    return CellView(column.key, str(cell.accuracy), main, interval, tuple(_small(cell, control)), paper)


def _small(cell: Cell, control: AnyCell | None) -> list[str]:
    seeds = len(cell.seeds.each)
    lines = [f"n = {cell.n}" + (f", {seeds} seeds" if seeds > 1 else "") + (f", {cell.note}" if cell.note else "")]
    if isinstance(control, Cell):
        lines.append(f"control {100 * control.accuracy:.2f}, {100 * (cell.accuracy - control.accuracy):+.2f}")
    return lines


def doubts(tables: Sequence[ResultTable]) -> list[str]:
    """What the intervals of some tables say against themselves, each once: `several answers on each of only 4 ...`."""
    cells = (cell for table in tables for row in table.rows for cell in row.cells.values())
    said = (cell.interval.how.partition("too narrow for ")[2] for cell in cells if isinstance(cell, Cell))
    return [doubt for doubt in dict.fromkeys(said) if doubt]
