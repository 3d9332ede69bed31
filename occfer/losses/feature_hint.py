"""The hint: the occluded branch's shared feature regressed on the clean branch's (Romero et al. 2015, FitNets)."""

from torch import Tensor
from torch.nn import functional as F

from occfer.config import TrainConfig
from occfer.losses.inputs import LossInputs, given


def feature_hint(occluded_features: Tensor, clean_features: Tensor) -> Tensor:
    """The mean squared difference of h_o and h_c (arXiv:1412.6550, Eq. 3), over batch, channels and cells [decided].

    Both branches have one architecture, so the shapes agree and FitNets' regressor is not needed. Not one of the
    paper's losses: `adv` pulls the distribution of h_o to that of h_c, this one each face's own.

    Args:
        occluded_features: `(B, C, h, w)`, of the occluded branch.
        clean_features: `(B, C, h, w)`, of the clean branch, for the same faces.

    Returns:
        Scalar >= 0. No gradient reaches `clean_features`.

    >>> import torch
    >>> feature_hint(torch.zeros(1, 2, 3, 3), torch.ones(1, 2, 3, 3))
    tensor(1.)
    """
    return F.mse_loss(occluded_features, clean_features.detach())


def hint(inputs: LossInputs, config: TrainConfig) -> Tensor:
    """`feature_hint` of a batch."""
    del config
    return feature_hint(inputs.features, given(inputs.teacher_features, "hint", "the clean branch's features"))
