"""docs/extend.md is run: its files and lines are put into a copy of the project, then its commands are typed."""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from occsynth.databases.demo import ROOT as DEMO
from tests.builds import ROOT

PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
PEOPLE = ("s001", "s002", "s003", "s004", "s005")
PROGRAMS = {"occsynth": "occsynth.cli.app", "occfer": "occfer.cli.app"}


@dataclass(frozen=True)
class Block:
    """A block of the page: a new file's content, or new lines of an old one."""

    kind: str
    file: str
    text: str


def blocks() -> Iterator[Block]:
    """Each block with the file that was named last before it."""
    file = ""
    for named, kind, text in re.findall(r"^`([\w/.]+)`|^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        file = named or file
        if kind in ("python", "diff"):
            yield Block(kind, file, text)


def apply(block: Block, copy: Path) -> None:
    path = copy / block.file
    if block.kind == "python":
        assert not path.exists(), f"{block.file} is a new file"
        path.write_text(block.text, encoding="utf-8")
        return
    lines = block.text.splitlines(keepends=True)
    assert all(line[0] in " +" for line in lines) and any(line[0] == "+" for line in lines)
    before = "".join(line[1:] for line in lines if line[0] == " ")
    content = path.read_text(encoding="utf-8")
    assert content.count(before) == 1, f"{block.file} has no place, or several, for\n{block.text}"
    path.write_text(content.replace(before, "".join(line[1:] for line in lines)), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages with everything of the page in them, and `work/faces` for its database to read."""
    folder = tmp_path_factory.mktemp("copy")
    for package in PROGRAMS:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "templates").symlink_to(ROOT / "templates")
    for block in blocks():
        apply(block, folder)
    for path in sorted(DEMO.glob("images/*/*.jpg")):
        person, _, word = path.stem.partition("_")
        if person in PEOPLE:
            (folder / "work/faces" / person).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / "work/faces" / person / f"{word}.jpg")
    shutil.copy(DEMO / "images/s001/s001_anger.jpg", folder / "work/faces/s001/boredom.jpg")
    return folder


def run(copy: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=copy / "work", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_every_block_has_its_file() -> None:
    found = list(blocks())
    assert PAGE.count("```") == 2 * (len(found) + 1), "all but the commands are files or lines"
    kinds = [(block.kind, block.file.split("/")[1]) for block in found]
    assert [where for kind, where in kinds if kind == "python"] == ["databases", "modes", "losses", "baselines"]
    assert {where for kind, where in kinds if kind == "diff"} == {
        "databases", "modes", "losses", "settings", "methods", "models", "baselines",
    }  # fmt: skip


def test_the_code_is_as_the_projects_own(copy: Path) -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    files = [str(copy / block.file) for block in blocks()]
    run(copy, *ruff, *files)
    run(copy, *ruff[:3], "format", "--check", *ruff[4:], *files)


EVERYWHERE = """
import json, sys
from pathlib import Path
from typer.main import get_command
from occfer.cli.app import app
from occfer.cli.training_flags import OF_MANY_RUNS
from occfer.config import TrainConfig
from occfer.config_fields import differences
from occfer.jobs.relevant_settings import content_of, settings_of
from occfer.jobs.search_space import TuneOptions, choices

commands = get_command(app).commands
new = ("lambda_huber", "huber_reach")
panels = {
    name: {each.opts[0]: each.rich_help_panel for each in command.params if each.name in new}
    for name, command in commands.items()
}
config = TrainConfig(manifests=(Path("a.csv"),), method="huber")
other = TrainConfig(manifests=(Path("a.csv"),), method="huber", lambda_huber=2.0)
plain = TrainConfig(manifests=(Path("a.csv"),), method="sim")
found = {
    "panels": {name: each for name, each in panels.items() if each},
    "differences": differences(config, other),
    "in keys of": sorted(
        name for name in ("huber", "sim", "full", "resnet", "rgbt") if "lambda_huber" in settings_of(name)
    ),
    "redone": content_of(config, ["m"], []) != content_of(other, ["m"], []),
    "searched": choices(TuneOptions(base=config))["lambda_huber"],
}
try:
    TrainConfig(manifests=(Path("a.csv"),), huber_reach=0.0)
except Exception as error:
    found["refused"] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


def test_a_field_of_the_configuration_is_found_everywhere(copy: Path) -> None:
    """Flags, panels, checks, the check at --resume, keys of jobs and the search follow from the one field."""
    found = json.loads(run(copy, sys.executable, "-c", EVERYWHERE))
    both = {"--lambda-huber": "losses", "--huber-reach": "losses"}
    assert found["panels"] == {"train": both, "tune": both, "reproduce": both}
    assert found["differences"] == ["--lambda-huber 1.0 -> 2.0"]
    assert found["in keys of"] == ["huber"] and found["redone"]
    assert found["searched"] == [0.01, 0.1, 0.5, 1.0]
    assert found["refused"] == "ConfigError: --huber-reach 0.0: must be greater than 0"


WEIGHED = """
import json, torch
from pathlib import Path
from occfer.config import TrainConfig
from occfer.methods import METHODS, Guidance
from occfer.models.classifier import build_classifier

def terms(**settings):
    torch.manual_seed(0)
    config = TrainConfig(manifests=(Path("a.csv"),), method="huber", **settings)
    player = Guidance(METHODS["huber"], build_classifier("mobilenet_v2", 7), config)
    torch.manual_seed(1)
    images, logits = torch.rand(4, 3, 32, 32), torch.randn(4, 7)
    step = player.student_step(images, torch.tensor([0, 1, 2, 3]), teacher_logits=logits)
    return {name: float(value) for name, value in step.items()}

print(json.dumps([terms(lambda_huber=0.5), terms(lambda_huber=2.0), terms(huber_reach=1.0)]))
"""


def test_the_loss_sees_its_weight_and_its_option(copy: Path) -> None:
    half, double, sharp = json.loads(run(copy, sys.executable, "-c", WEIGHED))
    assert half["huber"] == pytest.approx(double["huber"]) and half["huber"] != pytest.approx(sharp["huber"])
    assert half["total"] == pytest.approx(half["sup"] + 0.5 * half["huber"], rel=1e-5)
    assert double["total"] == pytest.approx(double["sup"] + 2.0 * double["huber"], rel=1e-5)


@pytest.mark.slow
def test_the_commands_run_on_what_the_page_adds(copy: Path) -> None:
    (console,) = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    printed = []
    for line in console.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line.removeprefix("$ "))
        words += ["--device", "cpu", "--no-figures"] if words[0] == "train" else []
        module = PROGRAMS[program]
        printed.append(run(copy, sys.executable, "-c", f"import sys; from {module} import main; main()", *words))
    work = copy / "work"
    assert "35 pairs" in printed[0] and "rejects\t1 of 36 sources" in printed[0]
    assert "unknown expression 'boredom'" in (work / "builds/manifests/my-faces-bar-black.rejects.csv").read_text()
    with (work / "builds/manifests/my-faces-bar-black.csv").open() as file:
        covered = [float(row["coverage_eyes"]) for row in csv.DictReader(file)]
    assert min(covered) > 0.9 and len(covered) == 35
    assert "\n35 rows match" in printed[1]
    with (work / "runs/huber/metrics.csv").open() as file:
        terms = [row["huber"] for row in csv.DictReader(file) if row["stage"] == "guidance" and row["huber"]]
    assert terms and all(float(term) >= 0 for term in terms)
    assert json.loads((work / "runs/huber/config.json").read_text())["lambda_huber"] == 0.5
    assert printed[3].startswith("nearest-mean on my-faces-bar-black, fold 0: accuracy ")
    assert "\nA: huber (runs/huber): accuracy " in printed[4]
