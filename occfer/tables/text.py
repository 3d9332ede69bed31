"""A table of results as CSV, Markdown and LaTeX; accuracies in percent, the paper's figures in columns of their own."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from occfer.metrics.significance import shown_p
from occfer.tables.result_table import AnyCell, Cell, Missing, ResultTable, Speed, TableRow

SIGNIFICANT = 0.05
MARKS = {"resnet": "*", "resnet-long": "†"}
LEGEND = {
    "*": "differs from resnet, p < 0.05 (exact McNemar, Holm over the rows)",
    "†": "differs from resnet-long, by the same test",
}
NONE = "-"

_CSV_ACCURACY = (
    "method", "title", "column", "seeds", "n", "correct", "accuracy", "low", "high", "interval", "seeds_sd",
    "folds", "folds_mean", "folds_sd", "uar", "macro_f1", "ece", "p_resnet", "p_holm_resnet", "p_resnet_long",
    "p_holm_resnet_long", "paper_percent", "note",
)  # fmt: skip
_CSV_SPEED = (
    "method", "title", "column", "median", "low", "high", "repeats", "batch_size", "parameters", "paper", "note",
)  # fmt: skip
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "†": r"\dag{}", "±": r"$\pm$",
}  # fmt: skip


def write_texts(folder: Path, table: ResultTable) -> list[Path]:
    """Writes `table.csv`, `table.md` and `table.tex` and returns them."""
    renderers: dict[str, Callable[[ResultTable], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
    written = []
    for ending, render in renderers.items():
        path = folder / f"table.{ending}"
        path.write_text(render(table), encoding="utf-8")
        written.append(path)
    return written


def grid(table: ResultTable) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the table as it is printed: a method, then for each column our figure and the paper's."""
    header = ["method"]
    for column in table.columns:
        header += [column.title, "paper"]
    lines = []
    for row in table.rows:
        line = [row.shown_title]
        for column in table.columns:
            cell = row.cells[column.key]
            line += [shown(cell), _paper(cell)]
        lines.append(line)
    return header, lines


def shown(cell: AnyCell) -> str:
    """`97.80 [96.23, 98.71] *`: accuracy, its 95 % interval, marks; with several seeds `97.80 ± 0.31 [...]`."""
    if isinstance(cell, Missing):
        return f"{NONE} ({cell.reason})" if cell.reason else NONE
    if isinstance(cell, Speed):
        return f"{cell.median:.2f} [{cell.low:.2f}, {cell.high:.2f}]"
    deviation = "" if cell.seeds.sd is None else f" ± {_percent(cell.seeds.sd)}"
    bounds = f" [{_percent(cell.interval.low)}, {_percent(cell.interval.high)}]"
    marks = "".join(
        mark for name, mark in MARKS.items() if name in cell.tests and cell.tests[name].p_holm < SIGNIFICANT
    )
    note = f" ({cell.note})" if cell.note else ""
    return _percent(cell.accuracy) + deviation + bounds + (f" {marks}" if marks else "") + note


def details(table: ResultTable) -> tuple[list[str], list[list[str]]]:
    """Header and lines of everything beside the accuracy, one line a row and column; no lines for speeds."""
    header = [
        "method", "on", "right answers", "folds", "UAR", "macro-F1", "ECE",
        "p against resnet (Holm)", "p against resnet-long (Holm)",
    ]  # fmt: skip
    lines = [_detail(row, title, cell) for row, title, cell in _cells(table) if isinstance(cell, Cell)]
    return header, lines


def _detail(row: TableRow, title: str, cell: Cell) -> list[str]:
    tests = [
        f"{shown_p(cell.tests[name].p)} ({shown_p(cell.tests[name].p_holm)})" if name in cell.tests else NONE
        for name in MARKS
    ]
    seeds = len(cell.seeds.each)
    answers = f"{cell.correct}/{cell.n * seeds}" + (f" over {seeds} seeds" if seeds > 1 else "")
    folds = NONE
    if cell.folds is not None:
        deviation = "" if cell.folds.sd is None else f" ± {_percent(cell.folds.sd)}"
        folds = f"{_percent(cell.folds.mean)}{deviation} over {cell.folds.n}"
    return [
        row.shown_title,
        title,
        answers,
        folds,
        _percent(cell.uar),
        _percent(cell.macro_f1),
        f"{cell.ece:.3f}",
        *tests,
    ]


