"""Small networks and a batch for the tests of stage 2."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from occfer.config import TrainConfig
from occfer.methods import METHODS, EngineHooks, Guidance, Method, Teacher
from occfer.methods.network_modes import batch_norms
from occfer.models import BACKBONES
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.seeding import weight_seed

STAGE2 = [name for name, method in METHODS.items() if method.stage2]
BACKBONES_TESTED = ["mobilenet_v2", "resnet18"]
Tensors = dict[str, Tensor]


def built(part: str, backbone: str = "mobilenet_v2") -> Classifier:
    """A branch with random weights and the running statistics that it would have after stage 1: those of images."""
    with weight_seed(0, part):
        classifier = build_classifier(backbone, 7)
        norms = batch_norms(classifier)
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            classifier(drawn(12, 3, 48, 48, seed=4))
        for norm in norms:
            norm.momentum = 0.1
    return classifier


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class Faces:
    """A batch of six pairs of noise at 48 px."""

    occluded = drawn(6, 3, 48, 48, seed=1)
    clean = drawn(6, 3, 48, 48, seed=2)
    labels = torch.tensor([0, 1, 2, 3, 4, 5])
    # the clean branch is sure of a wrong class, so the loss inequality is active for every sample
    wrong_logits = 9.0 * F.one_hot((labels + 1) % 7, 7)

    @staticmethod
    def features(backbone: str) -> Tensor:
        """Noise in the shape of the shared feature of a face."""
        return drawn(6, BACKBONES[backbone].feature_channels, 6, 6, seed=3)


def configured(**settings: Any) -> TrainConfig:
    """A configuration; its manifest is never read."""
    return TrainConfig(manifests=(Path("any.csv"),), **settings)


def guidance(
    method: Method | str, backbone: str = "mobilenet_v2", *, hooks: EngineHooks | None = None, **settings: Any
) -> Guidance:
    described = METHODS[method] if isinstance(method, str) else method
    with weight_seed(0, "heads"):
        return Guidance(described, built("occluded", backbone), configured(**settings), hooks=hooks)


def tensors(module: nn.Module) -> Tensors:
    """A copy of everything that training may change, buffers and counters included."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name: value.detach().clone() for name, value in named}


def changed(before: Tensors, module: nn.Module) -> set[str]:
    return {name for name, value in tensors(module).items() if not torch.equal(value, before[name])}


@contextmanager
def same_dropout() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(5)
        yield


def student_step(
    player: Guidance, teacher_logits: Tensor = Faces.wrong_logits, teacher_features: Tensor | None = None
) -> Tensors:
    if teacher_features is None:
        name = next(name for name, each in BACKBONES.items() if each is player.student.classifier.backbone)
        teacher_features = Faces.features(name)
    with same_dropout():
        return player.student_step(
            Faces.occluded, Faces.labels, clean=Faces.clean, teacher_logits=teacher_logits,
            teacher_features=teacher_features,
        )  # fmt: skip


def play(player: Guidance, teacher: Teacher, rounds: int) -> list[Tensors]:
    """Algorithm 1 on one batch."""
    terms = []
    for turn in player.turns(1, 1) * rounds:
        if turn == "discriminator":
            terms.append(player.discriminator_step(Faces.occluded, teacher.features(Faces.clean)))
        else:
            terms.append(student_step(player, *reversed(teacher.both(Faces.clean))))
    return terms
