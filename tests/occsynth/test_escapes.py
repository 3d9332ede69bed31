"""Each medium has one escape: what a stranger named must show as letters, and never run, colour or format anything."""

import csv
import io
import re
from collections.abc import Callable

import matplotlib
import pytest

from occsynth.escapes import for_csv, for_figure, for_latex, for_markdown, for_terminal, printable

matplotlib.use("Agg")

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+2",
    "-2+3",
    "\t=1+1",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "a\r\nb\x00c\x9b31m",
    "<script>alert(1)</script>",
    "![x](javascript:alert(1)) [y](http://z) | & &lt; `code` # *b* _i_",
    "$\\frac{1}{0}$ \\input{/etc/passwd} %",
    "$x$",
    "\udcff\u202eabc\u2028",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("escape", [for_terminal, for_markdown, for_latex, for_figure, printable])
def test_no_control_character_gets_through(escape: Callable[[str], str], text: str) -> None:
    shown = escape(text)
    assert shown.isprintable()
    shown.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_spreadsheet_runs_nothing(text: str) -> None:
    assert not for_csv(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("value", [None, 3, -3, -0.25, "-0.25", "+1e-3", "happiness", "s001", float("nan")])
def test_numbers_and_plain_words_stay(value: object) -> None:
    assert for_csv(value) == ("" if value is None else str(value))


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_has_no_markup_left(text: str) -> None:
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>|`*_\[\]&]", for_markdown(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_figure_evaluates_nothing(text: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    drawn = figure.text(0, 0, for_figure(text))
    figure.savefig(io.BytesIO(), format="png")
    assert not re.search(r"(?<!\\)\$", drawn.get_text())


@pytest.mark.parametrize("text", HOSTILE)
def test_latex_has_no_command_of_the_text(text: str) -> None:
    commands = set(re.findall(r"\\[a-zA-Z]+", for_latex(text)))
    known = {"backslash", "asciitilde", "asciicircum", "less", "greater", "bar", "quotedbl"}
    assert commands <= {rf"\text{name}" for name in known}


def test_a_csv_with_escaped_cells_reads_back() -> None:
    file = io.StringIO()
    csv.writer(file).writerow([for_csv("=1"), for_csv(-1.5)])
    assert next(csv.reader(io.StringIO(file.getvalue()))) == ["'=1", "-1.5"]
