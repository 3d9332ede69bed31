"""The supervised loss of both stages, for every method and control alike."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from occfer.config import TrainConfig
from occfer.errors import MethodError


class SupervisedLoss:
    """Cross-entropy, with `--label-smoothing`, and with the class weights of `--balance weights`.

    Eq. 3 compares plain cross-entropies and does not use it.

    Args:
        config: of the run.
        class_counts: training samples of each class; needed for `--balance weights` alone.

    Raises:
        MethodError: the counts are needed and missing.
    """

    def __init__(self, config: TrainConfig, class_counts: Sequence[int] = ()) -> None:
        self._smoothing = config.label_smoothing
        self._class_weights: Tensor | None = None
        if config.balance == "weights":
            self._class_weights = class_weights(class_counts)

    def __call__(self, logits: Tensor, labels: Tensor, votes: Tensor | None = None) -> Tensor:
        """The mean over a batch, a scalar.

        Args:
            logits: `(B, classes)`.
            labels: `(B,)` int64; they choose the class weights in any case.
            votes: `(B, classes)` float32, rows sum to 1: what the logits are compared with in place of the labels.
        """
        targets = labels if votes is None else votes
        if self._class_weights is None:
            return F.cross_entropy(logits, targets, label_smoothing=self._smoothing)
        self._class_weights = self._class_weights.to(logits.device)
        losses = F.cross_entropy(logits, targets, label_smoothing=self._smoothing, reduction="none")
        # Torch would divide by the weights of the batch, so a batch of one class would weigh as much as any other, and
        # several processes would not have the gradients of one.
        return (self._class_weights[labels] * losses).mean()


def class_weights(class_counts: Sequence[int]) -> Tensor:
    """`(classes,)` float32: inversely proportional to the classes' samples, and 1 on average over all samples.

    >>> class_weights([8, 2, 0])
    tensor([0.6250, 2.5000, 5.0000])

    Raises:
        MethodError: there are no counts.
    """
    counts = torch.tensor(class_counts, dtype=torch.float64)
    if not counts.sum() > 0:
        raise MethodError("--balance weights needs the number of training samples of each class")
    # A class without samples has no weight of its own to compute; only votes can name it, and it counts as one sample.
    return (counts.sum() / (counts > 0).sum() / counts.clamp(min=1)).float()
