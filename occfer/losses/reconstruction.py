"""Eq. 7, the reconstruction loss."""

from torch import Tensor
from torch.nn import functional as F

from occfer.config import TrainConfig
from occfer.losses.inputs import LossInputs, given


def reconstruction(reconstructed: Tensor, clean: Tensor) -> Tensor:
    """Eq. 7: the mean squared error between the decoder's picture and the clean image.

    [paper] "the mean squared error" (Section 4.3.2). [decided] the mean runs over batch, channels and pixels, and both
    pictures are in [0, 1].

    Args:
        reconstructed: `(B, 3, H, W)` in [0, 1].
        clean: `(B, 3, H, W)` in [0, 1], of the same faces.

    Returns:
        Scalar in [0, 1]. No gradient reaches `clean`.

    >>> import torch
    >>> reconstruction(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2))
    tensor(1.)
    """
    return F.mse_loss(reconstructed, clean.detach())


def rec(inputs: LossInputs, config: TrainConfig) -> Tensor:
    """`reconstruction` of a batch."""
    del config
    restored = given(inputs.reconstruction, "rec", "a decoder")
    return reconstruction(restored, given(inputs.clean, "rec", "the clean images"))
