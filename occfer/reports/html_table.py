"""A table of results as the page shows it: the texts of each cell, and what its filters and its order go by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from occfer.metrics.intervals import is_old
from occfer.tables.cell_texts import (
    NONE,
    details,
    each_cell,
    legend,
    marks_of,
    published_grid,
    shown_accuracy,
    shown_clean,
    shown_paper,
    with_clean,
)
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
        clean, drop: on the same faces without occlusion, and the drop from there, each with its interval.
        clean_order, drop_order: the numbers that these are sorted by.
    """

    column: str
    order: str
    main: str
    interval: str
    small: tuple[str, ...]
    paper: str
    clean: str = NONE
    drop: str = NONE
    clean_order: str = ""
    drop_order: str = ""


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
        with_clean: keys of the columns of which the clean faces were tested too.
        filters: choice to the kinds that it shows, of those that occur.
        lines: in the table's order.
        legend: what the marks mean.
        notes: what a reader must know.
        detail_header, details: everything beside the accuracy.
        published_header, published: what others have published for the same images.
    """

    anchor: str
    title: str
    what: str
    columns: tuple[Column, ...]
    in_paper: frozenset[str]
    with_clean: frozenset[str]
    filters: tuple[tuple[str, str], ...]
    lines: tuple[LineView, ...]
    legend: tuple[str, ...]
    notes: tuple[str, ...]
    detail_header: tuple[str, ...]
    details: tuple[tuple[str, ...], ...]
    published_header: tuple[str, ...]
    published: tuple[tuple[str, ...], ...]


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
    published_header, published = published_grid(table)
    is_speed = table.quantity == "frames/s"
    quantity = (
        "Frames per second: median, and lowest to highest."
        if is_speed
        else "Accuracy in percent with its 95 % interval (Wilson's, on n divided by the design effect)."
    )
    in_paper = {cell.column for line in lines for cell in line.cells if cell.paper}
    beside = "The paper's figures stand in columns of their own." if in_paper else "The paper has no such figures."
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
        with_clean=with_clean(table),
        filters=tuple((name, " ".join(shown)) for name, shown in FILTERS.items() if kinds & set(shown)),
        lines=lines,
        legend=tuple(legend(table)),
        notes=tuple(dict.fromkeys((*table.notes, *missing))),
        detail_header=tuple(header),
        details=tuple(tuple(line) for line in detail_lines),
        published_header=tuple(published_header),
        published=tuple(tuple(line) for line in published),
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
    found = CellView(column.key, str(cell.accuracy), main, interval, tuple(_small(cell, control)), paper)
    if cell.clean is None:
        return found
    clean, drop = shown_clean(cell)
    return replace(found, clean=clean, drop=drop, clean_order=str(cell.clean.accuracy), drop_order=str(cell.clean.drop))


def _small(cell: Cell, control: AnyCell | None) -> list[str]:
    seeds = len(cell.seeds.each)
    lines = [f"n = {cell.n}" + (f", {seeds} seeds" if seeds > 1 else "") + (f", {cell.note}" if cell.note else "")]
    if isinstance(control, Cell):
        lines.append(f"control {100 * control.accuracy:.2f}, {100 * (cell.accuracy - control.accuracy):+.2f}")
    return lines


def has_old_intervals(tables: Sequence[ResultTable]) -> bool:
    """Whether some tables show intervals of version 0.1, which are too narrow close to 100 % and for few subjects."""
    cells = (cell for table in tables for _, _, cell in each_cell(table))
    return any(isinstance(cell, Cell) and is_old(cell.interval) for cell in cells)
