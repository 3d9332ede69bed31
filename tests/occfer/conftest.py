"""What the tests of occfer share: small builds to train on, a tiny backbone, one thread."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from occfer.config import TrainConfig
from occfer.models import BACKBONES
from tests.occfer.toy_builds import Build, add_tiny_backbone, write_build


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny_backbone() -> Iterator[None]:
    add_tiny_backbone()
    yield
    del BACKBONES["tiny"]


@pytest.fixture
def make_build(tmp_path: Path) -> Callable[..., Path]:
    """`make_build(subjects=4, ...)` writes a build under the test's folder and returns its manifest."""

    def make(**settings: Any) -> Path:
        return write_build(tmp_path / "builds", Build(**settings))

    return make


@pytest.fixture
def make_config(tmp_path: Path, tiny_backbone: None) -> Callable[..., TrainConfig]:
    """`make_config(manifest, method="sim", ...)`: a run of the tiny backbone that takes a second."""

    def make(*manifests: Path, **settings: Any) -> TrainConfig:
        quick: dict[str, Any] = {
            "fold": 0, "backbone": "tiny", "weights": "none", "epochs": 1, "pretrain_epochs": 1,
            "batch_size": 8, "device": "cpu", "out": tmp_path / "run",
        }  # fmt: skip
        return TrainConfig(manifests=manifests, **(quick | settings))

    return make
