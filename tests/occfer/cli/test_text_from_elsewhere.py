"""Every command that shows names of a run folder, a manifest or a file, on names that want to be more than letters."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.cli.progress import PlainLines
from occfer.files import write_json
from occfer.inference.annotate import draw
from occfer.inference.recogniser import Answer
from occfer.metrics import figures
from occfer.metrics.figure_files import save
from occfer.metrics.predictions import read_predictions, write_predictions
from occfer.metrics.summary import summarise
from occfer.models import BACKBONES
from occfer.tables.table_file import write_table
from occfer.training.train import train
from occsynth.manifest import Row
from tests.builds import DEMO_ROOT
from tests.occfer.evaluation.test_evaluate import quick
from tests.occfer.inference.test_export import write_model
from tests.occfer.tables.sample_table import TABLE
from tests.occfer.toy_builds import Build, add_tiny_backbone, write_build
from tests.occsynth.test_escapes import HOSTILE

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ufffd]")
NAMES = [*(text.encode("utf-8", "replace").decode() for text in HOSTILE), "Müller–Żółć 表情"]  # noqa: RUF001
MARKDOWN = re.compile(r"(?<!\\)(?:\\\\)*<(?! )|(?<!\\)(?:\\\\)*\]\(")

pytestmark = pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout", "ignore:.*axes sizes collapsed")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run that is in order; the backbone `tiny` is known as long as it is used."""
    add_tiny_backbone()
    root = tmp_path_factory.mktemp("run")
    manifest = write_build(root / "builds", Build())
    yield train(quick(manifest, method="resnet", out=root / "resnet")).folder
    del BACKBONES["tiny"]


