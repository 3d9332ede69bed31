"""The losses of Section 4 as pure functions, and what each needs, in one table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from occfer.losses.adversarial import adversarial_loss, discriminator_loss
from occfer.losses.inputs import LossInputs
from occfer.losses.loss_inequality import InequalityReduction, loss_inequality
from occfer.losses.reconstruction import reconstruction
from occfer.losses.similarity import SimilaritySpace, similarity
from occfer.losses.total import total

__all__ = [
    "DEFAULT_WEIGHTS",
    "LOSSES",
    "PAIRINGS",
    "InequalityReduction",
    "Loss",
    "LossInputs",
    "Pairing",
    "SimilaritySpace",
    "adversarial_loss",
    "discriminator_loss",
    "loss_inequality",
    "reconstruction",
    "similarity",
    "total",
]

Pairing = Literal["paired", "category", "unpaired"]
# How a clean image is chosen for an occluded one, from the strictest: the same face, one of the same category, any.
PAIRINGS: tuple[Pairing, ...] = ("paired", "category", "unpaired")


@dataclass(frozen=True, slots=True)
class Loss:
    """One guidance term of Eq. 8.

    Attributes:
        symbol: as the paper writes it.
        equation: its number in the paper; None for one that is not the paper's.
        pairing: the loosest pairing that it still means something with (Sections 3 and 4.4).
        reason: why not a looser one.
        head: the network that it needs beside the two branches.
        teacher: what it needs of the clean branch.
        weight_flag: the command line's name of its weight; empty where it has none.
        weight: its default.
        compute: the loss itself, unweighted, for one that has no options; None where stage 2 knows what to give it.
    """

    symbol: str
    equation: int | None
    pairing: Pairing
    reason: str
    head: Literal["discriminator", "decoder"] | None
    teacher: Literal["logits", "features"] | None
    weight_flag: str = ""
    weight: float = 1.0
    compute: Callable[[LossInputs], Tensor] | None = None


# [decided] The paper gives no weights, only "grid search"; a small trial wanted similarity large, and the adversarial
# and reconstruction weights small. A starting point, to be searched on a validation part.
LOSSES: dict[str, Loss] = {
    "sim": Loss(
        symbol="l_sim",
        equation=1,
        pairing="category",
        reason="it compares the outputs for two images of the same category",
        head=None,
        teacher="logits",
        weight_flag="--lambda-sim",
        weight=3.0,
    ),
    "lir": Loss(
        symbol="l_LIR",
        equation=3,
        pairing="paired",
        reason="it compares the losses of one face with and without its occlusion",
        head=None,
        teacher="logits",
        weight_flag="--lambda-lir",
        weight=0.5,
    ),
    "adv": Loss(
        symbol="l_adv",
        equation=6,
        pairing="unpaired",
        reason="it compares distributions of features",
        head="discriminator",
        teacher="features",
        weight_flag="--lambda-adv",
        weight=0.02,
    ),
    "rec": Loss(
        symbol="l_rec",
        equation=7,
        pairing="paired",
        reason="it restores the same face without its occlusion",
        head="decoder",
        teacher=None,
        weight_flag="--lambda-rec",
        weight=0.3,
    ),
}

DEFAULT_WEIGHTS: dict[str, float] = {name: loss.weight for name, loss in LOSSES.items()}
