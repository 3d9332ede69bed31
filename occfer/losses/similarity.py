"""Eq. 1, the similarity constraint."""

from torch import Tensor

from occfer.config import TrainConfig
from occfer.losses.inputs import LossInputs, given
from occfer.settings import SimilaritySpace


def similarity(occluded_logits: Tensor, clean_logits: Tensor, *, space: SimilaritySpace = "softmax") -> Tensor:
    """Eq. 1: mean_i || p(occluded_i) - p(clean_i) ||^2.

    [paper] the squared norm of the two branches' outputs' difference. [decided] the outputs are softmax
    probabilities; the norm sums over classes and the batch takes the mean.

    Args:
        occluded_logits: `(B, C)`, before softmax.
        clean_logits: `(B, C)`, before softmax, of the same image or of another of the same category.
        space: `softmax`, or `logits` to compare the outputs before the softmax.

    Returns:
        Scalar >= 0, at most 2 in the softmax space. No gradient reaches `clean_logits`.

    >>> import torch
    >>> similarity(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 1.0]]), space="logits")
    tensor(4.)
    """
    clean_logits = clean_logits.detach()
    if space == "softmax":
        difference = occluded_logits.softmax(dim=1) - clean_logits.softmax(dim=1)
    else:
        difference = occluded_logits - clean_logits
    return difference.square().sum(dim=1).mean()


def sim(inputs: LossInputs, config: TrainConfig) -> Tensor:
    """`similarity` of a batch, in the space that the configuration names."""
    clean_logits = given(inputs.teacher_logits, "sim", "the clean branch's logits")
    return similarity(inputs.logits, clean_logits, space=config.similarity_space)
