"""The lines of a board as the page and its CSV show them: texts, and the numbers that columns are sorted by."""

from collections.abc import Iterator
from dataclasses import dataclass

from occfer.benchmark.result import BenchmarkResult, ColumnResult, MeanResult
from occfer.leaderboard.boards import Board
from occfer.metrics.intervals import Interval

NONE = "-"
DIGITS = 8  # of a model's digest: enough to tell two of one name apart


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure.

    Attributes:
        text: with its unit; `-` where there is none.
        order: the number or word that its column is sorted by; empty where there is none.
        interval: as text; empty where there is none.
        small: what else must be said.
    """

    text: str
    order: str = ""
    interval: str = ""
    small: str = ""


@dataclass(frozen=True, slots=True)
class Strip:
    """The drawing of a line: places from 0 to 100.

    Attributes:
        low, mean, high: of the mean over the columns, with its interval.
        clean: accuracy on the clean faces.
        worst: accuracy on the worst column.
    """

    low: float
    mean: float
    high: float
    clean: float
    worst: float


@dataclass(frozen=True, slots=True)
class Line:
    """One contestant on one suite.

    Attributes:
        name, about: who answered.
        strip: its drawing.
        cells: one for each of `headings`.
        details: one for each of `detail_headings`.
        trained_on, selected_by: in words.
        marks: what must be known beside the figures.
        notes: of its result.
    """

    name: str
    about: str
    strip: Strip
    cells: tuple[Cell, ...]
    details: tuple[Cell, ...]
    trained_on: str
    selected_by: str
    marks: tuple[str, ...]
    notes: tuple[str, ...]


def headings(board: Board) -> list[str]:
    """The names of a line's cells."""
    return ["mean", "clean", "relative drop", "worst column", *(["real"] if board.has_real else [])]


def detail_headings(board: Board) -> list[str]:
    """The names of a line's details: the means over groups of columns, then the columns."""
    return [*(f"mean, {name}" for name in board.groups), *board.columns]


def line_of(result: BenchmarkResult, board: Board) -> Line:
    """A result as a line of its board."""
    contestant, known = result.contestant, result.provenance
    groups = {mean.name: mean for mean in result.groups}
    worst, drop = result.worst, result.relative_drop
    cells = [
        _share(result.mean.accuracy, result.mean.interval),
        _column(result.clean),
        Cell(NONE) if drop is None else Cell(f"{100 * drop:.1f} %", str(drop)),
        _column(worst, worst.name),
    ]
    if board.has_real:
        cells.append(Cell(NONE) if result.real is None else _column(result.real, f"n = {result.real.n:,}"))
    interval = result.mean.interval
    places = (interval.low, result.mean.accuracy, interval.high, result.clean.accuracy, worst.accuracy)
    return Line(
        name=contestant.name,
        about=", ".join(filter(None, (contestant.about, contestant.kind, contestant.sha256[:DIGITS]))),
        strip=Strip(*(100 * place for place in places)),
        cells=tuple(cells),
        details=(*map(_mean, map(groups.get, board.groups)), *map(_column, result.columns)),
        trained_on=", ".join(known.trained_on) or "unknown",
        selected_by=known.selected_by or "unknown",
        marks=tuple(_marks(result)),
        notes=result.notes,
    )


def _marks(result: BenchmarkResult) -> Iterator[str]:
    known = result.provenance
    yield from known.marks
    if known.overlap is None and result.suite.database in known.trained_on:
        yield f"trained on {result.suite.database}"


def _column(column: ColumnResult, small: str = "") -> Cell:
    return _share(column.accuracy, column.interval, small)


def _mean(mean: MeanResult | None) -> Cell:
    return Cell(NONE) if mean is None else _share(mean.accuracy, mean.interval, _columns(mean.columns))


def _share(accuracy: float, interval: Interval, small: str = "") -> Cell:
    bounds = f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    return Cell(f"{100 * accuracy:.1f}", str(accuracy), bounds, small)


def _columns(count: int) -> str:
    return f"{count} column" if count == 1 else f"{count} columns"


def csv_lines(boards: list[Board]) -> Iterator[tuple[object, ...]]:
    """Every figure of every board in a line of its own, under `CSV_HEADER`."""
    for board in boards:
        for result in board.results:
            means = (("mean", result.mean), *((f"mean, {mean.name}", mean) for mean in result.groups))
            for name, mean in means:
                yield (*_who(result), name, "", "", mean.accuracy, mean.interval.low, mean.interval.high)
            every = (result.clean, *result.columns, *filter(None, (result.real,)))
            for column in every:
                counts, interval = (column.n, column.correct), column.interval
                yield (*_who(result), column.name, *counts, column.accuracy, interval.low, interval.high)


CSV_HEADER = (
    *("suite", "version", "digest", "model", "model_sha256", "trained_on", "selected_by", "marks"),
    *("column", "n", "correct", "accuracy", "low", "high"),
)


def _who(result: BenchmarkResult) -> tuple[str, ...]:
    suite, contestant, known = result.suite, result.contestant, result.provenance
    of_suite = (suite.name, suite.version, suite.digest)
    marks = "; ".join(_marks(result))
    return (*of_suite, contestant.name, contestant.sha256, ", ".join(known.trained_on), known.selected_by, marks)
