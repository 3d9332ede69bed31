"""The guidance losses of Section 4 as pure functions, and the table of what each needs.

A loss of stage 2 belongs here, with its line in `LOSSES`; its weight is a setting (`occfer.config`), and what combines
losses into a method, or runs the networks that they need, is in `occfer.methods`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from occfer.config import TrainConfig
from occfer.losses.adversarial import adv, adversarial_loss, discriminator_loss
from occfer.losses.distillation import distillation, kd
from occfer.losses.feature_hint import feature_hint, hint
from occfer.losses.inputs import LossInputs
from occfer.losses.loss_inequality import lir, loss_inequality
from occfer.losses.reconstruction import rec, reconstruction
from occfer.losses.similarity import sim, similarity
from occfer.losses.total import total
from occfer.settings import InequalityReduction, Pairing, SimilaritySpace

__all__ = [
    "LOSSES",
    "PAIRINGS",
    "InequalityReduction",
    "Loss",
    "LossInputs",
    "Pairing",
    "SimilaritySpace",
    "adversarial_loss",
    "discriminator_loss",
    "distillation",
    "feature_hint",
    "loss_inequality",
    "reconstruction",
    "similarity",
    "total",
]

# How a clean image is chosen for an occluded one, from the strictest: the same face, one of the same category, any.
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)


@dataclass(frozen=True, slots=True)
class Loss:
    """One guidance term of Eq. 8; the term NAME is weighted by the setting `lambda_NAME`.

    Attributes:
        compute: the term, unweighted.
        pairing: the loosest pairing for which it is still meaningful (Sections 3 and 4.4).
        reason: why a looser one is not.
        equation: its number in the paper; None for one that is not the paper's.
        head: the network that it needs beside the two branches.
        teacher: what it needs of the clean branch; the discriminator's features are those of its own turn.
    """

    compute: Callable[[LossInputs, TrainConfig], Tensor]
    pairing: Pairing
    reason: str
    equation: int | None = None
    head: Literal["discriminator", "decoder"] | None = None
    teacher: Literal["logits", "features"] | None = None


LOSSES: dict[str, Loss] = {
    "sim": Loss(
        sim, "category", "it compares the outputs for two images of the same category", equation=1, teacher="logits"
    ),
    "lir": Loss(
        lir,
        "paired",
        "it compares the losses of one face with and without its occlusion",
        equation=3,
        teacher="logits",
    ),
    "adv": Loss(
        adv,
        "unpaired",
        "it compares distributions of features",
        equation=6,
        head="discriminator",
        teacher="features",
    ),
    "rec": Loss(rec, "paired", "it restores the same face without its occlusion", equation=7, head="decoder"),
    # Not the paper's: the plain alternatives that it is compared with.
    "kd": Loss(kd, "category", "it compares the outputs for two images of the same category", teacher="logits"),
    "hint": Loss(hint, "paired", "it compares the features of one face cell by cell", teacher="features"),
}
