"""A table of results as CSV, Markdown and LaTeX."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from occfer.files import write_text
from occfer.tables.cell_texts import MARKS, details, grid, legend, published_grid, quantity
from occfer.tables.result_table import AnyCell, Cell, ResultTable, Speed
from occsynth.escapes import for_csv, for_latex, for_markdown

_CSV_ACCURACY = (
    "method", "title", "column", "seeds", "n", "correct", "accuracy", "low", "high", "interval", "seeds_sd",
    "folds", "folds_mean", "folds_sd", "uar", "uar_low", "uar_high", "macro_f1", "ece", "p_resnet",
    "p_holm_resnet", "p_resnet_long", "p_holm_resnet_long", "paper_percent", "note",
    "clean", "clean_low", "clean_high", "drop", "drop_low", "drop_high", "seen_n", "seen", "seen_low", "seen_high",
    "unseen_n", "unseen", "unseen_low", "unseen_high",
)  # fmt: skip
_CSV_SPEED = (
    "method", "title", "column", "median", "low", "high", "repeats", "batch_size", "parameters", "paper", "note",
)  # fmt: skip


def write_texts(folder: Path, table: ResultTable) -> list[Path]:
    """Writes `table.csv`, `table.md` and `table.tex` and returns them."""
    renderers: dict[str, Callable[[ResultTable], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
    written = []
    for ending, render in renderers.items():
        path = folder / f"table.{ending}"
        write_text(path, render(table))
        written.append(path)
    return written


def to_csv(table: ResultTable) -> str:
    """One line per method and column; accuracies as shares in [0, 1]; a cell without a value is empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_CSV_SPEED if table.quantity == "frames/s" else _CSV_ACCURACY)
    for line in table.lines:
        for column in table.columns:
            cell = line.cells[column.key]
            values = _csv_speed(cell) if table.quantity == "frames/s" else _csv_accuracy(cell)
            cells = (line.key, line.shown_title, column.key, *values)
            writer.writerow(map(for_csv, cells))
    return file.getvalue()


def _csv_accuracy(cell: AnyCell) -> tuple[object, ...]:
    if not isinstance(cell, Cell):
        return (*[None] * 20, cell.paper, getattr(cell, "reason", ""), *[None] * 14)
    folds, uar = cell.folds, cell.uar_interval
    tests = [getattr(cell.tests.get(name), part, None) for name in MARKS for part in ("p", "p_holm")]
    return (
        len(cell.seeds.each), cell.n, cell.correct, cell.accuracy, cell.interval.low, cell.interval.high,
        cell.interval.how, cell.seeds.sd, folds and folds.n, folds and folds.mean, folds and folds.sd, cell.uar,
        uar and uar.low, uar and uar.high, cell.macro_f1, cell.ece, *tests, cell.paper, cell.note, *_csv_more(cell),
    )  # fmt: skip


def _csv_more(cell: Cell) -> tuple[float | int | None, ...]:
    clean = cell.clean
    drop = (None,) * 6 if clean is None else (
        clean.accuracy, clean.interval.low, clean.interval.high,
        clean.drop, clean.drop_interval.low, clean.drop_interval.high,
    )  # fmt: skip
    parts = [
        (None,) * 4 if part is None else (part.n, part.accuracy, part.interval.low, part.interval.high)
        for part in (cell.seen, cell.unseen)
    ]
    return (*drop, *parts[0], *parts[1])


def _csv_speed(cell: AnyCell) -> tuple[object, ...]:
    if not isinstance(cell, Speed):
        return (*[None] * 6, cell.paper, getattr(cell, "reason", ""))
    return (cell.median, cell.low, cell.high, cell.repeats, cell.batch_size, cell.parameters, cell.paper, "")


def to_markdown(table: ResultTable) -> str:
    """The table, what its marks mean, the notes, and the details in a second table."""
    parts = [f"## {for_markdown(table.title)}", _markdown_table(*grid(table)), _legend(table)]
    parts += ["\n".join(f"- {for_markdown(note)}" for note in table.notes)]
    header, lines = details(table)
    if lines:
        parts += [_markdown_table(header, lines)]
    header, lines = published_grid(table)
    if lines:
        parts += [_markdown_table(header, lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _legend(table: ResultTable) -> str:
    return " ".join(f"{for_markdown(each)}." for each in (quantity(table), *legend(table)))


def _markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    shown_header, *shown_lines = (list(map(for_markdown, line)) for line in (header, *lines))
    ruled = [shown_header, ["---"] + ["---:"] * (len(header) - 1), *shown_lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)


def to_latex(table: ResultTable) -> str:
    r"""A `table` environment that needs no package; the notes are in its caption."""
    header, lines = grid(table)
    body = _latex_lines(header, lines)
    published = published_grid(table)
    beside = _latex_lines(*published) if published[1] else []
    caption = " ".join([f"{table.title}.", _without_escapes(_legend(table)), *(f"{note}." for note in table.notes)])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            *_tabular("l" + "r" * (len(header) - 1), body),
            *([r"\par\medskip", *_tabular("llrll", beside)] if beside else []),
            rf"\caption{{{for_latex(caption)}}}",
            r"\end{table}",
            "",
        ]
    )


def _latex_lines(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [" & ".join(map(for_latex, line)) + r" \\" for line in (header, *lines)]


def _tabular(kinds: str, body: Sequence[str]) -> list[str]:
    head = [rf"\begin{{tabular}}{{{kinds}}}", r"\hline", body[0], r"\hline"]
    return [*head, *body[1:], r"\hline", r"\end{tabular}"]


def _without_escapes(text: str) -> str:
    """The legend is escaped for Markdown, and LaTeX would print its backslashes."""
    return text.replace("\\", "")
