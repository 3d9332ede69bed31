"""docs/baselines.md: its commands run and its numbers are right."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occfer.baselines.patches import patch_baseline
from occfer.baselines.patches.network import PatchSizes
from occfer.cli.app import app
from occfer.evaluation.compare import read_compared
from occfer.method_table import TRAINERS
from tests.builds import ROOT
from tests.occfer.toy_builds import WORDS, Build, write_build

PAGE = (ROOT / "docs" / "baselines.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ").strip()
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("$ ")
]
NARROW = PatchSizes(blocks=(2, 2, 2, 4, 4), gate=(4, 4), feature=2, global_feature=4, hidden=8)


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a toy build instead of the demo database, with narrow networks, few templates and few trees."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(TRAINERS, "pg-cnn", patch_baseline("PG-CNN", NARROW))
    monkeypatch.setitem(TRAINERS, "gacnn", patch_baseline("gACNN", NARROW, global_unit=True))
    write_build(
        tmp_path / "builds", Build(name="demo-r16", database="demo", words=WORDS[:4], size_px=48, landmarks=True)
    )
    assert COMMANDS
    for command in COMMANDS:
        program, *words = shlex.split(command)
        if program == "occsynth":
            continue  # the README's test runs the build
        assert program == "occfer", command
        if {"pg-cnn", "gacnn"} & set(words):
            assert {"--baseline-epochs", "--baseline-updates"} <= set(words), f"{command} would take long here"
        if words[0] == "train":
            words += ["--rgbt-templates", "20", "--forest-trees", "10"]
        words += {"train": ["--device", "cpu", "--no-figures"], "evaluate": ["--device", "cpu"]}.get(words[0], [])
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception!r}"
        if {"rgbt", "wls-rf"} & set(words) or (words[0] == "evaluate" and "pg-cnn" not in command):
            assert "(reconstruction) on demo" in done.stdout, command
    runs = ("runs/demo-r16-rgbt-fold0", "runs/forest")
    compared = CliRunner().invoke(app, ["compare", *runs, "-o", "compared"]).stdout
    assert "A: rgbt (reconstruction) (" in compared and "B: wls-rf (reconstruction) (" in compared
    assert read_compared(Path("compared")).a == f"rgbt (reconstruction) ({runs[0]})"


def test_the_numbers_of_parameters_are_those_of_the_snippet(capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(snippet, {})  # noqa: S102 - our own page
    counts = [f"{int(line):,}" for line in capsys.readouterr().out.split()]
    assert counts == re.findall(r"^\| (?:PG-CNN|gACNN) \| ([\d,]+) \|", PAGE, re.MULTILINE)
