"""The networks of stage 2 as the engine wraps them: the student with its decoder, and the teacher."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from occfer.errors import MethodError
from occfer.methods.network_modes import batch_statistics
from occfer.models.classifier import Classifier
from occfer.models.decoder import Decoder


class StudentOutput(NamedTuple):
    """The outputs of one pass of the student.

    Attributes:
        features: h_o, `(B, C, h, w)`, see `Classifier.features`.
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
        """One pass over occluded images `(B, 3, H, W)` in [0, 1]."""
        features, logits = self.classifier.both(occluded)
        if self.decoder is None:
            return StudentOutput(features, logits, None)
        return StudentOutput(features, logits, self.decoder(features, (occluded.shape[-2], occluded.shape[-1])))


class Teacher:
    """The clean branch, fixed (Section 4.1): eval mode, batch-norm statistics included [decided], and no gradients.

    It is deliberately not a module, so that nothing that wraps, trains or counts modules finds it.

    Args:
        classifier: the pre-trained clean branch, frozen in place. It must share no tensor with the student.
        others: further networks that look at the clean face, frozen likewise; the logits are then those of all,
            averaged. Not the paper's.

    Attributes:
        classifier: the clean branch.
        networks: it and the others.
    """

    def __init__(self, classifier: Classifier, *others: Classifier) -> None:
        self.classifier = classifier
        self.networks = (classifier, *others)
        for network in self.networks:
            network.eval().requires_grad_(False)
            network.zero_grad()  # frees the gradients that stage 1 may have left

    @torch.no_grad()
    def features(self, clean: Tensor, *, by_batch: bool = False) -> Tensor:
        """h_c of clean images `(B, 3, H, W)` in [0, 1]; the layers after it do not run.

        Args:
            clean: the images.
            by_batch: batch norm normalises by these images and not by the running statistics, as that of an occluded
                branch in train mode does. Nothing of the branch changes.
        """
        with batch_statistics(self.classifier) if by_batch else nullcontext():
            return self.classifier.features(clean)

    @torch.no_grad()
    def logits(self, clean: Tensor) -> Tensor:
        """Logits `(B, classes)` of clean images `(B, 3, H, W)` in [0, 1]."""
        return mean_logits([network(clean) for network in self.networks])

    @torch.no_grad()
    def both(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        """h_c and the logits of clean images `(B, 3, H, W)` in [0, 1], in one pass."""
        features, logits = self.classifier.both(clean)
        return features, mean_logits([logits, *(network(clean) for network in self.networks[1:])])

    def refuse_shared(self, student: nn.Module) -> None:
        """Refuses a student that shares a parameter or buffer with the teacher.

        Raises:
            MethodError: they share one, so training the student would change its own guidance.
        """
        own = {tensor.data_ptr() for network in self.networks for tensor in network.state_dict().values()}
        if any(tensor.data_ptr() in own for tensor in student.state_dict().values()):
            raise MethodError("the clean branch shares weights with the occluded branch; build the two separately.")


def mean_logits(logits: Sequence[Tensor]) -> Tensor:
    """The logits of several networks as one's: the mean of their log-probabilities; those of one alone as they are.

    >>> certain, undecided = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    >>> torch.softmax(mean_logits([certain, undecided]), dim=1).allclose(torch.softmax(certain / 2, dim=1))
    True

    Args:
        logits: `(B, classes)` of each network.
    """
    if len(logits) == 1:
        return logits[0]
    return torch.stack([torch.log_softmax(each.float(), dim=1) for each in logits]).mean(dim=0)
