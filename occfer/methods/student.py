"""The networks of stage 2 as the engine wraps them: the student with its decoder, and the teacher."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from occfer.errors import MethodError
from occfer.models.classifier import Classifier
from occfer.models.decoder import Decoder


class StudentOutput(NamedTuple):
    """The outputs of one pass of the student.

    Attributes:
        features: h_o, `(B, C, ceil(H/8), ceil(W/8))`.
        logits: `(B, classes)`.
        reconstruction: `(B, 3, H, W)` in [0, 1], or None without a decoder.
    """

    features: Tensor
    logits: Tensor
    reconstruction: Tensor | None


class GuidedStudent(nn.Module):
    """The occluded branch with its decoder as one module, so that data parallelism wraps it once.

    Every parameter takes part in every student step: the supervised loss reaches the whole classifier, and a decoder
    exists only where the reconstruction loss does.

    Args:
        classifier: the occluded branch, the part that is tested in the end.
        decoder: restores faces from its feature; None without the reconstruction loss.
    """

    def __init__(self, classifier: Classifier, decoder: Decoder | None = None) -> None:
        super().__init__()
        self.classifier = classifier
        self.decoder = decoder

    def forward(self, occluded: Tensor) -> StudentOutput:
        """One pass over occluded images `(B, 3, H, W)` in [0, 1].

        The decoder's picture is eight times the feature; for a size that eight does not divide, the surplus at its
        right and lower edge is cut off [decided; the paper's sizes have none].
        """
        features, logits = self.classifier.both(occluded)
        if self.decoder is None:
            return StudentOutput(features, logits, None)
        picture = self.decoder(features)[..., : occluded.shape[-2], : occluded.shape[-1]]
        return StudentOutput(features, logits, picture)


class Teacher:
    """The clean branch, fixed (Section 4.1): eval mode, batch-norm statistics included [decided], and no gradients.

    It is deliberately not a module, so that nothing that wraps, trains or counts modules finds it.

    Args:
        classifier: the pre-trained clean branch, frozen in place. It must share no tensor with the student.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier.eval().requires_grad_(False)
        self.classifier.zero_grad()  # frees the gradients that stage 1 may have left

    @torch.no_grad()
    def features(self, clean: Tensor) -> Tensor:
        """h_c of clean images `(B, 3, H, W)` in [0, 1]; the layers after it do not run."""
        return self.classifier.features(clean)

    @torch.no_grad()
    def logits(self, clean: Tensor) -> Tensor:
        """Logits `(B, classes)` of clean images `(B, 3, H, W)` in [0, 1]."""
        logits: Tensor = self.classifier(clean)
        return logits

    @torch.no_grad()
    def both(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """h_c and the logits of clean images `(B, 3, H, W)` in [0, 1], in one pass."""
        return self.classifier.both(clean)

    def refuse_shared(self, student: nn.Module) -> None:
        """Refuses a student that shares a parameter or buffer with the teacher.

        Raises:
            MethodError: they share one, so training the student would change its own guidance.
        """
        own = {tensor.data_ptr() for tensor in self.classifier.state_dict().values()}
        if any(tensor.data_ptr() in own for tensor in student.state_dict().values()):
            raise MethodError("the clean branch shares weights with the occluded branch; build the two separately.")


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Inside, batch norm in train mode still normalises by the batch but does not update its running statistics."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@contextmanager
def frozen_parameters(module: nn.Module) -> Iterator[None]:
    """Inside, gradients pass through the module to its input, but its own parameters get none."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
