"""Where a pair's face is hidden, found from its two pictures, and means over that region or over the rest."""

import torch
from torch import Tensor
from torch.nn import functional as F

from occfer.losses.inputs import LossInputs, given
from occfer.settings import Guide

# [decided] A pixel is hidden where a channel of the two pictures differs by more than 4 steps of 255. They are equal
# outside the occluder and its shadow, so the steps are for pictures that were compressed; the half is for rounding.
LEAST_DIFFERENCE = 4.5 / 255


def hidden_pixels(occluded: Tensor, clean: Tensor) -> Tensor:
    """1 where the face is hidden and 0 elsewhere, `(B, 1, H, W)`, of pictures `(B, 3, H, W)` in [0, 1]."""
    return ((occluded - clean).abs().amax(dim=1, keepdim=True) > LEAST_DIFFERENCE).to(clean.dtype)


def region(guide: Guide, inputs: LossInputs, loss: str, size_hw: tuple[int, int]) -> Tensor | None:
    """How much each pixel or cell of a map counts, `(B, 1, *size_hw)` in [0, 1]; None where all count alike.

    Args:
        guide: `everywhere`, or by the hidden share of the pixels that a cell covers, or by the rest.
        inputs: must hold both pictures of each pair, unless `everywhere`.
        loss: the loss's key, for the message.
        size_hw: of the map.

    Raises:
        MethodError: a picture is missing.
    """
    if guide == "everywhere":
        return None
    occluded = given(inputs.occluded, loss, "the occluded images")
    hidden = hidden_pixels(occluded, given(inputs.clean, loss, "the clean images"))
    share = F.interpolate(hidden, size_hw, mode="area")
    return share if guide == "hidden" else 1 - share


def mean_over(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of `(B, C, H, W)` with weights `(B, 1, H, W)` or equal ones; 0 where all weights are.

    >>> values = torch.tensor([[[[1.0, 5.0]]]])
    >>> [float(mean_over(values, weights)) for weights in (None, torch.eye(2)[None, None, :1], torch.zeros(1, 1, 1, 2))]
    [3.0, 1.0, 0.0]
    """
    if weights is None:
        return values.mean()
    total = weights.sum() * values.shape[1]
    return (values * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
