"""How the cells of a table read: the figure with its interval and marks, and the details beside it.

Accuracies are shown in percent; the paper's figures stand in columns of their own.
"""

from collections.abc import Iterator

from occfer.metrics.intervals import Interval
from occfer.metrics.significance import shown_p
from occfer.tables.paper_methods import CONTROL
from occfer.tables.result_table import AnyCell, Cell, Missing, PartAccuracy, ResultTable, Speed, TableLine

SIGNIFICANT = 0.05
MARKS = {"resnet": "*", CONTROL: "†"}
NONE = "-"
CLEAN_HEADER = ("clean", "drop")
CLEAN_LEGEND = (
    "clean: the same faces without occlusion; drop: from there to the occluded ones, with the interval of pairs"
)


def grid(table: ResultTable) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the table as it is printed.

    After the method, each column has our figure and the paper's, and where the same faces were tested without occlusion
    our figure there and the drop.
    """
    header = ["method"]
    beside = with_clean(table)
    for column in table.columns:
        header += [column.title, "paper", *(CLEAN_HEADER if column.key in beside else ())]
    lines = []
    for line in table.lines:
        texts = [line.shown_title]
        for column in table.columns:
            cell = line.cells[column.key]
            texts += [shown(cell), shown_paper(cell) or NONE, *(shown_clean(cell) if column.key in beside else ())]
        lines.append(texts)
    return header, lines


def with_clean(table: ResultTable) -> frozenset[str]:
    """The keys of the columns of which some method was tested on the clean faces too."""
    cells = ((column.key, line.cells[column.key]) for line in table.lines for column in table.columns)
    return frozenset(key for key, cell in cells if isinstance(cell, Cell) and cell.clean is not None)


def shown_clean(cell: AnyCell) -> tuple[str, str]:
    """The accuracy on the clean faces and the drop from there, each with its 95 % interval; `-` where not tested."""
    if not isinstance(cell, Cell) or cell.clean is None:
        return NONE, NONE
    clean = cell.clean
    return (
        f"{percent(clean.accuracy)} {_bounds(clean.interval)}",
        f"{percent(clean.drop)} {_bounds(clean.drop_interval)}",
    )


def published_grid(table: ResultTable) -> tuple[list[str], list[list[str]]]:
    """Header and lines of what others have published for the same images; no lines where there is nothing."""
    titles = {column.key: column.title for column in table.columns}
    header = ["published elsewhere", "on", "accuracy, %", "how it is known", "protocol"]
    lines = [
        [each.method, titles.get(each.column, each.column), f"{each.percent:.2f}", each.known, each.protocol or NONE]
        for each in table.published
    ]
    return header, lines


def shown(cell: AnyCell) -> str:
    """`97.80 [96.23, 98.71] *`: accuracy, its 95 % interval, marks; with several seeds `97.80 ± 0.31 [...]`."""
    if isinstance(cell, Missing):
        return f"{NONE} ({cell.reason})" if cell.reason else NONE
    if isinstance(cell, Speed):
        return f"{cell.median:.2f} [{cell.low:.2f}, {cell.high:.2f}]"
    marks = marks_of(cell)
    note = f" ({cell.note})" if cell.note else ""
    return f"{shown_accuracy(cell)} {_bounds(cell.interval)}" + (f" {marks}" if marks else "") + note


def _bounds(interval: Interval) -> str:
    return f"[{percent(interval.low)}, {percent(interval.high)}]"


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


def legend(table: ResultTable) -> list[str]:
    """What the columns beside ours show, and what the marks mean: for each method that others are tested against, test
    and family, with its size.
    """
    cells = [cell for _, _, cell in each_cell(table) if isinstance(cell, Cell)]
    tests = {mark: [cell.tests[other] for cell in cells if other in cell.tests] for other, mark in MARKS.items()}
    beside = [CLEAN_LEGEND] if with_clean(table) else []
    return beside + [
        f"{mark} differs from {other}, p < {SIGNIFICANT} ({' or '.join(sorted({test.how for test in tests[mark]}))}, "
        f"Holm over all lines and columns: {len(tests[mark])} {'tests' if len(tests[mark]) > 1 else 'test'})"
        for other, mark in MARKS.items()
        if tests[mark]
    ]


def quantity(table: ResultTable) -> str:
    """What a cell's figures are, and how its interval is made."""
    if table.quantity == "frames/s":
        return "Frames per second: median [lowest, highest]"
    return "Accuracy, % [95 % interval: Wilson's, on n divided by the design effect]"


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
    cells = [(line, title, cell) for line, title, cell in each_cell(table) if isinstance(cell, Cell)]
    lines = [_detail(line, title, cell) for line, title, cell in cells]
    if any(cell.unseen is not None for _, _, cell in cells):
        header += ["templates seen in training", "unseen templates"]
        lines = [
            [*texts, _shown_part(cell.seen), _shown_part(cell.unseen)]
            for texts, (_, _, cell) in zip(lines, cells, strict=True)
        ]
    return header, lines


def _shown_part(part: PartAccuracy | None) -> str:
    return NONE if part is None else f"{percent(part.accuracy)} {_bounds(part.interval)}, n = {part.n}"


def _detail(line: TableLine, title: str, cell: Cell) -> list[str]:
    tests = [
        f"{shown_p(cell.tests[other].p)} ({shown_p(cell.tests[other].p_holm)})" if other in cell.tests else NONE
        for other in MARKS
    ]
    seeds = len(cell.seeds.each)
    answers = f"{cell.correct}/{cell.n * seeds}" + (f" over {seeds} seeds" if seeds > 1 else "")
    folds = NONE if cell.folds is None else f"{with_sd(cell.folds.mean, cell.folds.sd)} over {cell.folds.n}"
    bounds = "" if cell.uar_interval is None else f" {_bounds(cell.uar_interval)}"
    shares = (percent(cell.uar) + bounds, percent(cell.macro_f1))
    return [line.shown_title, title, answers, folds, *shares, f"{cell.ece:.3f}", *tests]


def each_cell(table: ResultTable) -> Iterator[tuple[TableLine, str, AnyCell]]:
    """Every cell with its line and the title of its column, line by line."""
    for line in table.lines:
        for column in table.columns:
            yield line, column.title, line.cells[column.key]
