"""docs/report.md's commands run; the datasheet and the model card say what the files say."""

import csv
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from occsynth.databases.demo import ROOT as DEMO
from tests.builds import ROOT
from tests.occfer.toy_builds import Build, write_build

MakeBuild = Callable[..., Path]
DOCS = ROOT / "docs"
COMMANDS = [
    line.removeprefix("$ ").strip()
    for block in re.findall(r"^```console\n(.*?)^```$", (DOCS / "report.md").read_text(), re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
QUICK = {"--epochs": "1", "--pretrain-epochs": "1", "--backbone": "tiny", "--size": "24"}


def call(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, f"{words}\n{result.output}\n{result.exception!r}"


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: None) -> Path:
    """The folder in which every command of the page was typed, on toy builds in place of the demo's."""
    monkeypatch.chdir(tmp_path)
    for mode in ("r16", "eyes", "r8", "r24", "mouth", "random"):
        write_build(tmp_path / "builds", Build(name=f"demo-{mode}", database="demo", mode=mode, subjects=4, folds=2))
    for command in COMMANDS:
        program, *words = shlex.split(command)
        assert program == "occfer", command
        words = [QUICK.get(before, word) for before, word in zip(["", *words], words, strict=False)]
        if words[0] == "train":
            call([*words, "--batch-size", "8", "--device", "cpu"])
        else:
            call(words)
            call(words)  # what a command has made, it may make again
    return tmp_path


def test_the_commands_of_the_page_run_and_leave_what_it_says(ran: Path) -> None:
    assert [shlex.split(command)[1] for command in COMMANDS] == [
        "train", "train", "compare", "profile", "profile", "report",
    ]  # fmt: skip
    files = {path.name for path in (ran / "runs/compare").glob("[!.]*")}
    assert {"compare.json", "compare.csv"} <= files <= {"compare.json", "compare.csv", "differences.png"}
    assert {path.name for path in (ran / "runs/profile").glob("[!.]*")} == {
        "profile.csv", "profile.png", "profile.json", "a", "b",
    }  # fmt: skip
    assert (ran / "runs/report.html").is_file() and (ran / "runs/report-tables/runs/table.tex").is_file()
    card = (DOCS / "model_card.md").read_text()
    told = re.findall(r"`(\w+\.json)`: ((?:`\w+`(?:, )?)+)", card)
    assert len(told) >= 6
    for name, keys in told:
        content = json.loads((ran / "runs/full" / name).read_text())
        for key in re.findall(r"`(\w+)`", keys):
            assert key in content, f"{name} has no {key}"


def test_the_datasheet_counts_what_is_there() -> None:
    page = (DOCS / "demo_database_datasheet.md").read_text()
    with (DEMO / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} rendered pictures" in page
    subjects = {row["subject"]: row for row in rows}
    assert f"of {len(subjects)} computer-made people" in page
    for column in ("sex", "age_group", "ethnicity"):
        (told,) = re.findall(rf"^\| `{column}` \| (.*) \|$", page, re.MULTILINE)
        counts = {word: int(count) for word, count in re.findall(r"([\w-]+) (\d+)", told)}
        values = [row[column] for row in subjects.values()]
        assert counts == {value: values.count(value) for value in set(values)}
    assert list((DOCS / "demo_faces_render").glob("*.py"))
