"""What a loss of stage 2 is computed from."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class LossInputs:
    """One batch of B pairs, as the occluded branch's step sees it.

    Attributes:
        logits: `(B, classes)` of the occluded branch.
        features: its shared feature h, `(B, C, h, w)`.
        labels: `(B,)` int64.
        reconstruction: `(B, 3, H, W)` of the decoder; None without one.
        clean: images `(B, 3, H, W)` in [0, 1]; given where the method has a decoder.
        teacher_logits: `(B, classes)` of the clean branch, without gradients; given where a loss's `teacher` says so.
    """

    logits: Tensor
    features: Tensor
    labels: Tensor
    reconstruction: Tensor | None
    clean: Tensor | None
    teacher_logits: Tensor | None
