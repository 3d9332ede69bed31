"""Where a face is hidden, and losses that look there alone, or only elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from occfer.config import TrainConfig
from occfer.errors import MethodError
from occfer.losses import LOSSES, LossInputs
from occfer.losses.hidden_region import hidden_pixels, region

SIDE_PX, CELLS = 16, 4


def pair() -> tuple[Tensor, Tensor]:
    """Two faces; the left eight columns of the first are hidden, and nothing of the second."""
    clean = torch.rand(2, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(1)) * 0.4
    occluded = clean.clone()
    occluded[0, 1, :, :8] += 0.5
    return occluded, clean


def inputs(**more: Any) -> LossInputs:
    occluded, clean = pair()
    made = torch.zeros_like(clean) + 0.9
    features = torch.zeros(2, 3, CELLS, CELLS)
    given: dict[str, Any] = {"reconstruction": made, "features": features, "teacher_features": features + 1} | more
    return LossInputs(logits=torch.zeros(2, 7), labels=torch.tensor([0, 1]), occluded=occluded, clean=clean, **given)


def config(guide: str) -> TrainConfig:
    return TrainConfig.from_json({"manifests": ["a.csv"], "guide": guide})


def test_a_pixel_is_hidden_where_a_channel_differs_by_more_than_four_steps() -> None:
    clean = torch.full((1, 3, 1, 4), 100 / 255)
    occluded = clean.clone()
    for column, steps in enumerate((0, 4, 5, -5)):
        occluded[0, column % 3, 0, column] = (100 + steps) / 255
    assert hidden_pixels(occluded, clean)[0, 0, 0].tolist() == [0, 0, 1, 1]


def test_a_cell_counts_by_its_hidden_share() -> None:
    given = inputs()
    shares = {guide: region(config(guide).guide, given, "rec", (CELLS, CELLS)) for guide in ("hidden", "seen")}
    assert shares["hidden"] is not None and shares["seen"] is not None
    assert shares["hidden"][0, 0, 0].tolist() == [1, 1, 0, 0] and not shares["hidden"][1].any()
    assert torch.equal(shares["hidden"] + shares["seen"], torch.ones(2, 1, CELLS, CELLS))
    thirds = region("hidden", given, "rec", (1, 1))
    assert thirds is not None and thirds[:, 0, 0, 0].tolist() == [0.5, 0]
    assert region("everywhere", given, "rec", (CELLS, CELLS)) is None


def loss_of(name: str, guide: str, given: LossInputs) -> float:
    return float(LOSSES[name].compute(given, config(guide)))


def spoilt(name: str, where: Callable[[Tensor], None]) -> LossInputs:
    """The inputs with another value of what the loss compares, at one place."""
    key = {"rec": "reconstruction", "hint": "teacher_features"}[name]
    value = getattr(inputs(), key).clone()
    where(value)
    return inputs(**{key: value})


@pytest.mark.parametrize("name", ["rec", "hint"])
def test_only_what_is_looked_at_counts(name: str) -> None:
    def left(values: Tensor) -> None:
        values[0, :, :, 0] += 3

    def right(values: Tensor) -> None:
        values[0, :, :, -1] += 3

    def other(values: Tensor) -> None:
        values[1] += 3

    plain = {guide: loss_of(name, guide, inputs()) for guide in ("everywhere", "hidden", "seen")}
    for change, hidden in ((left, True), (right, False), (other, False)):
        moved = {guide: loss_of(name, guide, spoilt(name, change)) != plain[guide] for guide in plain}
        assert moved == {"everywhere": True, "hidden": hidden, "seen": not hidden}


@pytest.mark.parametrize("name", ["rec", "hint"])
def test_the_mean_is_over_the_region(name: str) -> None:
    """A difference of the same size everywhere costs the same wherever one looks."""
    same = inputs(reconstruction=pair()[1] + 0.5)
    for guide in ("everywhere", "hidden", "seen"):
        assert loss_of(name, guide, same) == pytest.approx(0.25 if name == "rec" else 1.0, abs=1e-5)


@pytest.mark.parametrize("name", ["rec", "hint"])
def test_nothing_hidden_costs_nothing_and_has_a_gradient_of_zero(name: str) -> None:
    clean = pair()[1]
    features = torch.zeros(2, 3, CELLS, CELLS, requires_grad=True)
    made = torch.zeros_like(clean).requires_grad_()
    given = LossInputs(
        logits=torch.zeros(2, 7), labels=torch.tensor([0, 1]), occluded=clean, clean=clean, features=features,
        reconstruction=made, teacher_features=torch.ones(2, 3, CELLS, CELLS),
    )  # fmt: skip
    loss = LOSSES[name].compute(given, config("hidden"))
    assert loss == 0
    torch.autograd.backward(loss)
    gradient = {"rec": made, "hint": features}[name].grad
    assert gradient is not None and not gradient.any()


def test_the_images_are_asked_for() -> None:
    given = LossInputs(
        logits=torch.zeros(1, 7), labels=torch.tensor([0]), features=torch.zeros(1, 3, 2, 2),
        teacher_features=torch.zeros(1, 3, 2, 2),
    )  # fmt: skip
    with pytest.raises(MethodError, match="loss 'hint' needs the occluded images, and the step was not given it"):
        LOSSES["hint"].compute(given, config("seen"))
    assert LOSSES["hint"].compute(given, TrainConfig(manifests=(Path("a.csv"),))) == 0
