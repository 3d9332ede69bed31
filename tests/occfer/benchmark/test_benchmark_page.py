"""docs/benchmark.md: its commands run, one after another, and what it says of suites is so."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occfer.benchmark.result import read_benchmark
from occfer.cli.app import app as occfer
from occfer.config import TrainConfig
from occfer.training.train import train
from occsynth.cli.app import app as occsynth
from occsynth.suites.make import standard_columns
from occsynth.suites.shipped import find_suite, shipped_suites
from occsynth.suites.suite import read_suite
from tests.builds import DEMO_ROOT, ROOT, build_demo
from tests.occsynth.databases.trees import ferplus

PAGE = (ROOT / "docs/benchmark.md").read_text(encoding="utf-8")
PEOPLE = tuple(path.stem for path in sorted(DEMO_ROOT.glob("images/s00[1-3]/*.jpg")))
COMMANDS = [
    line[2:]
    for text in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in text.splitlines()
]


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path, tiny_backbone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    ferplus(tmp_path / "ferplus")
    manifest = build_demo(tmp_path / "builds", "r16", PEOPLE).pop()
    train(
        TrainConfig(
            manifests=(manifest.path,), fold=0, backbone="tiny", weights="none", epochs=1, pretrain_epochs=1,
            val_fraction=0.0, device="cpu", method="resnet", out=Path("runs/first"),
        )
    )  # fmt: skip
    for command in COMMANDS:
        program, *words = shlex.split(command.replace("/data/ferplus", str(tmp_path / "ferplus")))
        done = CliRunner().invoke({"occfer": occfer, "occsynth": occsynth}[program], words)
        assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception!r}"
    (folder,) = Path("runs/first/benchmark").iterdir()
    result = read_benchmark(folder)
    assert result.suite.digest == read_suite(find_suite("demo")).digest
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {
        "benchmark.json", "results.json", "columns"
    }  # fmt: skip
    assert [path.name for path in Path("builds/suites").iterdir()] == [folder.name]


def test_what_it_says_of_suites_is_so() -> None:
    modes = re.findall(r"`([a-z]+(?:-?\d+)?)`", "".join(re.findall(r"^\| `random`.*\n(?:\|.*\n)*", PAGE, re.MULTILINE)))
    columns = standard_columns()
    assert set(modes) == {column.mode for column in columns} and f"all {len(columns)} columns" in PAGE
    shipped = re.findall(r"^\| `(\w+)` \|.*\| (frozen|a recipe)", PAGE, re.MULTILINE)
    assert [name for name, _ in shipped] == shipped_suites()
    for name, state in shipped:
        assert read_suite(find_suite(name)).is_frozen == (state == "frozen")
