"""Eq. 8, the occluded branch's overall loss."""

from collections.abc import Mapping

from torch import Tensor


def total(supervised: Tensor, terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Eq. 8: L = l_sup + lambda_1 l_sim + lambda_2 l_LIR + lambda_3 l_adv + lambda_4 l_rec.

    Args:
        supervised: scalar, the cross-entropy of the occluded branch.
        terms: the scalars of the losses in use, by their key in `LOSSES`.
        weights: the lambdas by the same keys; further keys are not used.

    Returns:
        Scalar. The terms are added in the order given.

    >>> import torch
    >>> total(torch.tensor(1.0), {"sim": torch.tensor(0.5)}, {"sim": 2.0})
    tensor(2.)
    """
    loss = supervised
    for name, term in terms.items():
        loss = loss + weights[name] * term
    return loss
