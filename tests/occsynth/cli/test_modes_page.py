"""The commands of docs/modes.md run, on a few faces."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occsynth.cli.app import app
from tests.builds import ROOT

PAGE = (ROOT / "docs/modes.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs(command: str, tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("s001_anger\ns017_neutral")
    program, name, *words = shlex.split(command)
    assert program == "occsynth"
    if name == "modes":  # one mode of those that test_hidden_shares.py measures
        flag, modes = words
        words = [flag, modes.split(",")[-1]]
    else:
        words += ["--subset", str(few), "--out", str(tmp_path), "--workers", "1"]
    result = CliRunner().invoke(app, [name, *words])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) > 3
