"""The README is run: every command, in one folder, from top to bottom; printed output must be what it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from occsynth.databases.demo import ROOT as DEMO_ROOT
from occsynth.pixels.images import read_rgb
from tests.builds import ROOT, run_python
from tests.occsynth.databases.trees import ck_plus

DEMO_FACE = DEMO_ROOT / "images/s001/s001_anger.jpg"
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
DOCS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(ROOT / folder / "README.md" for folder in ("benchmarks", "manifests", "templates", "occsynth/assets/demo_faces")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / ".github/pull_request_template.md",
]


def commands() -> list[tuple[str, str]]:
    """Each line that begins with `$ `, and the output that is shown for it."""
    found: list[tuple[str, str]] = []
    for kind, text in BLOCKS:
        for line in text.splitlines(keepends=True) if kind == "console" else ():
            if line.startswith("$ "):
                found.append((line[2:].rstrip("\n"), ""))
            else:
                command, shown = found[-1]
                found[-1] = (command, shown + line)
    return found


def unmeasured(text: str) -> str:
    """The output without what differs from run to run."""
    return re.sub(r"\d+\.\d s\b", "... s", text)


def run(command: str, folder: Path) -> str:
    """Runs a command line as a user would, in `folder`; it must end well."""
    outside = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CONFIG_HOME": str(folder / "settings"),
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env={**os.environ, **outside}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def check_without_running(command: str) -> bool:
    """Whether this is a command that another test runs: the make targets and the installation."""
    if command.startswith("make "):
        done = subprocess.run(["make", "-n", command[5:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return True
    extras = re.fullmatch(r"pip install '?\.(?:\[(\w+)\])?'?", command)
    if extras:
        assert extras[1] is None or f"\n{extras[1]} = [" in (ROOT / "pyproject.toml").read_text()
        return True
    return False


@pytest.mark.slow
@pytest.mark.xdist_group("readme")
def test_every_command_runs_and_prints_what_is_shown(tmp_path: Path) -> None:
    ck_plus(tmp_path / "ck+")
    listed = commands()
    assert len(listed) > 15
    for command, shown in listed:
        if check_without_running(command):
            continue
        printed = run(command.replace("/data/ck+", str(tmp_path / "ck+")), tmp_path)
        if shown:
            assert unmeasured(printed) == unmeasured(shown), command
    ours, shown_there = (read_rgb(path) for path in (tmp_path / "builds/pairs.png", ROOT / "docs/pictures/pairs.png"))
    assert ours.shape == shown_there.shape
    assert np.mean(cv2.absdiff(ours, shown_there)) < 1  # letters may be drawn otherwise by another Pillow


def test_every_snippet_runs() -> None:
    snippets = [text for kind, text in BLOCKS if kind == "python"]
    assert snippets
    face = f"from occsynth.pixels.images import read_rgb\nimage = read_rgb(Path({str(DEMO_FACE)!r}))\n"
    for text in snippets:
        assert run_python(f"from pathlib import Path\n{face}{text}").startswith("(224, 224, 3) (224, 224) ")


def test_every_block_is_run() -> None:
    assert {kind for kind, _ in BLOCKS} == {"console", "python"}
    assert README.count("```") == 2 * len(BLOCKS)


def anchors(page: Path) -> set[str]:
    """What a link may name after `#`: each heading in lower case, without punctuation, with - for spaces."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DOCS, ids=[path.relative_to(ROOT).as_posix() for path in DOCS])
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path = page.parent / target if target else page
        assert path.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(path), f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", "docs/architecture.md", "docs/release.md"])
def test_pages_name_files_that_exist(page: str) -> None:
    """Paths from the root of the repository, or from a package: `occfer/data/packs.py`, `data/packs.py`, `faces/`."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+(?:/|\.py))`", text))
    places = (ROOT, ROOT / "occsynth", ROOT / "occfer")
    missing = {name for name in named if not any((place / name).exists() for place in places)}
    assert missing - {"builds/", "dist/", "reproduce/", "site/"} == set()


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {name for name in pages if f"]({name})" not in index} == set()
