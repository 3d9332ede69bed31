"""docs/extend.md is run: its files and lines are put into a copy of the project, then its commands are typed."""

import csv
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
        "databases", "modes", "losses", "methods", "baselines",
    }  # fmt: skip


def test_the_code_is_as_the_projects_own(copy: Path) -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    files = [str(copy / block.file) for block in blocks()]
    run(copy, *ruff, *files)
    run(copy, *ruff[:3], "format", "--check", *ruff[4:], *files)


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
    with (work / "runs/kd/metrics.csv").open() as file:
        terms = [row["kd"] for row in csv.DictReader(file) if row["stage"] == "guidance" and row["kd"]]
    assert terms and all(float(term) >= 0 for term in terms)
    assert printed[3].startswith("nearest-mean on my-faces-bar-black, fold 0: accuracy ")
    assert printed[4].startswith("A: kd (runs/kd): accuracy ")
