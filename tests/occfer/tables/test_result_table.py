"""A table of results: its file, and how it reads as CSV, Markdown and LaTeX; the paper's figures."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from occfer.errors import ReportError
from occfer.method_table import METHOD_TABLE
from occfer.tables.cell_texts import grid
from occfer.tables.paper import PAPER, paper_figure
from occfer.tables.table_file import from_json, read_table, to_json, write_table
from occfer.tables.text_files import to_csv, to_latex, to_markdown, write_texts
from tests.occfer.damage import DAMAGES, damage
from tests.occfer.tables.sample_table import TABLE


def test_a_table_comes_back_from_its_file(tmp_path: Path) -> None:
    path = write_table(tmp_path, TABLE)
    assert read_table(path) == TABLE == read_table(tmp_path)
    assert from_json(json.loads(json.dumps(to_json(TABLE)))) == TABLE


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 99}', '{"schema": 1}', '{"schema": 1, "provenance": 3}'])
def test_what_is_not_a_table_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "table.json").write_text(content)
    with pytest.raises(ReportError, match="table of results"):
        read_table(tmp_path)


def changed(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """JSON values with one of them replaced, or left out where the value is `...`."""
    name, *rest = path
    if rest:
        inner = changed(content[name], tuple(rest), value)
    elif value is ...:
        return {key: each for key, each in content.items() if key != name}
    else:
        inner = value
    if isinstance(content, list):
        return [inner if index == name else each for index, each in enumerate(content)]
    return content | {name: inner}


CELL = ("rows", 0, "cells", "r8")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("rows",), {}, "rows is {}"),
        (("rows",), [3], "rows.0 is 3"),
        (("title",), ..., "title is missing"),
        (("title",), ["a"], "title is"),
        (("measure",), "seconds", "measure is 'seconds'"),
        (("columns", 0, "key"), 3, "columns.0.key is 3"),
        (("notes",), "abc", "notes is 'abc'"),
        (("provenance", "versions"), [], "provenance.versions is"),
        (("provenance", "manifests", 0, "rows"), "many", "provenance.manifests.0.rows is 'many'"),
        (("provenance", "failed", 0), None, "provenance.failed.0 is None"),
        (("rows", 0, "cells"), [], "rows.0.cells is"),
        (("rows", 0, "cells", "r8"), ..., "the line 'full' has no fitting cell in the column 'r8'"),
        ((*CELL, "kind"), "picture", "is of none of the kinds accuracy, speed, missing"),
        ((*CELL, "kind"), ["accuracy"], "is of none of the kinds"),
        (CELL, {"kind": "speed", "median": 1.0, "low": 1, "high": 1, "repeats": 5, "batch_size": 8, "parameters": 1},
         "the line 'full' has no fitting cell"),
        ((*CELL, "n"), 636.5, "n is 636.5"),
        ((*CELL, "accuracy"), "98 %", "accuracy is '98 %'"),
        ((*CELL, "accuracy"), float("nan"), "a number that is not finite"),
        ((*CELL, "n"), 10**100, "a number that is not finite or above"),
        ((*CELL, "interval"), None, "interval is None"),
        ((*CELL, "interval", "low"), "0", "interval.low is '0'"),
        ((*CELL, "seeds", "each"), 3, "seeds.each is 3"),
        ((*CELL, "tests"), [], "tests is"),
        ((*CELL, "tests", "resnet"), 3, "tests.resnet is 3"),
        ((*CELL, "tests", "resnet", "only_row"), "many", "only_this is 'many'"),
        ((*CELL, "runs"), [1], "runs.0 is 1"),
    ],
)  # fmt: skip
def test_a_table_from_elsewhere_is_checked_to_the_last_value(
    tmp_path: Path, path: tuple[Any, ...], value: Any, words: str
) -> None:
    with pytest.raises(ReportError, match=re.escape(words)) as raised:
        from_json(changed(json.loads(json.dumps(to_json(TABLE))), path, value), "table.json")
    assert str(raised.value).startswith("table.json is not a table of results") and "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_a_damaged_file_is_refused(tmp_path: Path, how: str) -> None:
    damage(write_table(tmp_path, TABLE), how)
    with pytest.raises(ReportError, match=r"table of results.*make it (again )?with occfer reproduce"):
        read_table(tmp_path)


def test_a_table_of_version_0_1_has_no_checksums(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(json.dumps(to_json(TABLE)))
    assert read_table(tmp_path) == TABLE


def test_the_papers_figure_never_stands_in_our_column() -> None:
    header, lines = grid(TABLE)
    assert header == ["method", "R8", "paper", "R16 & more", "paper"]
    assert lines[0] == ["Ours", "97.80 [96.20, 98.70] *", "97.80", "65.00 ± 7.07 [60.00, 70.00] (8 of 10 folds)", "-"]
    assert lines[1] == ["PG-CNN (not trained)", "- (failed)", "96.58", "- (blocked)", "95.70"]
    assert lines[2] == ["RGBT (reconstruction)", "-", "-", "-", "-"]


def test_csv_holds_every_number() -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(TABLE))))
    assert [(line["method"], line["column"]) for line in lines][:3] == [
        ("full", "r8"),
        ("full", "r16"),
        ("pg-cnn", "r8"),
    ]
    first, second, failed = lines[:3]
    assert (int(first["correct"]), int(first["n"]), float(first["accuracy"])) == (622, 636, 622 / 636)
    assert (first["p_holm_resnet"], first["p_resnet_long"], first["folds"]) == ("0.012", "0.2", "10")
    assert (first["paper_percent"], second["paper_percent"], failed["paper_percent"]) == ("97.8", "", "96.58")
    assert (second["seeds"], second["folds"], second["note"]) == ("2", "", "8 of 10 folds")
    assert (failed["accuracy"], failed["note"]) == ("", "failed")


def test_markdown_and_latex_escape_and_keep_their_shape(tmp_path: Path) -> None:
    text = to_markdown(TABLE)
    assert "## Table 2: CK+ \\| five occlusions" in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in table[:5]} == {6}
    family = "exact McNemar, Holm over all lines and columns: 1 test"
    assert f"\\* differs from resnet, p \\< 0.05 ({family}). † differs from resnet-long, p \\< 0.05 ({family})." in text
    assert "Wilson's, on n divided by the design effect" in text
    latex = to_latex(TABLE)
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert len(body) == 4 and all(line.replace(r"\&", "").count("&") == 4 for line in body)
    assert r"100 \% of a\_b" in latex and r"R16 \& more" in latex
    assert [path.name for path in write_texts(tmp_path, TABLE)] == ["table.csv", "table.md", "table.tex"]


def test_the_papers_figures() -> None:
    """Spots of each table as printed, and what its text says of them: 2.87 above ResNet, k of 636, 116.7 times."""
    assert paper_figure("table1", "raf-db", "full") == 81.97
    assert paper_figure("table1", "affectnet->ck+", "gacnn") == 88.17
    assert paper_figure("table2", "mouth", "rgbt") == 30.3
    assert paper_figure("table2", "r24", "sim+lir") == 92.92
    assert paper_figure("table3", "fed-ro", "adv+rec") == 69.25
    assert paper_figure("table2", "random", "full") is None
    raf = PAPER["table1"]["raf-db"]
    gains = [round(raf[method] - raf["resnet"], 2) for method in ("sim", "lir", "adv", "rec")]
    assert gains == [2.87, 2.74, 3.65, 3.19]
    for column in PAPER["table2"].values():
        for method in ("resnet", "sim", "lir", "sim+lir", "adv", "rec", "adv+rec", "full"):
            right = round(column[method] * 636 / 100)
            assert abs(100 * right / 636 - column[method]) < 0.01, (method, column[method])  # rounded or cut off
    speeds = PAPER["table4"]["frames/s"]
    assert (int(speeds["full"] / speeds["pg-cnn"] * 10) / 10, round(speeds["full"] / speeds["gacnn"], 1)) == (
        116.7,
        130.5,
    )


def test_the_papers_methods_are_ours() -> None:
    later = {"rgbt", "wls-rf", "pg-cnn", "gacnn"}
    for table in PAPER.values():
        for column in table.values():
            assert set(column) <= set(METHOD_TABLE) | later
