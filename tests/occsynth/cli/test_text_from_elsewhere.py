"""Every command that shows names from elsewhere, on names that want to be formulas, markup, mathematics or controls."""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text
from typer.testing import CliRunner

from occsynth.cli.app import app
from occsynth.manifest import Row
from occsynth.pictures.stats import summarise
from occsynth.pictures.stats_figure import draw
from occsynth.templates.pack import load_pack
from tests.builds import DEMO_ROOT
from tests.occsynth.synthetic_build import make_build, paired_row, template_occlusion
from tests.occsynth.test_escapes import HOSTILE

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ufffd]")
NAMES = [*(text.encode("utf-8", "replace").decode() for text in HOSTILE), "Müller–Żółć 表情"]  # noqa: RUF001


def call(*words: object, may_refuse: bool = False) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code in (0, 1)[: 1 + may_refuse] and (
        result.exception is None or isinstance(result.exception, SystemExit)
    )
    assert not CONTROLS.search(result.output), repr(result.output)
    assert result.exit_code == 0 or result.stderr.startswith("error: ")
    return result.output


def cells_of(folder: Path) -> Iterator[str]:
    """Every cell of the CSV files that commands wrote for people below a folder."""
    for path in folder.rglob("*.csv"):
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield from (cell for line in csv.reader(file) for cell in line)


class Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(params=NAMES)
def manifest(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A manifest from elsewhere with one name wherever it holds a text that is free."""
    name: str = request.param

    def row_of(number: int) -> Row:
        row = paired_row(number)
        named: dict[str, Any] = {"expression": name, "subject": f"{name}{number % 4}", "split": name, "database": name}
        item = re.sub(r"[/\\\0]", "", name) or "x"
        return replace(row, **named, pair_id=f"{row.pair_id}{name}", occlusion=template_occlusion(name, item))

    known: dict[str, Any] = {
        "versions": {name: name},
        "published": {name: 3},
        "found": {name: 2},
        "duplicates": [[name, name]],
    }
    return make_build(tmp_path, 6, row_of=row_of, notes={name: name}, subset=name, template_pack=name, **known).path


def test_commands_show_names_as_letters(manifest: Path, tmp_path: Path) -> None:
    call("stats", manifest, "-o", tmp_path / "stats.png")
    call("preview", manifest, "-o", tmp_path / "sheet.png")
    call("verify", manifest, "--workers", 1, may_refuse=True)
    call("landmarks", manifest, may_refuse=True)
    call("publish", manifest, "-o", tmp_path / "published.csv", may_refuse=True)
    call("preview", manifest, "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    tags = Tags(page).found
    assert not CONTROLS.search(page)
    assert [tag for tag, _ in tags].count("script") == 1 and not {"i", "a", "iframe"} & {tag for tag, _ in tags}
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)


@pytest.mark.parametrize("name", ["$x$", r"$\frac{1}{0}$", "50 $ or 60 $"])
def test_a_figure_evaluates_nothing(tmp_path: Path, name: str) -> None:
    made = make_build(tmp_path, 6, row_of=lambda number: replace(paired_row(number), expression=name, split=name))
    figure = draw(summarise(made))
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if isinstance(text, Text) and "$" in text.get_text()]
    assert any(text.get_text() == name for text in shown)
    assert not any(text.get_parse_math() for text in shown)


@pytest.mark.parametrize("name", NAMES)
def test_file_names_in_a_raw_database_and_a_pack(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    plain = re.sub(r"[/\0]", "", name)[:60]
    raw = tmp_path / "raw" / plain
    (raw / "anger").mkdir(parents=True)
    (raw / "anger" / f"{plain}.jpg").write_bytes((DEMO_ROOT / "images/s001/s001_anger.jpg").read_bytes())
    (raw / "anger" / f"{plain}2.jpg").write_bytes(b"no picture")
    call("databases", "set", "folder", raw)
    call("databases")
    words = ("build", "--db", "folder", "--mode", "r8", "--workers", 1, "--size", 64)
    call(*words, "--out", tmp_path / f"b{plain}", may_refuse=True)
    call("build", "--db", plain, "--mode", plain, "--out", tmp_path / "c", may_refuse=True)
    for listed in tmp_path.rglob("*.rejects.csv"):
        assert not any(re.match(r"[=+@\t\r\n]", cell) for cell in cells_of(listed.parent))


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_keeps_its_texts_and_a_spreadsheet_runs_none(tmp_path: Path, name: str) -> None:
    from PIL import Image

    cut_outs = tmp_path / "cut-outs/food"
    cut_outs.mkdir(parents=True)
    picture = Image.new("RGBA", (130, 130))
    picture.paste((200, 30, 30, 255), (10, 10, 120, 120))
    picture.save(cut_outs / "thing.png")
    pack = tmp_path / "pack"
    words = ("--source", f"{name}x", "--licence", "CC0-1.0", "--attribution", name, "--out", pack)
    call("templates", "add", tmp_path / "cut-outs", *words)
    call("templates", "--templates", pack)
    assert not any(re.match(r"[=+@\t\r\n]", cell) for cell in cells_of(pack))
    (template,) = load_pack(pack).templates.values()
    assert template.source == " ".join(f"{name}x".split()), "it is read as it was given, in one line"
