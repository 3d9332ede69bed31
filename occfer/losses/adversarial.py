"""Eq. 5 and 6, the two players' losses on the discriminator's logits."""

from torch import Tensor
from torch.nn import functional as F


def discriminator_loss(clean_logits: Tensor, occluded_logits: Tensor) -> Tensor:
    """Eq. 5: mean_i -log D(h_c,i) - log(1 - D(h_o,i)).

    [paper] clean features are the real ones. [decided] D ends in a logit s and D(h) = sigmoid(s), so the terms are
    softplus(-s) and softplus(s) and never overflow; half-precision logits are widened to float32 first.

    Args:
        clean_logits: `(B,)`, the discriminator's on clean features.
        occluded_logits: `(B,)`, the discriminator's on occluded features; B may differ.

    Returns:
        Scalar >= 0. The caller detaches the features: this loss is the discriminator's alone.
    """
    return F.softplus(-_wide(clean_logits)).mean() + F.softplus(_wide(occluded_logits)).mean()


def adversarial_loss(occluded_logits: Tensor) -> Tensor:
    """Eq. 6: mean_i -log D(h_o,i), the form that does not flatten where the discriminator wins.

    Args:
        occluded_logits: `(B,)`, the discriminator's on occluded features; widened to float32 where it is half.

    Returns:
        Scalar >= 0. The gradient reaches the features; the caller keeps it from the discriminator's weights.
    """
    return F.softplus(-_wide(occluded_logits)).mean()


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.itemsize < 4 else logits
