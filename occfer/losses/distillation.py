"""Distillation: the clean branch's softened outputs as targets (Hinton, Vinyals and Dean 2015, arXiv:1503.02531)."""

from torch import Tensor
from torch.nn import functional as F

from occfer.config import TrainConfig
from occfer.losses.inputs import LossInputs, given


def distillation(occluded_logits: Tensor, clean_logits: Tensor, temperature: float) -> Tensor:
    """T^2 mean_i KL(softmax(clean_i / T) || softmax(occluded_i / T)).

    The factor T^2 keeps the gradient's size where it is without softening (their Section 2). Not one of the paper's
    losses: `sim` compares the same outputs by their squared distance.

    Args:
        occluded_logits: `(B, C)`, before softmax.
        clean_logits: `(B, C)`, before softmax, of the same image or of another of the same category.
        temperature: T, greater than 0.

    Returns:
        Scalar >= 0. No gradient reaches `clean_logits`.

    >>> import torch
    >>> occluded, clean = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    >>> round(float(distillation(occluded, clean, temperature=1.0)), 3)
    0.328
    """
    clean = F.log_softmax(clean_logits.detach() / temperature, dim=1)
    occluded = F.log_softmax(occluded_logits / temperature, dim=1)
    return temperature**2 * F.kl_div(occluded, clean, reduction="batchmean", log_target=True)


def kd(inputs: LossInputs, config: TrainConfig) -> Tensor:
    """`distillation` of a batch, at the temperature of the configuration."""
    clean_logits = given(inputs.teacher_logits, "kd", "the clean branch's logits")
    return distillation(inputs.logits, clean_logits, config.temperature)
