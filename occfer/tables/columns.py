"""A column of a table: a cell for each line, with paired tests that are adjusted over the lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from occfer.metrics.significance import holm
from occfer.tables.cells import MethodPredictions, make_cell, paired_test
from occfer.tables.lines import in_paired_tests
from occfer.tables.paper_methods import CONTROL
from occfer.tables.result_table import AnyCell, Cell, Missing, PairedTest

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
    """The cells of a column, one per entry.

    Every method that may be compared is tested against each of `TESTED_AGAINST`: against its first entry that shares
    pairs with it. The p-values of the tests against one method are adjusted together, after Holm.

    Args:
        entries: the lines of the table, in order.
        relative_to: the folder to which the cells' run folders are relative.
        unlisted: predictions of methods that have no line but are tested against.
    """
    tests: list[dict[str, PairedTest]] = [{} for _ in entries]
    for other in TESTED_AGAINST:
        listed = [entry.result for entry in entries if entry.method == other]
        others = [each for each in (*listed, (unlisted or {}).get(other)) if isinstance(each, MethodPredictions)]
        found = {
            index: test
            for index, entry in enumerate(entries)
            if (test := _first_test(entry, other, others)) is not None
        }
        for (index, test), p_holm in zip(found.items(), holm([test.p for test in found.values()]), strict=True):
            tests[index][other] = replace(test, p_holm=p_holm)
    return [
        replace(cell, tests=own) if isinstance(cell, Cell) else cell
        for cell, own in zip((_cell(entry, relative_to) for entry in entries), tests, strict=True)
    ]


def _first_test(entry: ColumnEntry, other: str, others: Sequence[MethodPredictions]) -> PairedTest | None:
    if isinstance(entry.result, str) or entry.method == other or entry.untrained or not in_paired_tests(entry.method):
        return None
    tests = (paired_test(entry.result, each) for each in others)
    return next((test for test in tests if test is not None), None)


def _cell(entry: ColumnEntry, relative_to: Path) -> AnyCell:
    if isinstance(entry.result, str):
        return Missing(entry.result, entry.paper)
    return make_cell(entry.result, entry.paper, relative_to)
