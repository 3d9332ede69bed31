"""What a method's row says: which losses guide stage 2, and which branch is tested on which view."""

from dataclasses import dataclass
from typing import Literal

from occfer.errors import ConfigError, lookup
from occfer.losses import LOSSES, PAIRINGS, Pairing

View = Literal["occluded", "clean"]


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the paper's tables, or one of our references.

    Attributes:
        title: how reports name it.
        losses: the guidance terms of stage 2, keys of `LOSSES`, in the order of Eq. 8.
        stage2: whether the occluded branch is fine-tuned after its pre-training.
        branch: the branch that predicts.
        view: the images that it is tested on.
        in_paper: whether it is a row of the paper's Tables 1 to 3.
        comparable: whether it may enter a paired test against `resnet`: it must see the same occluded images.
    """

    title: str
    losses: tuple[str, ...] = ()
    stage2: bool = False
    branch: View = "occluded"
    view: View = "occluded"
    in_paper: bool = True
    comparable: bool = True

    @property
    def needs_discriminator(self) -> bool:
        """Whether a discriminator is built and trained."""
        return any(LOSSES[name].head == "discriminator" for name in self.losses)

    @property
    def needs_decoder(self) -> bool:
        """Whether a decoder is built and trained with the occluded branch."""
        return any(LOSSES[name].head == "decoder" for name in self.losses)

    @property
    def needs_teacher_features(self) -> bool:
        """Whether the discriminator's step needs the clean branch's h: the teacher runs to there and no further."""
        return any(LOSSES[name].teacher == "features" for name in self.losses)

    @property
    def needs_teacher_logits(self) -> bool:
        """Whether the occluded branch's step needs the clean branch's logits (they can be cached)."""
        return any(LOSSES[name].teacher == "logits" for name in self.losses)

    @property
    def needs_teacher(self) -> bool:
        """Whether stage 2 needs a pre-trained clean branch at all."""
        return self.needs_teacher_features or self.needs_teacher_logits

    @property
    def branches(self) -> tuple[View, ...]:
        """The branches that stage 1 pre-trains: those that predict, are fine-tuned or guide."""
        occluded: tuple[View, ...] = ("occluded",) if self.branch == "occluded" else ()
        clean: tuple[View, ...] = ("clean",) if self.branch == "clean" or self.needs_teacher else ()
        return occluded + clean

    @property
    def pairing(self) -> Pairing:
        """The loosest pairing of clean and occluded images that every loss of the method can take."""
        return min((LOSSES[name].pairing for name in self.losses), key=PAIRINGS.index, default="unpaired")


def check_pairing(name: str, method: Method, pairing: str) -> None:
    """Refuses a pairing that is too loose for one of the method's losses (Sections 3 and 4.4).

    Args:
        name: the method's key, for the message.
        method: its row.
        pairing: a member of `PAIRINGS`.

    Raises:
        ConfigError: naming the first loss that needs more, and why.
        UnknownNameError: no such pairing.
    """
    given = lookup({known: order for order, known in enumerate(PAIRINGS)}, pairing, kind="pairing")
    for key in method.losses:
        loss = LOSSES[key]
        if given > PAIRINGS.index(loss.pairing):
            raise ConfigError(
                f"--method {name} cannot be trained with --pairing {pairing}: its loss {key} needs "
                f"{loss.pairing} images, because {loss.reason}; use --pairing {method.pairing}."
            )