def call(*words: object, may_refuse: bool = False) -> str:
    """What a command prints; it may refuse a name, but not with a traceback."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    shown = f"{result.output}\n{result.exception!r}"
    assert result.exit_code in (0, 1)[: 1 + may_refuse], shown
    assert result.exception is None or isinstance(result.exception, SystemExit), shown
    assert not CONTROLS.search(result.output), shown
    assert result.exit_code == 0 or re.search("^error: .*\n\\Z", result.stderr, re.MULTILINE), shown
    return result.stdout


def check_files(folder: Path) -> None:
    """Nothing below a folder that commands wrote would run, or be markup, where people open it."""
    for path in folder.rglob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for cell in (cell for line in csv.reader(file) for cell in line):
                assert not re.match(r"[=@\t\r\n\uff1d]|[+-](?![\d.])", cell), (path, cell)
    for path in folder.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert not CONTROLS.search(text) and not MARKDOWN.search(text), text
    for path in folder.rglob("*.tex"):
        text = path.read_text(encoding="utf-8")
        assert not CONTROLS.search(text) and "\\input" not in text and "\\frac" not in text, text


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.found.append((tag, dict(attrs)))


def folders_with(name: str, root: Path, run: Path) -> list[Path]:
    """A run from elsewhere, and a table, with the name wherever they hold a text that is free."""
    folder = root / "sent"
    folder.mkdir()
    known = read_predictions(run / "predictions.csv")
    pairs = [
        replace(pair, pair_id=f"{index}{name}", mode=name, category=name, subject=f"{name}{index % 3}", database=name)
        for index, pair in enumerate(known.pairs)
    ]
    write_predictions(folder / "predictions.csv", replace(known, pairs=tuple(pairs)))
    assert read_predictions(folder / "predictions.csv").pairs == tuple(pairs), "it is read as it was written"
    write_json(folder / "metrics.json", {"method": name, "notes": [name]})
    write_json(folder / "environment.json", {"command": name, "device": name, "versions": {name: name}})
    table = root / "table"
    lines = tuple(replace(line, title=name, key=name if index else line.key) for index, line in enumerate(TABLE.lines))
    columns = tuple(replace(column, title=name) for column in TABLE.columns)
    made = replace(TABLE.provenance, command=name, device=name, versions={name: name})
    write_table(
        table, replace(TABLE, title=name, database=name, notes=(name,), lines=lines, columns=columns, provenance=made)
    )
    return [folder, table]


@pytest.mark.parametrize("name", NAMES)
def test_results_that_someone_sent(name: str, run: Path, tmp_path: Path) -> None:
    folder, table = folders_with(name, tmp_path, run)
    out = tmp_path / "out"
    call("compare", folder, folder, "-o", out / "compared")
    call("report", folder, table, out / "compared", "-o", out / "report.html", "--device", "cpu")
    check_files(out)
    page = (out / "report.html").read_text(encoding="utf-8")
    tags = Tags(page).found
    assert not CONTROLS.search(page)
    assert [tag for tag, _ in tags].count("script") == 1 and not {"i", "iframe"} & {tag for tag, _ in tags}
    assert all(each["href"].startswith(("#", "data:,")) for tag, each in tags if tag in ("a", "link"))
    assert not any(each.startswith("on") for _, attributes in tags for each in attributes)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_that_someone_sent(name: str, run: Path, tmp_path: Path) -> None:
    def edit(rows: list[Row]) -> list[Row]:
        named = {"split": "", "database": name, "mode": name, "occlusion": json.dumps({"category": name})}
        return [
            replace(row, **named, pair_id=f"{row.pair_id}{name}", subject=f"{name}{row.subject}")  # type: ignore[arg-type]
            for row in rows
        ]

    manifest = write_build(tmp_path / "builds", Build(name="other-r16", database="other", edit=edit))
    info = json.loads(manifest.with_suffix(".json").read_text())
    write_json(manifest.with_suffix(".json"), info | {"database": name, "mode": name, "versions": {name: name}})
    out = tmp_path / "out"
    common = ("--checkpoint", run, "--manifest", manifest, "--device", "cpu")
    call("evaluate", *common, "--allow-overlap", "--out", out / "tested")
    call("profile", *common, "-o", out / "profile")
    call("report", out / "tested", out / "profile", "-o", out / "report.html", "--device", "cpu")
    check_files(out)


@pytest.mark.parametrize("name", NAMES)
def test_files_with_such_names(name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = re.sub(r"[/\0]", "", name)[:60]
    pictures = Path("pictures") / f"x{plain}"
    pictures.mkdir(parents=True)
    (pictures / f"{plain}.jpg").write_bytes((DEMO_ROOT / "images/s001/s001_anger.jpg").read_bytes())
    (Path("pictures") / f"{plain}.jpg").write_bytes(b"no picture")
    model = write_model(tmp_path / "model.safetensors", size_px=48)
    words = ("predict", "pictures", "--checkpoint", model, "--device", "cpu")
    assert "\tanger\t" in call(*words) or len(call(*words).splitlines()) == 3
    call(*words, "-o", "out/answers.csv", "-o", "out/answers.json", "--annotate", "out/drawn")
    check_files(Path("out"))
    sources = [each["source"] for each in json.loads(Path("out/answers.json").read_text())["answers"]]
    assert any(source.endswith(f"{plain}.jpg") for source in sources), "JSON holds the name as it is"


@pytest.mark.parametrize("name", NAMES)
def test_figures_draw_names_as_letters(name: str, run: Path, tmp_path: Path) -> None:
    known = read_predictions(run / "predictions.csv")
    words = {word: f"{word}{name}" for word in known.classes}
    pairs = tuple(replace(pair, truth=words[pair.truth], mode=name) for pair in known.pairs)
    predictions = replace(known, classes=tuple(words.values()), pairs=pairs)
    summary = summarise(predictions)
    drawn = (
        figures.confusion_figure(summary, name),
        figures.mode_figure(summary, name),
        figures.coverage_figure(summary, name),
        figures.reliability_figure(predictions, name),
        figures.reconstruction_figure([("clean", np.zeros((1, 4, 4, 3), np.float32))], [name], name),
    )
    for number, figure in enumerate(drawn):
        figure.draw_without_rendering()
        texts = [each for each in figure.findobj(Text) if isinstance(each, Text)]
        assert not any(each.get_parse_math() for each in texts if "$" in each.get_text())
        assert not any(CONTROLS.search(each.get_text().replace("\n", "")) for each in texts)
        svg = save(figure, tmp_path / f"{number}.svg").read_text(encoding="utf-8")
        assert not CONTROLS.search(svg) and "<script" not in svg


@pytest.mark.parametrize("name", [*NAMES, "x" * 100_000])
def test_an_answer_is_drawn_beside_the_picture(name: str) -> None:
    answer = Answer(
        "a.jpg", None, "ok", expression=name, probabilities=(0.75, 0.25), face="found", box_xyxy=(9, 9, 90, 90)
    )
    drawn = draw(np.zeros((120, 100, 3), np.uint8), [answer], (name, "fear"))
    assert drawn.shape[1] < 3000


@pytest.mark.parametrize("name", NAMES)
def test_progress_in_a_pipe_is_plain(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from occfer.cli.progress import progress

    with progress() as on_step:
        assert isinstance(on_step, PlainLines)
        on_step({"event": "note", "text": name})
    said = capsys.readouterr().err
    assert not CONTROLS.search(said) and said.count("\n") == 1
