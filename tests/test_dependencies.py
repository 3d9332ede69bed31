"""docs/dependencies.md names exactly what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCS = (ROOT / "docs" / "dependencies.md").read_text()
SECTIONS = {
    "## Base": ["base"],
    "## `train`": ["train"],
    "## `cluster`": ["cluster", "slurm", "tune", "export", "timm", "hub", "coco", "exchange", "explain", "demo"],
    "## `tensorboard`": ["tensorboard", "trackio", "wandb", "mlflow"],
    "## `docs`": ["docs"],
    "## `dev`": ["dev"],
}


def asked_for(extra: str) -> set[str]:
    lines = PROJECT["dependencies"] if extra == "base" else PROJECT["optional-dependencies"][extra]
    names = {re.split(r"[<>=!~ ]", line)[0] for line in lines}
    return {name for name in names if not name.startswith("occsynth")}


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_docs_list_what_is_asked_for(heading: str) -> None:
    section = DOCS[DOCS.index(heading) :].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*) \| ([^|]*) \|", section, re.MULTILINE)
    assert {name for name, _, _ in rows} == set().union(*(asked_for(extra) for extra in SECTIONS[heading]))
    assert all(purpose.strip() and licence.strip() for _, purpose, licence in rows)


def test_no_licence_forbids_apache_2() -> None:
    licences = re.findall(r"^\| `[^`]+` \| [^|]* \| ([^|]*) \|", DOCS, re.MULTILINE)
    assert licences
    assert not [licence for licence in licences if re.search(r"(?<!L)GPL|NC|non-commercial", licence)]


def test_the_contrib_wheel_is_the_only_opencv() -> None:
    everything = set().union(*(asked_for(extra) for extra in ["base", *PROJECT["optional-dependencies"]]))
    assert {name for name in everything if "opencv" in name} == {"opencv-contrib-python"}


def test_the_base_install_has_no_torch() -> None:
    assert not {"torch", "torchvision", "lightning-fabric", "safetensors"} & asked_for("base")
    assert PROJECT["optional-dependencies"]["all"] == [
        "occsynth[train,cluster,slurm,tune,export,timm,hub,coco,exchange,explain,demo,tensorboard,trackio,wandb,mlflow]"
    ]
