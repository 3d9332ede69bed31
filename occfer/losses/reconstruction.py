"""Eq. 7, the reconstruction loss."""

from torch import Tensor

from occfer.config import TrainConfig
from occfer.losses.hidden_region import mean_over, region
from occfer.losses.inputs import LossInputs, given


def reconstruction(reconstructed: Tensor, clean: Tensor, weights: Tensor | None = None) -> Tensor:
    """Eq. 7: the mean squared error between the decoder's picture and the clean image.

    [paper] "the mean squared error" (Section 4.3.2). [decided] the mean runs over batch, channels and pixels, and both
    pictures are in [0, 1].

    Args:
        reconstructed: `(B, 3, H, W)` in [0, 1].
        clean: `(B, 3, H, W)` in [0, 1], of the same faces.
        weights: how much each pixel counts, `(B, 1, H, W)`; None: all alike, the paper's.

    Returns:
        Scalar in [0, 1]. No gradient reaches `clean`.

    >>> import torch
    >>> reconstruction(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2))
    tensor(1.)
    """
    return mean_over((reconstructed - clean.detach()).square(), weights)


def rec(inputs: LossInputs, config: TrainConfig) -> Tensor:
    """`reconstruction` of a batch, where the configuration says."""
    restored, clean = given(inputs.reconstruction, "rec", "a decoder"), given(inputs.clean, "rec", "the clean images")
    height, width = clean.shape[-2:]
    return reconstruction(restored, clean, region(config.guide, inputs, "rec", (height, width)))
