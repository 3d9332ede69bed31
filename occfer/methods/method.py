"""The description of a method: which losses guide stage 2, and which branch is tested on which view."""

from dataclasses import dataclass
from typing import Literal

from occfer.config import TrainConfig
from occfer.data.arrays import View
from occfer.errors import ConfigError, lookup
from occfer.losses import LOSSES, PAIRINGS, Pairing

# What a reader wants to know of a method before comparing it: see `Method.kind`.
Kind = Literal["plain", "guided", "control", "reference", "baseline"]


@dataclass(frozen=True, slots=True)
class Method:
    """What `--method` takes, described: the paper's methods, our references, and the baselines.

    How a method is trained and asked is its trainer's business, see `occfer.method_table`.

    Attributes:
        title: its name in reports.
        losses: guidance terms of stage 2, keys of `LOSSES`, in the order of Eq. 8.
        stage2: whether the occluded branch is fine-tuned after its pre-training.
        branch: the branch that predicts; None for a baseline, which has no branches.
        view: the images that it is tested on.
        in_paper: whether it stands in the paper's Tables 1 to 3.
        comparable: whether it may enter a paired test against `resnet`: it must see the same occluded images.
        reconstruction: whether the authors left too much open to call it theirs; every report then says so.
        needs_points: whether it uses landmarks, those that `--landmarks-from` names. It accepts faces in which none
            were found, whose points are NaN.
    """

    title: str
    losses: tuple[str, ...] = ()
    stage2: bool = False
    branch: View | None = "occluded"
    view: View = "occluded"
    in_paper: bool = True
    comparable: bool = True
    reconstruction: bool = False
    needs_points: bool = False

    def __post_init__(self) -> None:
        for name in self.losses:
            lookup(LOSSES, name, kind="loss")

    @property
    def shown_title(self) -> str:
        """The title, marked where the method is a reconstruction."""
        return f"{self.title} (reconstruction)" if self.reconstruction else self.title

    @property
    def kind(self) -> Kind:
        """`baseline`, `reference` (the clean branch), `guided`, `control` (longer training alone) or `plain`."""
        if self.branch is None:
            return "baseline"
        if self.branch == "clean":
            return "reference"
        if self.losses:
            return "guided"
        return "control" if self.stage2 else "plain"

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
        """Whether any step needs the clean branch's h."""
        return any(LOSSES[name].teacher == "features" for name in self.losses)

    @property
    def student_needs_features(self) -> bool:
        """Whether the occluded branch's own step needs h: a discriminator gets it in its own turn."""
        return any(LOSSES[name].teacher == "features" and LOSSES[name].head is None for name in self.losses)

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
        """The branches that stage 1 pre-trains: those that predict, are fine-tuned or guide; none for a baseline."""
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
        method: its description.
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


def check_clean_share(method: Method, config: TrainConfig) -> None:
    """Refuses clean faces in a batch that the discriminator takes for occluded; raises ConfigError."""
    if method.needs_discriminator and config.discriminator_batch == "shared" and config.clean_share > 0:
        raise ConfigError(
            f"--discriminator-batch shared with --clean-share {config.clean_share:g} would tell the discriminator "
            "that the clean faces of the batch are occluded; use --discriminator-batch fresh, or --clean-share 0"
        )
