"""Each medium has one escape: what a stranger named must show as letters, and never run, colour or format anything."""

import csv
import io
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from occsynth.escapes import (
    CUT,
    LONGEST,
    cell_for_terminal,
    for_csv,
    for_figure,
    for_latex,
    for_markdown,
    for_terminal,
    from_csv,
    printable,
)

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
    "\uff1d1+1",
    "[red]x[/red] [link=http://x]y[/link] :warning:",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("escape", [for_terminal, cell_for_terminal, for_markdown, for_latex, for_figure, printable])
def test_no_control_character_gets_through(escape: Callable[[str], str], text: str) -> None:
    shown = escape(text)
    assert shown.isprintable()
    shown.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_spreadsheet_runs_nothing(text: str) -> None:
    assert not for_csv(text).startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))


@pytest.mark.parametrize("value", [None, 3, -3, -0.25, "-0.25", "+1e-3", "happiness", "s001", float("nan")])
def test_numbers_and_plain_words_stay(value: object) -> None:
    assert for_csv(value) == ("" if value is None else str(value))


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_has_no_markup_left(text: str) -> None:
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>|`*_\[\]&$]", for_markdown(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_latex_has_no_command_of_the_text(text: str) -> None:
    commands = set(re.findall(r"\\[a-zA-Z]+", for_latex(text)))
    known = {"backslash", "asciitilde", "asciicircum", "less", "greater", "bar", "quotedbl"}
    assert commands <= {rf"\text{name}" for name in known}


@given(st.text(max_size=8) | st.text(alphabet="'=+-@\t\n1.", max_size=6))
@example("'=1")
@example("''=1")
@example("'s-Gravenhage")
@example("-1")
def test_an_escaped_cell_reads_back(text: str) -> None:
    cell = for_csv(text)
    assert from_csv(cell) == text
    assert not re.match("[=+@\t\r\n]|-(?![0-9.]|inf|nan)", cell, re.IGNORECASE) or (cell == text and _is_number(text))
    file = io.StringIO()
    csv.writer(file).writerow(["a", cell])
    assert next(csv.reader(io.StringIO(file.getvalue(), newline=""))) == ["a", cell]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("length", [LONGEST - 1, LONGEST, LONGEST + 1, 10_000_000])
def test_no_line_is_longer_than_a_path(length: int) -> None:
    text = "begin" + "x" * (length - 8) + "end"
    shown = for_terminal(text)
    assert shown.startswith("begin") and shown.endswith("end") and len(shown) <= LONGEST
    assert shown == text or CUT in shown
    assert len(for_figure(text)) <= 80


def test_cells_keep_their_spaces_and_messages_do_not() -> None:
    assert cell_for_terminal(" a  b\t\n") == " a  b\\t\\n"
    assert for_terminal(" a  b\t\n") == "a b"
