"""What a loss of stage 2 is computed from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from occfer.errors import MethodError

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, eq=False)
class LossInputs:
    """One batch of B pairs, as the occluded branch's step sees it.

    Attributes:
        logits: `(B, classes)` of the occluded branch.
        features: its shared feature h, `(B, C, h, w)`.
        labels: `(B,)` int64.
        reconstruction: `(B, 3, H, W)` of the decoder; None where no loss of the method asks for a decoder.
        occluded: images `(B, 3, H, W)` in [0, 1].
        clean: images of the same shape; given where the method has a decoder, or a loss asks for h_c.
        teacher_logits: `(B, classes)` of the clean branch, without gradients; given where a loss's `teacher` says so.
        teacher_features: h_c, `(B, C, h, w)`, without gradients; given where a loss without a discriminator needs it.
        discriminate: logits `(B,)` of the discriminator for features, with gradients that reach the features alone;
            None where no loss of the method asks for a discriminator.
    """

    logits: Tensor
    features: Tensor
    labels: Tensor
    reconstruction: Tensor | None = None
    occluded: Tensor | None = None
    clean: Tensor | None = None
    teacher_logits: Tensor | None = None
    teacher_features: Tensor | None = None
    discriminate: Callable[[Tensor], Tensor] | None = None


def given(value: Value | None, loss: str, what: str) -> Value:
    """An input that a loss needs.

    Args:
        value: the input.
        loss: the loss's key, for the message.
        what: the input in words.

    Raises:
        MethodError: it is None.
    """
    if value is None:
        raise MethodError(f"loss '{loss}' needs {what}, and the step was not given it.")
    return value
