"""A column of a table, a cell for each line with its paired tests; and the adjustment of all tests of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from occfer.metrics.significance import holm
from occfer.tables.cells import MethodPredictions, make_cell, paired_test
from occfer.tables.lines import in_paired_tests
from occfer.tables.paper_methods import CONTROL
from occfer.tables.result_table import AnyCell, Cell, Missing, PairedTest, ResultTable

TESTED_AGAINST = ("resnet", CONTROL)


@dataclass(frozen=True, slots=True, eq=False)
class ColumnEntry:
    """What one line of a table has for a column.

    Attributes:
        method: its key.
        result: its predictions, or in a few words why there are none.
        paper: the paper's figure, or None.
        untrained: see `occfer.tables.lines.is_untrained`; it then takes part in no test.
    """

    method: str
    result: MethodPredictions | str
    paper: float | None
    untrained: bool = False


def make_column(
    entries: Sequence[ColumnEntry], relative_to: Path, unlisted: Mapping[str, MethodPredictions] | None = None
) -> list[AnyCell]:
    """The cells of a column, one per entry; `adjusted` then adjusts their tests over all columns.

    Every method that may be compared is tested against each of `TESTED_AGAINST`: against its first entry that shares
    pairs with it.

    Args:
        entries: the lines of the table, in order.
        relative_to: the folder to which the cells' run folders are relative.
        unlisted: predictions of methods that have no line but are tested against.
    """
    tests: list[dict[str, PairedTest]] = [{} for _ in entries]
    for other in TESTED_AGAINST:
        listed = [entry.result for entry in entries if entry.method == other]
        others = [each for each in (*listed, (unlisted or {}).get(other)) if isinstance(each, MethodPredictions)]
        for index, entry in enumerate(entries):
            if (test := _first_test(entry, other, others)) is not None:
                tests[index][other] = test
    return [
        replace(cell, tests=own) if isinstance(cell, Cell) else cell
        for cell, own in zip((_cell(entry, relative_to) for entry in entries), tests, strict=True)
    ]


def adjusted(table: ResultTable) -> ResultTable:
    """A table whose p-values are adjusted after Holm: all tests against one method together, over lines and columns.

    Whoever looks for marks in a table looks through all of its columns, so all of them are one family [decided]. The
    tests against `resnet` and those against the control answer different questions, have marks of their own, and are
    two families.
    """
    places = [
        (number, key, other)
        for number, line in enumerate(table.lines)
        for key, cell in line.cells.items()
        for other in (cell.tests if isinstance(cell, Cell) else ())
    ]
    lines = [dict(line.cells) for line in table.lines]
    for method in dict.fromkeys(other for _, _, other in places):
        family = [(number, key) for number, key, other in places if other == method]
        cells = [lines[number][key] for number, key in family]
        p_values = holm([cell.tests[method].p for cell in cells if isinstance(cell, Cell)])
        for (number, key), cell, p_holm in zip(family, cells, p_values, strict=True):
            if isinstance(cell, Cell):
                tests = {**cell.tests, method: replace(cell.tests[method], p_holm=p_holm)}
                lines[number][key] = replace(cell, tests=tests)
    made = (replace(line, cells=cells) for line, cells in zip(table.lines, lines, strict=True))
    return replace(table, lines=tuple(made))


def _first_test(entry: ColumnEntry, other: str, others: Sequence[MethodPredictions]) -> PairedTest | None:
    if isinstance(entry.result, str) or entry.method == other or entry.untrained or not in_paired_tests(entry.method):
        return None
    tests = (paired_test(entry.result, each) for each in others)
    return next((test for test in tests if test is not None), None)


def _cell(entry: ColumnEntry, relative_to: Path) -> AnyCell:
    if isinstance(entry.result, str):
        return Missing(entry.result, entry.paper)
    return make_cell(entry.result, entry.paper, relative_to)
