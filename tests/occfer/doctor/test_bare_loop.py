"""The bare loop does what the engine does: on the same batches, from the same weights, it comes to the same weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from occfer.config import TrainConfig
from occfer.data.batches import Batches
from occfer.doctor.bare_loop import PLAIN, BareLoop, Batch
from occfer.engine.engine import one_process
from occfer.engine.stages import GuidedStage
from occfer.errors import ConfigError
from occfer.methods import METHODS
from occfer.methods.network_modes import batch_norms
from occfer.models.classifier import build_classifier
from occfer.models.seeding import weight_seed
from occfer.runs.checkpoint import Tensors
from occfer.training.benchmark import made_data

MakeConfig = Callable[..., TrainConfig]
ANY = Path("any.csv")
ROUNDS = 2
# Rates at which two rounds move every weight by more than rounding does.
QUICK = {"size_px": 24, "batch_size": 6, "rate": 1e-3, "discriminator_rate": 2e-3, "decoder_rate": 5e-3}
SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "two losses": {"method": "sim+lir"},
    "batch norm by the batch": {"student_norm": "batch"},
    "a decoder of another width": {"decoder_width": 20},
    "one rate": {"decoder_rate": None},
    "enlarged faces": {"network_px": 32, "stem": "small"},
    "decoupled weight decay": {"optimizer": "adamw", "weight_decay": 0.1},
    "sgd": {"optimizer": "sgd", "weight_decay": 0.1},
}


def pair(config: TrainConfig) -> tuple[GuidedStage, BareLoop]:
    """The engine's stage 2 and a bare loop with copies of its networks, its batches and its teacher's logits."""
    engine = one_process("cpu")
    data = made_data(config, engine)

    def branch(name: str) -> Any:
        with weight_seed(0, name):
            made = build_classifier(
                config.backbone, 7, stem=config.stem, size_px=data.size_px, network_px=config.network_px
            )
            for norm in batch_norms(made):  # as of a branch that stage 1 has trained
                nn.init.normal_(norm.running_mean, 0.0, 0.2)  # type: ignore[arg-type]
                nn.init.uniform_(norm.running_var, 0.5, 2.0)  # type: ignore[arg-type]
        for part in made.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0  # only the engine gives it a seed
        return made

    teacher, student = branch("clean"), branch("occluded")
    loop = BareLoop(config)
    for own, given in ((loop.teacher, teacher), (loop.student, student)):
        own.load_state_dict(given.state_dict())
        for part in own.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
    stage = GuidedStage(METHODS[config.method], student, [teacher], data=data, config=config, engine=engine)
    guidance = stage._guidance
    if loop.decoder is not None and guidance.student.decoder is not None:
        loop.decoder.load_state_dict(guidance.student.decoder.state_dict())
    if guidance.discriminator is not None:
        loop.discriminator.load_state_dict(guidance.discriminator.state_dict())

    def ready(batches: Batches, number: int) -> Batch:
        batch = batches.batch(number)
        assert batch.clean is not None
        with torch.no_grad():
            return Batch(batch.occluded, batch.clean, batch.labels, teacher(batch.clean))

    players = [
        data.batches(config, engine, player, with_clean=True, stage2=True) for player in ("discriminator", "student")
    ]
    loop.batches = [ready(batches, number) for batches in players for number in range(2)]
    return stage, loop


def of_the_engine(stage: GuidedStage) -> Tensors:
    guidance = stage._guidance
    parts = {"student": guidance.student.classifier, "decoder": guidance.student.decoder}
    return flat(parts | {"discriminator": guidance.discriminator})


def of_the_loop(loop: BareLoop) -> Tensors:
    players = {"decoder": loop.decoder, "discriminator": loop.discriminator if loop.adversarial else None}
    return flat({"student": loop.student, **players})


def flat(parts: dict[str, Any]) -> Tensors:
    return {
        f"{name}.{key}": value.detach().clone()
        for name, part in parts.items()
        if part is not None
        for key, value in part.state_dict().items()
    }


def farthest(one: Tensors, other: Tensors) -> float:
    assert {name: value.shape for name, value in one.items()} == {name: value.shape for name, value in other.items()}
    return max(float((value.double() - other[name].double()).abs().max()) for name, value in one.items())


@pytest.mark.parametrize("whole_teacher", [(), ("discriminator", "student")], ids=["shortcut", "whole teacher"])
@pytest.mark.parametrize("changed", SETTINGS.values(), ids=SETTINGS)
def test_it_comes_to_the_engines_weights(
    make_config: MakeConfig, changed: dict[str, Any], whole_teacher: tuple[str, ...]
) -> None:
    """A naive loop in which the whole teacher runs does the same updates, only slower."""
    stage, loop = pair(make_config(ANY, **{**QUICK, **changed}))
    loop.whole_teacher = whole_teacher
    began = of_the_engine(stage)
    assert farthest(began, of_the_loop(loop)) == 0
    for number in range(ROUNDS):
        stage.round(number)
        loop.round(number)
    ended = of_the_engine(stage)
    came = {name: float((value.double() - began[name].double()).abs().max()) for name, value in ended.items()}
    frozen = loop.config.student_norm == "frozen"
    statistics = {name for name in came if name.startswith("student.") and ("running" in name or "batches" in name)}
    assert {name for name, way in came.items() if not way} == (statistics if frozen else set())
    assert max(came.values()) > 1e-3, "it has moved far more than the two may differ by"
    assert farthest(ended, of_the_loop(loop)) <= 1e-5


@pytest.mark.parametrize(
    ("changed", "width", "by_batch", "rates"),
    [
        ({}, 64, False, {2e-5, 1e-3}),
        ({"student_norm": "batch", "decoder_width": 256, "decoder_rate": None}, 256, True, {2e-5}),
    ],
    ids=["the defaults", "what version 0.1 had"],
)
def test_it_has_the_engines_networks_modes_and_rates(
    make_config: MakeConfig, changed: dict[str, Any], width: int, by_batch: bool, rates: set[float]
) -> None:
    stage, loop = pair(make_config(ANY, size_px=24, batch_size=6, **changed))
    guided = stage._guidance
    assert flat({"": loop.decoder})[".layers.0.weight"].shape[1] == width
    for branch in (loop.student, guided.student.classifier):
        assert {norm.training for norm in batch_norms(branch)} == {by_batch}
    for decoder in (loop.decoder, guided.student.decoder):
        assert decoder is not None and {norm.training for norm in batch_norms(decoder)} == {True}
    for optimizer in (loop.optimizer, guided.student_optimizer):
        assert {group["lr"] for group in optimizer.param_groups} == rates
    assert not any(norm.training for norm in batch_norms(loop.teacher))


def test_it_refuses_what_it_does_not_do(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match="--method kd: the bare loop knows full and sim"):
        BareLoop(make_config(ANY, method="kd"))
    others = {
        "discriminator_updates": 2, "student_updates": 2, "schedule": "cosine", "warmup_epochs": 1.0, "clip": 1.0,
        "ema": 0.9, "label_smoothing": 0.1, "balance": "weights", "labels": "votes", "guide": "hidden",
        "teacher": "both", "similarity_space": "logits", "inequality_reduction": "batch",
        "discriminator_batch": "shared", "discriminator_norm": "spectral", "precision": "bf16", "channels_last": True,
        "compile": True,
    }  # fmt: skip
    assert others.keys() == PLAIN
    for name, value in others.items():
        with pytest.raises(ConfigError, match=f"{name} .*: the bare loop does not know it"):
            BareLoop(make_config(ANY, **{name: value}))
