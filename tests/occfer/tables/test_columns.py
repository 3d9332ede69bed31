"""Which tests of a table are adjusted together, after Holm."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occfer.metrics.significance import holm
from occfer.tables.cell_texts import legend, marks_of
from occfer.tables.columns import TESTED_AGAINST, adjusted
from occfer.tables.result_table import Cell, Column, Missing, PairedTest, ResultTable, TableLine
from tests.occfer.tables.sample_table import FULL, TABLE


def table_of(*lines: tuple[float, ...], against: str = "resnet") -> ResultTable:
    """A cell for each p-value; NaN for a cell without a test."""
    columns = tuple(Column(f"c{number}", f"C{number}") for number in range(len(lines[0])))
    made = []
    for number, p_values in enumerate(lines):
        cells = {
            column.key: replace(FULL, tests={against: PairedTest(p, p, 1, 0)} if not math.isnan(p) else {})
            for column, p in zip(columns, p_values, strict=True)
        }
        made.append(TableLine(f"m{number}", f"M{number}", cells))
    return replace(TABLE, columns=columns, lines=tuple(made))


def p_holm(table: ResultTable, against: str = "resnet") -> list[float]:
    cells = (cell for line in table.lines for cell in line.cells.values())
    return [cell.tests[against].p_holm for cell in cells if isinstance(cell, Cell) and against in cell.tests]


def test_all_lines_and_columns_are_one_family() -> None:
    """0.02 is the least of four: 0.08. Over its own column it would have been 0.04, with a mark."""
    nan = float("nan")
    found = adjusted(table_of((0.02, 0.3), (0.5, 0.04), (nan, nan)))
    assert p_holm(found) == pytest.approx([0.08, 0.6, 0.6, 0.12])
    assert not any(marks_of(cell) for line in found.lines for cell in line.cells.values() if isinstance(cell, Cell))
    assert legend(found) == [
        "* differs from resnet, p < 0.05 (exact McNemar, Holm over all lines and columns: 4 tests)"
    ]


def test_the_tests_against_each_method_are_a_family_of_their_own() -> None:
    cell = replace(FULL, tests={"resnet": PairedTest(0.04, 1, 3, 0), "resnet-long": PairedTest(0.03, 1, 3, 0)})
    table = replace(TABLE, columns=(Column("r8", "R8"),), lines=(TableLine("full", "Ours", {"r8": cell}),))
    (line,) = adjusted(table).lines
    found = line.cells["r8"]
    assert isinstance(found, Cell)
    assert {name: test.p_holm for name, test in found.tests.items()} == {"resnet": 0.04, "resnet-long": 0.03}
    assert marks_of(found) == "*†" and set(found.tests) == set(TESTED_AGAINST)
    assert len(legend(table)) == 2


def test_nothing_but_the_adjusted_values_changes() -> None:
    found = adjusted(TABLE)
    assert adjusted(found) == found
    assert [line.key for line in found.lines] == [line.key for line in TABLE.lines]
    before, after = (table.lines[0].cells["r8"] for table in (TABLE, found))
    assert isinstance(before, Cell) and isinstance(after, Cell)
    assert replace(after, tests=before.tests) == before
    assert found.lines[1].cells["r8"] == Missing("failed", 96.58)


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_the_adjusted_values_are_holms(p_values: list[float]) -> None:
    found = adjusted(table_of(tuple(p_values[:3]), tuple(p_values[3:])))
    assert p_holm(found) == holm(p_values)
