"""The command of docs/leaderboard.md runs, and says what it made."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from tests.builds import ROOT
from tests.occfer.leaderboard.results import result, written

PAGE = (ROOT / "docs/leaderboard.md").read_text(encoding="utf-8")


def test_the_command_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "runs/full/benchmark", result("full", 60, 50, 40, 45))
    written(tmp_path / "benchmark/fer", result("fer", 50, 40, 40, 45))
    (command,) = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    said = ["2 results on 1 suite", "page\tsite/index.html", "figures\tsite/leaderboard.csv"]
    assert done.output.splitlines() == said
    named = re.findall(r"`site/([\w.]+)`", PAGE)
    assert all((tmp_path / "site" / name).is_file() for name in named) and len(named) == 2
