"""Eq. 1, the similarity constraint."""

from typing import Literal

from torch import Tensor

SimilaritySpace = Literal["softmax", "logits"]


def similarity(occluded_logits: Tensor, clean_logits: Tensor, *, space: SimilaritySpace = "softmax") -> Tensor:
    """Eq. 1: mean_i || p(occluded_i) - p(clean_i) ||^2.

    [paper] the squared norm of the two branches' outputs' difference. [decided] the outputs are softmax
    probabilities; the norm sums over classes and the batch takes the mean.

    Args:
        occluded_logits: `(B, C)`, before softmax.
        clean_logits: `(B, C)`, before softmax, of the same image or of another of the same category.
        space: `softmax`, or `logits` to compare the outputs before it.

    Returns:
        Scalar >= 0, at most 2 in the softmax space. No gradient reaches `clean_logits`.
    """
    clean_logits = clean_logits.detach()
    if space == "softmax":
        difference = occluded_logits.softmax(dim=1) - clean_logits.softmax(dim=1)
    else:
        difference = occluded_logits - clean_logits
    return difference.square().sum(dim=1).mean()
