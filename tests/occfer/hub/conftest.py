"""A Hub on this machine, a user who is logged in there, and a run folder full of things that nobody else may see."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from huggingface_hub import constants

from occfer.config import TrainConfig
from occfer.models import BACKBONES
from occfer.runs.checkpoint import load, save
from occfer.training.train import train
from tests.occfer.hub.hub_server import TOKEN, Hub, serving
from tests.occfer.toy_builds import Build, add_tiny_backbone, write_build

PERSON = "S037_Jane_Doe"
"""A name that must not leave this machine; it stands in the run folder and in the model file."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", running.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running


@pytest.fixture(scope="session")
def private_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; its folder has pictures of faces, and its model file and its manifests' folders name a person."""
    here = tmp_path_factory.mktemp(PERSON)
    known = dict(BACKBONES)
    add_tiny_backbone()
    manifest = write_build(here / "builds", Build(name="demo-r16", database="demo", folds=3, subjects=3))
    config = TrainConfig(
        manifests=(manifest,), method="sim", fold=0, backbone="tiny", weights="none", epochs=1, pretrain_epochs=1,
        batch_size=8, device="cpu", out=here / "run",
    )  # fmt: skip
    train(config)
    BACKBONES.clear()
    BACKBONES.update(known)
    run = here / "run"
    face = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    for name in ("reconstruction.png", "figures/faces.jpg", "explain/sheet.png", f"{PERSON}.png"):
        (run / name).parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(run / name), face)
    best = run / "checkpoints/best.safetensors"
    tensors, header = load(best)
    header["data"]["duplicates"] = [f"demo/{PERSON}_anger"]
    save(best, tensors, header)
    assert PERSON in json.dumps(header["config"])
    return run
