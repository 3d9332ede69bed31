"""The hint: the occluded branch's shared feature regressed on the clean branch's (Romero et al. 2015, FitNets)."""

from torch import Tensor

from occfer.config import TrainConfig
from occfer.losses.hidden_region import mean_over, region
from occfer.losses.inputs import LossInputs, given


def feature_hint(occluded_features: Tensor, clean_features: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean squared difference of h_o and h_c (arXiv:1412.6550, Eq. 3), over batch, channels and cells [decided].

    Both branches have one architecture, so the shapes agree and FitNets' regressor is not needed. Not one of the
    paper's losses: `adv` pulls the distribution of h_o to that of h_c, this one each face's own.

    Args:
        occluded_features: `(B, C, h, w)`, of the occluded branch.
        clean_features: `(B, C, h, w)`, of the clean branch, for the same faces.
        weights: how much each cell counts, `(B, 1, h, w)`; None: all alike.

    Returns:
        Scalar >= 0. No gradient reaches `clean_features`.

    >>> import torch
    >>> feature_hint(torch.zeros(1, 2, 3, 3), torch.ones(1, 2, 3, 3))
    tensor(1.)
    """
    return mean_over((occluded_features - clean_features.detach()).square(), weights)


def hint(inputs: LossInputs, config: TrainConfig) -> Tensor:
    """`feature_hint` of a batch, where the configuration says."""
    clean_features = given(inputs.teacher_features, "hint", "the clean branch's features")
    height, width = inputs.features.shape[-2:]
    return feature_hint(inputs.features, clean_features, region(config.guide, inputs, "hint", (height, width)))