def to_csv(table: ResultTable) -> str:
    """One line a row and column, shares in [0, 1], empty where there is nothing; the header names the fields."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_CSV_SPEED if table.measure == "frames/s" else _CSV_ACCURACY)
    for row in table.rows:
        for column in table.columns:
            cell = row.cells[column.key]
            values = _csv_speed(cell) if table.measure == "frames/s" else _csv_accuracy(cell)
            writer.writerow("" if value is None else value for value in (row.key, row.shown_title, column.key, *values))
    return file.getvalue()


def _csv_accuracy(cell: AnyCell) -> tuple[object, ...]:
    if not isinstance(cell, Cell):
        return (*[None] * 18, cell.paper, getattr(cell, "reason", ""))
    folds = cell.folds
    tests = [getattr(cell.tests.get(name), part, None) for name in MARKS for part in ("p", "p_holm")]
    return (
        len(cell.seeds.each), cell.n, cell.correct, cell.accuracy, cell.interval.low, cell.interval.high,
        cell.interval.how, cell.seeds.sd, folds and folds.n, folds and folds.mean, folds and folds.sd, cell.uar,
        cell.macro_f1, cell.ece, *tests, cell.paper, cell.note,
    )  # fmt: skip


def _csv_speed(cell: AnyCell) -> tuple[object, ...]:
    if not isinstance(cell, Speed):
        return (*[None] * 6, cell.paper, getattr(cell, "reason", ""))
    return (cell.median, cell.low, cell.high, cell.repeats, cell.batch_size, cell.parameters, cell.paper, "")


def to_markdown(table: ResultTable) -> str:
    """The table, what its marks mean, the notes, and the other figures in a second table."""
    parts = [f"## {_markdown(table.title)}", _markdown_table(*grid(table)), _legend(table)]
    parts += ["\n".join(f"- {_markdown(note)}" for note in table.notes)]
    header, lines = details(table)
    if lines:
        parts += [_markdown_table(header, lines)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _legend(table: ResultTable) -> str:
    what = (
        "Frames per second: median [lowest, highest]."
        if table.measure == "frames/s"
        else "Accuracy, % [95 % interval]."
    )
    said = "".join(shown(cell) for _, _, cell in _cells(table) if isinstance(cell, Cell))
    marks = [f"{_markdown(mark)} {text}." for mark, text in LEGEND.items() if mark in said]
    return " ".join([what, *marks])


def _markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    ruled = [header, ["---"] + ["---:"] * (len(header) - 1), *([_markdown(text) for text in line] for line in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]#])", r"\\\1", " ".join(text.split()))


def to_latex(table: ResultTable) -> str:
    r"""A `table` environment that needs no package; the notes stand in the caption."""
    header, lines = grid(table)
    rows = [" & ".join(map(_latex, line)) + r" \\" for line in (header, *lines)]
    caption = " ".join([f"{table.title}.", _plain(_legend(table)), *(f"{note}." for note in table.notes)])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'rr' * len(table.columns)}}}",
            r"\hline",
            rows[0],
            r"\hline",
            *rows[1:],
            r"\hline",
            r"\end{tabular}",
            rf"\caption{{{_latex(caption)}}}",
            r"\end{table}",
            "",
        ]
    )


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))


def _plain(text: str) -> str:
    return text.replace("\\", "")


def _cells(table: ResultTable) -> Iterator[tuple[TableRow, str, AnyCell]]:
    for row in table.rows:
        for column in table.columns:
            yield row, column.title, row.cells[column.key]


def _paper(cell: AnyCell) -> str:
    return NONE if cell.paper is None else f"{cell.paper:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
