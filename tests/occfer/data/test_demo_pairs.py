"""Every method on rendered faces that occsynth has aligned and occluded: both packages together."""

import csv
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from occfer.config import TrainConfig
from occfer.methods import METHODS
from occfer.runs.checkpoint import load_model
from occfer.training.train import train
from tests.builds import build_demo

WORDS = ("anger", "happiness", "surprise")
PEOPLE = ("s001", "s002", "s003", "s004", "s005")
"""In five different folds; the first one's is tested."""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 15 pairs at 48 px."""
    stems = tuple(f"{person}_{word}" for person in PEOPLE for word in WORDS)
    (manifest,) = build_demo(tmp_path_factory.mktemp("demo"), stems=stems, size_px=48)
    return manifest.path


@pytest.fixture(scope="module")
def branches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the methods share their pre-trained branches."""
    return tmp_path_factory.mktemp("branches")


def weights(path: Path) -> dict[str, Tensor]:
    return load_model(path).classifier.state_dict()


@pytest.mark.parametrize("method", METHODS)
def test_a_few_steps_of_every_method(pairs: Path, branches: Path, tmp_path: Path, method: str) -> None:
    config = TrainConfig(
        manifests=(pairs,), fold=0, method=method, backbone="resnet18", weights="none", pretrain_epochs=1, epochs=1,
        batch_size=6, pretrain_rate=1e-3, rate=1e-3, log_every=1, device="cpu", branch_cache=branches,
        val_fraction=0, student_norm="batch", out=tmp_path / "run",
    )  # fmt: skip
    run = train(config)
    description = METHODS[method]
    with (run.folder / "metrics.csv").open(newline="") as file:
        steps = [line for line in csv.DictReader(file) if line["stage"] == "guidance"]
    assert len(steps) == (2 if description.stage2 else 0)
    for line in steps:
        terms = ["total", "sup", *description.losses, *(["d"] if description.needs_discriminator else [])]
        assert all(math.isfinite(float(line[name])) and float(line[name]) >= 0 for name in terms)
    before = weights(run.folder / "checkpoints" / f"{description.branch}-branch.safetensors")
    moved = {name for name, tensor in weights(run.checkpoint).items() if not torch.equal(tensor, before[name])}
    assert moved == (set(before) if description.stage2 else set())
    with run.predictions.open(newline="") as file:
        answers = list(csv.DictReader(file))
    assert [line["pair_id"] for line in answers] == [f"images/s001/s001_{word}" for word in WORDS]
    assert [line["truth"] for line in answers] == list(WORDS)
    assert run.metrics["n"] == 3
