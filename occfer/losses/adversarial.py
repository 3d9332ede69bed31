"""Eq. 5 and 6, the two players' losses on the discriminator's logits."""

from torch import Tensor
from torch.nn import functional as F

from occfer.config import TrainConfig
from occfer.losses.inputs import LossInputs, given


def discriminator_loss(clean_logits: Tensor, occluded_logits: Tensor) -> Tensor:
    """Eq. 5: mean_i -log D(h_c,i) - log(1 - D(h_o,i)).

    [paper] clean features are the real ones. [decided] D ends in a logit s and D(h) = sigmoid(s), so the terms are
    softplus(-s) and softplus(s) and never overflow; half-precision logits are widened to float32 first.

    Args:
        clean_logits: `(B,)`, the discriminator's on clean features.
        occluded_logits: `(B,)`, the discriminator's on occluded features; B may differ.

    Returns:
        Scalar >= 0. The caller detaches the features: this loss is the discriminator's alone.

    >>> import torch
    >>> round(float(discriminator_loss(torch.zeros(4), torch.zeros(4))), 3)  # a discriminator that cannot tell: 2 log 2
    1.386
    """
    return F.softplus(-_wide(clean_logits)).mean() + F.softplus(_wide(occluded_logits)).mean()


def adversarial_loss(occluded_logits: Tensor) -> Tensor:
    """Eq. 6: mean_i -log D(h_o,i), the form whose gradient does not vanish where the discriminator wins.

    Args:
        occluded_logits: `(B,)`, the discriminator's on occluded features; widened to float32 where it is half.

    Returns:
        Scalar >= 0. The gradient reaches the features; the caller keeps it from the discriminator's weights.

    >>> import torch
    >>> round(float(adversarial_loss(torch.zeros(4))), 3)
    0.693
    """
    return F.softplus(-_wide(occluded_logits)).mean()


def adv(inputs: LossInputs, config: TrainConfig) -> Tensor:
    """`adversarial_loss` of a batch."""
    del config
    return adversarial_loss(given(inputs.discriminate, "adv", "a discriminator")(inputs.features))


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.itemsize < 4 else logits
