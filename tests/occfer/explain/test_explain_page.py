"""docs/explain.md: its commands run, on toy faces and tiny runs in place of those of docs/report.md."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occfer.baselines import BASELINES
from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.evaluation.heat_results import FILE, SHEET, TABLE
from occfer.metrics.heat import COVERED
from occfer.training.train import train
from tests.builds import ROOT
from tests.occfer.toy_builds import Build, write_build

PAGE = (ROOT / "docs/explain.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: None) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = write_build(Path("builds"), Build(name="demo-r16", database="demo", subjects=4, folds=2))
    for method in ("full", "resnet-long"):
        config = TrainConfig(
            manifests=(manifest,), method=method, fold=0, backbone="tiny", weights="none", epochs=1, pretrain_epochs=1,
            batch_size=8, device="cpu", out=Path("runs") / method,
        )  # fmt: skip
        train(config)
    printed = {}
    for command in COMMANDS:
        program, *words = shlex.split(command)
        assert program == "occfer"
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{command}\n{done.output}"
        printed[words[0]] = done.stdout
    assert list(printed) == ["explain", "compare", "report"]
    for name in (FILE, TABLE, SHEET):
        assert f"`{name}`" in PAGE and Path("runs/full/explain/demo-r16", name).is_file()
    assert "heat of the answer inside the occluder: A " in printed["compare"]
    assert 'id="heat"' in Path("report.html").read_text()


def test_the_page_says_what_holds() -> None:
    assert f"whose mask is at least {COVERED}" in PAGE
    assert all(f"`{name}`" in PAGE for name in BASELINES)
