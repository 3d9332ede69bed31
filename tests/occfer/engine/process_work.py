"""What the tests of several processes run in each of them; importable, because it is pickled for each process."""

import os
import signal
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from occfer.config import TrainConfig
from occfer.engine.engine import Engine
from occfer.engine.run_data import prepare
from occfer.engine.stages import GuidedStage, PretrainStage
from occfer.events import OnStep
from occfer.methods import METHODS
from occfer.models.classifier import build_classifier
from occfer.models.seeding import weight_seed
from tests.occfer.toy_builds import add_tiny_backbone


def save_gradients(engine: Engine, on_step: OnStep, *, config: TrainConfig, folder: Path) -> None:
    """One update of each player, and of a branch in stage 1, on the same global batch in however many processes.

    Writes the gradients of each process, with batch norm in eval mode, where a share of a batch is normalised as the
    whole of it is.
    """
    torch.set_num_threads(1)
    add_tiny_backbone()
    data = prepare(config, engine, None)
    branches = []
    for part in ("student", "teacher", "branch"):
        with weight_seed(7, part):
            branches.append(build_classifier("tiny", len(data.split.classes)))
    student, teacher, branch = branches
    method = METHODS[config.method]
    stage = GuidedStage(method, student, [teacher], data=data, config=config, engine=engine)
    stage._guidance.train(False)
    pretraining = PretrainStage("occluded", branch, data=data, config=config, engine=engine)
    pretraining._training._wrapped.train(False)
    updates = [*stage.round(0), *pretraining.round(0)]
    found: dict[str, Tensor] = {}
    networks: dict[str, Any] = {
        "student": stage._guidance.student, "discriminator": stage._guidance.discriminator, "branch": branch,
    }  # fmt: skip
    for name, network in networks.items():
        found |= {f"{name}.{key}": each.grad.clone() for key, each in network.named_parameters()}
        found |= {f"after.{name}.{key}": each.clone() for key, each in network.state_dict().items()}
    for name, average in (("student", stage._average), ("branch", pretraining._average)):
        if average is not None:
            found |= {f"after.average.{name}.{key}": each.clone() for key, each in average.network.state_dict().items()}
    for number, update in enumerate(updates):
        found[f"indices.{number}"] = torch.from_numpy(update.indices)
    save_file(found, folder / f"{engine.rank}of{engine.world_size}.safetensors")
    on_step({"event": "note", "text": f"process {engine.rank}"})


def die(engine: Engine, on_step: OnStep) -> None:
    """The second process is killed while the first one waits for it."""
    on_step({"event": "note", "text": "begun"})
    if not engine.first:
        os.kill(os.getpid(), signal.SIGKILL)
    engine.wait()
