"""The adversarial pair: what the discriminator can tell apart, and what it must not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from occfer.methods import METHODS, Guidance, Teacher
from occfer.models.classifier import Classifier
from tests.occfer.methods.stage2 import Faces, built, changed, configured, drawn, guidance, student_step, tensors

UPDATES, SIDE_PX, BATCH = 200, 24, 16


def pretrained() -> Classifier:
    """A branch whose running statistics lag behind its weights and batches, as at the end of stage 1."""
    classifier = built("occluded", "tiny").train()
    optimizer = torch.optim.Adam(classifier.parameters(), 1e-3)
    for step in range(3):
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(classifier(faces(step)), torch.arange(BATCH) % 7))
        optimizer.step()
    return classifier


def faces(seed: int) -> Tensor:
    """Smooth pictures, so that batches differ as those of faces do."""
    return F.interpolate(drawn(BATCH, 3, 6, 6, seed=1000 + seed), SIDE_PX, mode="bilinear")


def played(student: Classifier, teacher: Teacher, other: Callable[[Tensor], Tensor], norm: str) -> float:
    """The accuracy on fresh faces after the updates: the student sees `other` of them."""
    player = Guidance(METHODS["adv"], student, configured(student_norm=norm, discriminator_rate=1e-3))
    accuracies = []
    for step in range(UPDATES):
        # Faces of two draws, or the two sides would be the same numbers and nothing could be told of them.
        hers = teacher.features(faces(2 * step), by_batch=player.normalises_by_batch)
        accuracies.append(float(player.discriminator_step(other(faces(2 * step + 1)), hers)["d_accuracy"]))
    return sum(accuracies[-50:]) / 50


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_backbone")
@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_the_same_faces_cannot_be_told_apart_by_the_mode_of_the_batch_norm(norm: str) -> None:
    """With identical weights and clean faces on both sides, only the way in which they are normalised could differ."""
    torch.manual_seed(0)
    student = pretrained()
    clean = built("clean", "tiny")
    clean.load_state_dict(student.state_dict())
    assert abs(played(student, Teacher(clean), lambda images: images, norm) - 0.5) < 0.1


def test_a_spectral_norm_bounds_the_discriminator_and_judging_leaves_it_alone() -> None:
    player = guidance("adv", discriminator_norm="spectral", discriminator_rate=1e-2)
    assert player.discriminator is not None
    for _ in range(3):
        player.discriminator_step(Faces.occluded, Faces.features("mobilenet_v2"))
    layers = [layer for layer in player.discriminator.modules() if isinstance(layer, nn.Conv2d)]
    norms = [float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) for layer in layers]
    assert len(norms) == 5 and all(0.5 < norm < 2 for norm in norms)
    before = tensors(player.discriminator)
    assert any("parametrizations" in name for name in before)
    student_step(player)
    assert changed(before, player.discriminator) == set()
    player.discriminator_step(Faces.occluded, Faces.features("mobilenet_v2"))
    assert changed(before, player.discriminator)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_backbone")
@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_hidden_faces_are_told_apart(norm: str) -> None:
    """So the discriminator is not blind."""

    def hide(images: Tensor) -> Tensor:
        hidden = images.clone()
        hidden[..., :12, :] = 0
        return hidden

    torch.manual_seed(0)
    student = pretrained()
    clean = built("clean", "tiny")
    clean.load_state_dict(student.state_dict())
    assert played(student, Teacher(clean), hide, norm) > 0.9
