"""Every loss against a hand-written sum in Python floats (float64), and where its gradient flows."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from occfer.config import TrainConfig
from occfer.config_fields import changing
from occfer.losses import (
    LOSSES,
    PAIRINGS,
    InequalityReduction,
    adversarial_loss,
    discriminator_loss,
    distillation,
    feature_hint,
    loss_inequality,
    reconstruction,
    similarity,
    total,
)

LABELS = [2, 0, 1, 2, 0]


def logits(seed: int, rows: int = 5, classes: int = 3) -> Tensor:
    drawn = torch.randn(rows, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (2 * drawn).requires_grad_()


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


def cross_entropies(rows: Tensor) -> list[float]:
    return [-math.log(softmax(row)[label]) for row, label in zip(rows.tolist(), LABELS, strict=True)]


def gradient(loss: Tensor, values: Tensor) -> Tensor:
    return torch.autograd.grad(loss, values, retain_graph=True)[0]


def numeric(function: Callable[[Tensor], Tensor], at: Tensor, step: float = 1e-6) -> Tensor:
    """Central differences, one number at a time."""
    slopes = torch.empty(at.numel(), dtype=torch.float64)
    for index in range(at.numel()):
        shift = torch.zeros(at.numel(), dtype=torch.float64)
        shift[index] = step
        shift = shift.view_as(at)
        slopes[index] = (function(at.detach() + shift) - function(at.detach() - shift)) / (2 * step)
    return slopes.view_as(at)


def test_similarity_is_eq_1_on_probabilities() -> None:
    occluded, clean = logits(1), logits(2)
    expected = 0.0
    for mine, theirs in zip(occluded.tolist(), clean.tolist(), strict=True):
        expected += sum((p - q) ** 2 for p, q in zip(softmax(mine), softmax(theirs), strict=True))
    assert similarity(occluded, clean).item() == pytest.approx(expected / 5, abs=1e-14)


def test_similarity_on_logits() -> None:
    occluded, clean = logits(1), logits(2)
    pairs = zip(occluded.flatten().tolist(), clean.flatten().tolist(), strict=True)
    expected = sum((p - q) ** 2 for p, q in pairs) / 5
    assert similarity(occluded, clean, space="logits").item() == pytest.approx(expected, abs=1e-12)


def test_similarity_moves_the_occluded_branch_alone() -> None:
    occluded, clean = logits(1), logits(2)
    loss = similarity(occluded, clean, space="logits")
    torch.testing.assert_close(gradient(loss, occluded), 2 * (occluded - clean).detach() / 5)
    loss = similarity(occluded, clean)
    torch.testing.assert_close(gradient(loss, occluded), numeric(lambda x: similarity(x, clean), occluded))
    torch.autograd.backward(loss)
    assert clean.grad is None


def test_loss_inequality_is_eq_3_per_sample() -> None:
    occluded, clean = logits(3), logits(4)
    pairs = list(zip(cross_entropies(clean), cross_entropies(occluded), strict=True))
    assert {hers > his for hers, his in pairs} == {True, False}, "the draw must have active and idle samples"
    expected = sum(max(0.0, hers - his) for hers, his in pairs) / 5
    loss = loss_inequality(occluded, clean, torch.tensor(LABELS))
    assert loss.item() == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("seeds", [(3, 4), (4, 3)])
def test_loss_inequality_of_the_batch(seeds: tuple[int, int]) -> None:
    occluded, clean = logits(seeds[0]), logits(seeds[1])
    expected = max(0.0, sum(cross_entropies(clean)) / 5 - sum(cross_entropies(occluded)) / 5)
    loss = loss_inequality(occluded, clean, torch.tensor(LABELS), reduction="batch")
    assert loss.item() == pytest.approx(expected, abs=1e-13)


def test_one_order_of_the_batch_hinge_is_active() -> None:
    labels = torch.tensor(LABELS)
    values = [loss_inequality(logits(a), logits(b), labels, reduction="batch").item() for a, b in [(3, 4), (4, 3)]]
    assert min(values) == 0 < max(values)


def test_an_active_sample_loses_its_supervised_gradient_and_no_other() -> None:
    """Which is why a weight above one reverses supervision."""
    occluded, clean, labels = logits(3), logits(4), torch.tensor(LABELS)
    active = torch.tensor([h > m for h, m in zip(cross_entropies(clean), cross_entropies(occluded), strict=True)])
    supervised = gradient(F.cross_entropy(occluded, labels), occluded)
    regularised = gradient(loss_inequality(occluded, clean, labels), occluded)
    torch.testing.assert_close(regularised[active], -supervised[active])
    assert torch.count_nonzero(regularised[~active]) == 0


@pytest.mark.parametrize("reduction", ["per-sample", "batch"])
def test_loss_inequality_never_reaches_the_clean_branch(reduction: InequalityReduction) -> None:
    occluded, clean, labels = logits(3), logits(4), torch.tensor(LABELS)
    torch.autograd.backward(loss_inequality(occluded, clean, labels, reduction=reduction))
    assert occluded.grad is not None
    assert clean.grad is None


def scores(seed: int, count: int = 6) -> Tensor:
    return logits(seed, count, 1).detach()[:, 0].clone().requires_grad_()


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_discriminator_loss_is_eq_5() -> None:
    clean, occluded = scores(5), scores(6, 4)
    expected = sum(-math.log(sigmoid(value)) for value in clean.tolist()) / 6
    expected += sum(-math.log(1 - sigmoid(value)) for value in occluded.tolist()) / 4
    assert discriminator_loss(clean, occluded).item() == pytest.approx(expected, abs=1e-14)


def test_discriminator_loss_pushes_clean_up_and_occluded_down() -> None:
    clean, occluded = scores(5), scores(6)
    loss = discriminator_loss(clean, occluded)
    torch.testing.assert_close(gradient(loss, clean), (torch.sigmoid(clean) - 1).detach() / 6)
    torch.testing.assert_close(gradient(loss, occluded), torch.sigmoid(occluded).detach() / 6)


def test_adversarial_loss_is_eq_6_with_its_steep_side() -> None:
    occluded = scores(6)
    expected = sum(-math.log(sigmoid(value)) for value in occluded.tolist()) / 6
    loss = adversarial_loss(occluded)
    assert loss.item() == pytest.approx(expected, abs=1e-14)
    torch.testing.assert_close(gradient(loss, occluded), (torch.sigmoid(occluded) - 1).detach() / 6)
    losing = torch.tensor([-30.0], requires_grad=True)
    assert gradient(adversarial_loss(losing), losing).item() == pytest.approx(-1), "flat where D wins"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_adversarial_losses_are_float32_and_finite_from_half_logits(dtype: torch.dtype) -> None:
    extreme = torch.tensor([-60000.0, 0.0, 60000.0]).to(dtype)
    for loss in (adversarial_loss(extreme), discriminator_loss(extreme, extreme)):
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss)


def test_adversarial_losses_stay_float32_under_autocast() -> None:
    values = torch.linspace(-3, 3, 7)
    with torch.autocast("cpu", torch.bfloat16):
        inside = discriminator_loss(values, values)
    assert torch.equal(inside, discriminator_loss(values, values))


def test_reconstruction_is_eq_7() -> None:
    made, clean = logits(7, 4, 12).sigmoid().view(2, 3, 2, 4), logits(8, 4, 12).sigmoid().view(2, 3, 2, 4)
    pairs = zip(made.flatten().tolist(), clean.flatten().tolist(), strict=True)
    expected = sum((mine - hers) ** 2 for mine, hers in pairs) / 48
    loss = reconstruction(made, clean)
    assert loss.item() == pytest.approx(expected, abs=1e-15)
    torch.testing.assert_close(gradient(loss, made), 2 * (made - clean).detach() / 48)


def test_reconstruction_has_no_gradient_to_the_clean_image() -> None:
    clean = torch.rand(1, 3, 2, 2, requires_grad=True)
    torch.autograd.backward(reconstruction(torch.rand(1, 3, 2, 2, requires_grad=True), clean))
    assert clean.grad is None


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_the_divergence_of_softened_outputs(temperature: float) -> None:
    occluded, clean = logits(1), logits(2)
    expected = 0.0
    for mine, theirs in zip(occluded.tolist(), clean.tolist(), strict=True):
        soft = [softmax([value / temperature for value in row]) for row in (mine, theirs)]
        expected += sum(q * math.log(q / p) for p, q in zip(*soft, strict=True))
    assert distillation(occluded, clean, temperature).item() == pytest.approx(temperature**2 * expected / 5, abs=1e-12)
    assert distillation(clean, clean, temperature).item() == pytest.approx(0, abs=1e-15)


def test_distillation_moves_the_occluded_branch_alone() -> None:
    occluded, clean = logits(1), logits(2)
    loss = distillation(occluded, clean, 1.0)
    torch.testing.assert_close(gradient(loss, occluded), (occluded.softmax(1) - clean.softmax(1)).detach() / 5)
    torch.autograd.backward(loss)
    assert clean.grad is None


def test_the_factor_keeps_the_gradient_of_a_soft_target_in_size() -> None:
    """Without it the gradient of a temperature of 16 would be about 1/256 of that of a squared distance of logits."""
    occluded, clean = logits(1), logits(2)
    occluded_apart, clean_apart = (rows - rows.mean(dim=1, keepdim=True) for rows in (occluded, clean))
    limit = (occluded_apart - clean_apart).detach() / (3 * 5)  # as T grows, in Hinton's Eq. 4
    torch.testing.assert_close(gradient(distillation(occluded, clean, 1e4), occluded), limit, atol=1e-4, rtol=1e-3)


def test_the_hint_is_the_mean_squared_difference_of_features() -> None:
    mine, hers = logits(7, 4, 12).view(2, 3, 2, 4), logits(8, 4, 12).view(2, 3, 2, 4)
    pairs = zip(mine.flatten().tolist(), hers.flatten().tolist(), strict=True)
    loss = feature_hint(mine, hers)
    assert loss.item() == pytest.approx(sum((a - b) ** 2 for a, b in pairs) / 48, abs=1e-12)
    torch.testing.assert_close(gradient(loss, mine), 2 * (mine - hers).detach() / 48)
    hers = torch.rand(1, 3, 2, 2, requires_grad=True)
    torch.autograd.backward(feature_hint(torch.rand(1, 3, 2, 2, requires_grad=True), hers))
    assert hers.grad is None


def test_total_is_eq_8() -> None:
    names = ["sim", "lir", "adv", "rec"]
    terms = {name: torch.tensor(value, dtype=torch.float64) for name, value in zip(names, (2, 3, 5, 7), strict=True)}
    weights = {"sim": 0.1, "lir": 0.01, "adv": 0.5, "rec": 1.0}
    supervised = torch.tensor(11.0, dtype=torch.float64)
    assert total(supervised, terms, weights).item() == pytest.approx(11 + 0.2 + 0.03 + 2.5 + 7)
    assert total(supervised, {"rec": terms["rec"]}, weights).item() == 18
    assert total(supervised, {}, weights) is supervised


def test_a_term_that_is_not_finite_shows_in_the_total() -> None:
    terms = {"sim": torch.tensor(math.inf), "rec": torch.tensor(1.0)}
    assert not torch.isfinite(total(torch.tensor(1.0), terms, {"sim": 0.0, "rec": 1.0}))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.floats(-50, 50), min_size=3, max_size=3), min_size=2, max_size=6), st.integers(0, 2))
def test_losses_stay_in_their_range(rows: list[list[float]], label: int) -> None:
    occluded = torch.tensor(rows, dtype=torch.float64)
    clean, labels = occluded.flip(0), torch.full((len(rows),), label)
    assert 0 <= similarity(occluded, clean) <= 2
    assert loss_inequality(occluded, clean, labels) >= loss_inequality(occluded, clean, labels, reduction="batch") >= 0
    assert similarity(occluded, occluded) == 0
    assert loss_inequality(occluded, occluded, labels) == 0


def test_the_table_says_what_section_4_4_says() -> None:
    pairing = {name: loss.pairing for name, loss in LOSSES.items()}
    assert pairing == {
        "sim": "category", "lir": "paired", "adv": "unpaired", "rec": "paired", "kd": "category", "hint": "paired",
    }  # fmt: skip
    assert set(pairing.values()) <= set(PAIRINGS)
    assert [loss.equation for loss in LOSSES.values()] == [1, 3, 6, 7, None, None], "the last two are not the paper's"


def test_every_loss_has_a_weight_among_the_settings() -> None:
    config = TrainConfig(manifests=(Path("any.csv"),))
    weights = {name: config.loss_weight(name) for name in LOSSES}
    assert weights == {"sim": 3.0, "lir": 0.5, "adv": 0.02, "rec": 0.3, "kd": 4.0, "hint": 1.0}
    for name in LOSSES:
        assert f"lambda_{name}" in changing(frozenset({f"loss {name}"})), (
            "a change of the weight must redo what it guides"
        )
