"""What tables show beside an accuracy: clean faces and the drop, seen templates, landmarks, figures of others."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from occfer.errors import ReportError
from occfer.metrics.clean_faces import CleanFaces
from occfer.metrics.intervals import Interval
from occfer.metrics.predictions import PredictedPair, Predictions
from occfer.tables.cell_texts import CLEAN_LEGEND, details, grid, legend, published_grid
from occfer.tables.cells import MethodPredictions, make_cell
from occfer.tables.lines import make_line, title_of
from occfer.tables.published import TEST_SETS, PublishedFigure, published_figures
from occfer.tables.result_table import Cell, PartAccuracy, ResultTable, TableLine
from occfer.tables.table_file import FILE, from_json, read_table, to_json, write_table
from occfer.tables.text_files import to_csv, to_latex, to_markdown
from tests.occfer.tables.sample_table import FULL, TABLE

CLEAN = CleanFaces(636, 0.99, Interval(0.98, 0.995), 0.012, Interval(0.004, 0.021))
MORE = replace(
    FULL,
    clean=CLEAN,
    seen=PartAccuracy(400, 0.98, Interval(0.96, 0.99)),
    unseen=PartAccuracy(236, 0.95, Interval(0.91, 0.97)),
)
FIGURE = PublishedFigure("RAN 2020", "r16", 67.98, "quoted", "100 % other <weights>")


def table() -> ResultTable:
    full, pg_cnn, rgbt = TABLE.lines
    lines = (
        replace(full, cells={**full.cells, "r8": MORE}),
        replace(pg_cnn, clean_landmarks=True),
        rgbt,
    )
    return replace(TABLE, lines=lines, published=(FIGURE,))


def test_all_of_it_comes_back_from_the_file(tmp_path: Path) -> None:
    write_table(tmp_path, table())
    assert read_table(tmp_path) == table()


@pytest.mark.parametrize(("settings", "marked"), [({}, True), ({"landmarks_from": "occluded"}, False)])
def test_baselines_of_version_0_1_saw_landmarks_of_clean_faces_unless_its_table_says_so(
    settings: dict[str, str], marked: bool
) -> None:
    made = to_json(replace(table(), provenance=replace(TABLE.provenance, settings=settings)))
    for line in made["rows"]:
        del line["clean_landmarks"]
    found = from_json(json.loads(json.dumps(made)))
    assert [line.clean_landmarks for line in found.lines] == [False, marked, False]


def test_landmarks_of_clean_faces_stand_in_every_title() -> None:
    line = make_line("wls-rf", {}, clean_landmarks=True)
    assert line.shown_title == "WLS-RF (reconstruction, landmarks of clean faces)"
    assert TableLine("full", "Ours", {}).shown_title == "Ours"
    assert title_of("gacnn", {"landmarks_from": "clean"}) == "gACNN (landmarks of clean faces)"
    assert title_of("gacnn", {"landmarks_from": "occluded"}) == title_of("gacnn") == "gACNN"
    assert title_of("rgbt", {"landmarks_from": "clean"}) == "RGBT (reconstruction)"


def test_clean_faces_and_the_drop_have_columns_where_they_were_tested() -> None:
    header, lines = grid(table())
    assert header == ["method", "R8", "paper", "clean", "drop", "R16 & more", "paper"]
    assert lines[0][3:5] == ["99.00 [98.00, 99.50]", "1.20 [0.40, 2.10]"] and lines[1][3:5] == ["-", "-"]
    assert grid(TABLE)[0] == ["method", "R8", "paper", "R16 & more", "paper"]
    assert CLEAN_LEGEND in legend(table()) and CLEAN_LEGEND not in legend(TABLE)
    assert CLEAN_LEGEND in to_markdown(table())


def test_seen_and_unseen_templates_are_told_apart_in_the_details() -> None:
    header, lines = details(table())
    assert header[-2:] == ["templates seen in training", "unseen templates"]
    assert lines[0][-2:] == ["98.00 [96.00, 99.00], n = 400", "95.00 [91.00, 97.00], n = 236"]
    assert lines[1][-2:] == ["-", "-"] and all(len(line) == len(header) for line in lines)
    assert "unseen templates" not in details(TABLE)[0]


def test_the_texts_hold_all_of_it() -> None:
    (first, *_) = csv.DictReader(io.StringIO(to_csv(table())))
    assert (first["clean"], first["drop"], first["drop_low"]) == ("0.99", "0.012", "0.004")
    assert (first["seen_n"], first["unseen"], first["unseen_high"]) == ("400", "0.95", "0.97")
    markdown, latex = to_markdown(table()), to_latex(table())
    assert "| published elsewhere | on | accuracy, % | how it is known | protocol |" in markdown
    assert "| RAN 2020 | " in markdown and " more | 67.98 | quoted | " in markdown
    assert latex.count(r"\begin{tabular}") == 2 and r"RAN 2020 & R16 \& more & 67.98 & quoted & 100 \% other" in latex
    assert r"\begin{tabular}{lrrrrrr}" in latex
    assert to_latex(TABLE).count(r"\begin{tabular}") == 1 and published_grid(TABLE)[1] == []


def predictions(right: str, seen: str = "") -> Predictions:
    pairs = tuple(
        PredictedPair(
            f"p{i}", "toy", "r16", f"s{i}", None, "food", 0.1, 0.0, 0.0, "a", {"y": True, "n": False}.get(mark)
        )
        for i, mark in enumerate(seen or " " * len(right))
    )
    probabilities = np.array([[0.9, 0.1] if mark == "1" else [0.1, 0.9] for mark in right])
    return Predictions(("a", "b"), pairs, probabilities)


def cell_of(occluded: list[Predictions], clean: list[Predictions]) -> Cell:
    parts: list[dict[int, dict[int | None, Predictions]]] = [
        {seed: {None: part} for seed, part in enumerate(each)} for each in (occluded, clean)
    ]
    return make_cell(MethodPredictions(parts[0], (), "", parts[1]), None, Path())


def test_a_cell_tells_the_drop_of_all_seeds_and_both_kinds_of_templates() -> None:
    seen = "yynnn "
    cell = cell_of([predictions("110100", seen), predictions("111100", seen)], [predictions("111110")] * 2)
    assert cell.clean is not None and cell.clean.n == 6 and cell.clean.accuracy == pytest.approx(5 / 6)
    assert cell.clean.drop == pytest.approx(5 / 6 - (3 / 6 + 4 / 6) / 2)
    assert cell.seen is not None and (cell.seen.n, cell.seen.accuracy) == (2, 1.0)
    assert cell.unseen is not None and cell.unseen.n == 3 and cell.unseen.accuracy == pytest.approx((1 + 2) / 6)
    nothing = cell_of([predictions("1100", "yyyy")], [])
    assert [nothing.clean, nothing.seen, nothing.unseen] == [None] * 3


def test_every_published_figure_says_how_it_is_known() -> None:
    found = published_figures({name: name for name in TEST_SETS})
    assert len({(each.column, each.method) for each in found}) == len(found)
    assert all(50 < each.percent < 90 and each.known in ("read", "quoted", "recalled") for each in found)
    assert {each.column for each in found} == TEST_SETS


def test_a_published_figure_from_elsewhere_is_checked(tmp_path: Path) -> None:
    content = to_json(table())
    content["published"][0]["known"] = "certain"
    (tmp_path / FILE).write_text(json.dumps(content))
    with pytest.raises(ReportError, match="published"):
        read_table(tmp_path)
