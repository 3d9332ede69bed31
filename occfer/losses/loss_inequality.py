"""Eq. 3, the loss inequality regularization."""

from torch import Tensor
from torch.nn import functional as F

from occfer.config import TrainConfig
from occfer.losses.inputs import LossInputs, given
from occfer.settings import InequalityReduction


def loss_inequality(
    occluded_logits: Tensor, clean_logits: Tensor, labels: Tensor, *, reduction: InequalityReduction = "per-sample"
) -> Tensor:
    """Eq. 3: mean_i max(0, CE(clean_i, y_i) - CE(occluded_i, y_i)).

    [paper] the hinge of the clean minus the occluded supervised loss, so it is active where the occluded loss is the
    lower one. [decided] the hinge is taken per sample, then the mean.

    An active sample's gradient is minus its supervised gradient, so Eq. 8 leaves it (1 - lambda_2) times that: above 1
    training pushes the sample away from its own label, which is why the configuration refuses such a weight.

    Args:
        occluded_logits: `(B, C)`, before softmax.
        clean_logits: `(B, C)`, before softmax, of the same images without occlusion.
        labels: `(B,)` int64.
        reduction: `per-sample`, or `batch` for the hinge of the two batch means.

    Returns:
        Scalar >= 0. No gradient reaches `clean_logits`.

    >>> import torch
    >>> occluded, clean = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    >>> round(float(loss_inequality(occluded, clean, torch.tensor([0]))), 3)  # the occluded loss is the lower one
    0.693
    >>> float(loss_inequality(clean, occluded, torch.tensor([0])))
    0.0
    """
    clean = F.cross_entropy(clean_logits.detach(), labels, reduction="none")
    occluded = F.cross_entropy(occluded_logits, labels, reduction="none")
    if reduction == "batch":
        return F.relu(clean.mean() - occluded.mean())
    return F.relu(clean - occluded).mean()


def lir(inputs: LossInputs, config: TrainConfig) -> Tensor:
    """`loss_inequality` of a batch, reduced as the configuration says."""
    clean_logits = given(inputs.teacher_logits, "lir", "the clean branch's logits")
    return loss_inequality(inputs.logits, clean_logits, inputs.labels, reduction=config.inequality_reduction)
