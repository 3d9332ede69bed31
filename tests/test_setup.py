"""The set-up files agree with each other and with the code."""

import re
import tomllib
from pathlib import Path

import occsynth
from occsynth.system_libraries import LIBRARIES, debian_packages

ROOT = Path(__file__).parents[1]


def test_the_dockerfile_installs_the_system_libraries() -> None:
    text = (ROOT / "Dockerfile").read_text()
    installed = re.search(r"--no-install-recommends \\\n\s+(.*?) \\\n", text)
    assert installed is not None
    assert installed.group(1).split() == debian_packages(LIBRARIES)


def test_the_dockerfile_copies_what_the_wheel_needs() -> None:
    text = (ROOT / "Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for name in line.split()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"], "hatch_build.py", "pyproject.toml"}
    assert needed | {"templates"} == copied
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not copied & set(ignored)


def test_the_dockerfile_has_cpu_and_gpu_stages() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert stages == [("${PYTHON_IMAGE}", "base"), ("base", "gpu"), ("base", "cpu")]


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == occsynth.__version__
    assert f"\nversion: {occsynth.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {occsynth.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_runs_the_tests() -> None:
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")


def test_the_model_notice_names_the_shipped_file() -> None:
    notice = (ROOT / "occsynth" / "assets" / "face_landmarker.md").read_text()
    size = (ROOT / "occsynth" / "assets" / "face_landmarker.task").stat().st_size
    assert f"{size:,} bytes" in notice
    assert "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff" in notice
    assert "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff" in (ROOT / "NOTICE").read_text()
