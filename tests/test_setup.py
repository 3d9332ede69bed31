"""The set-up files agree with each other and with the code."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import occsynth
from occsynth.system_libraries import LIBRARIES, debian_packages

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")

OF_PRE_COMMIT_HOOKS = {
    "check-added-large-files",
    "check-toml",
    "check-yaml",
    "end-of-file-fixer",
    "trailing-whitespace-fixer",
}
"""Programs of the package `pre-commit-hooks`."""


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every job of every workflow, with a name for messages."""
    for path in WORKFLOWS:
        for name, job in read_yaml(path)["jobs"].items():
            yield f"{path.name}, job {name}", job


def python_versions() -> list[str]:
    """The versions that pyproject.toml's classifiers name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = (re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each) for each in project["classifiers"])
    return [each[1] for each in found if each]


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


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_read_only_and_run_once_per_branch(path: Path) -> None:
    workflow = read_yaml(path)
    assert set(workflow[True]) == {"push", "pull_request"}, "YAML reads the key `on` as true"
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"] == {"group": "${{ github.workflow }}-${{ github.ref }}", "cancel-in-progress": True}
    assert all("permissions" not in job for job in workflow["jobs"].values())


def test_workflows_use_actions_by_major_version_and_keep_pips_cache() -> None:
    listed = list(jobs())
    assert listed
    for name, job in listed:
        assert job["timeout-minutes"] > 0, name
        used = [step for step in job["steps"] if "uses" in step]
        for step in used:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]), f"{name}: {step['uses']}"
        (setup,) = (step["with"] for step in used if step["uses"].startswith("actions/setup-python@"))
        assert setup["cache"] == "pip", name
        assert setup["cache-dependency-path"].endswith("pyproject.toml"), name


def test_workflows_run_on_the_pythons_that_pyproject_names() -> None:
    versions = python_versions()
    assert len(versions) == 3
    tested = {name: job["strategy"]["matrix"]["python-version"] for name, job in jobs() if "strategy" in job}
    assert tested == {"tests.yml, job test": versions, "wheel.yml, job smoke": versions}
    for name, job in jobs():
        for step in job["steps"]:
            version = step.get("with", {}).get("python-version", "${{ matrix.python-version }}")
            assert version in {"${{ matrix.python-version }}", versions[0]}, name


def test_workflows_call_make_targets_and_files_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    scripts = [step["run"] for _, job in jobs() for step in job["steps"] if "run" in step]
    called = {target for script in scripts for target in re.findall(r"^make PYTHON=python\S.* (\w+)$", script, re.M)}
    assert called == {"test", "docs"}
    assert called <= targets
    for script in scripts:
        for file in re.findall(r"\b(?:occsynth|occfer|scripts|docs)/[\w./]+\.\w+", script):
            assert (ROOT / file).is_file(), file


def test_make_help_names_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert set(re.findall(r'^\t@echo "make ([\w-]+) ', text, re.MULTILINE)) == set(phony.split()) - {"help", "setup"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_forms_are_whole(path: Path) -> None:
    form = read_yaml(path)
    assert form["name"] and form["description"] and form["labels"]
    fields = [each for each in form["body"] if each["type"] != "markdown"]
    assert {each["type"] for each in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert len({each["id"] for each in fields}) == len(fields)
    assert all(each["attributes"]["label"] for each in fields)
    for page in re.findall(r"\]\(\.\./blob/main/([^)#]+)", path.read_text()):
        assert (ROOT / page).is_file(), page


def test_hooks_start_tools_that_the_extra_dev_brings() -> None:
    """Each hook runs a program of .venv, so that a commit and `make lint` use the same versions."""
    config = read_yaml(ROOT / ".pre-commit-config.yaml")
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    dev = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    packages = {re.split(r"[<>=\[]", line)[0] for line in dev}
    assert {"ruff", "mypy", "typos", "pre-commit", "pre-commit-hooks"} <= packages
    for hook in hooks:
        assert hook["language"] == "system"
        program = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert program in {"ruff", "mypy", "typos"} or program.startswith(("check-", "end-of-", "trailing-")), hook[
            "id"
        ]
    assert {"ruff-check", "ruff-format", "mypy", "typos", "check-added-large-files"} <= {hook["id"] for hook in hooks}


def test_only_the_landmark_model_is_a_large_file() -> None:
    """What `check-added-large-files` leaves out is what needs it."""
    hooks = {hook["id"]: hook for hook in read_yaml(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]}
    hook = hooks["check-added-large-files"]
    (limit_kb,) = re.findall(r"--maxkb=(\d+)", hook["entry"])
    model = "occsynth/assets/face_landmarker.task"
    assert re.search(hook["exclude"], model)
    assert (ROOT / model).stat().st_size > int(limit_kb) * 1024
