"""What the training loop needs of a stage, and what a stage's round gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from occfer.data.arrays import Indices, View
from occfer.runs.checkpoint import Tensors


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """One update of one network.

    Attributes:
        terms: loss terms by name, scalars on the device.
        indices: samples of its batch over all processes, to name them if a term is not finite.
    """

    terms: dict[str, Tensor]
    indices: Indices


class Stage(Protocol):
    """What the training loop needs of a stage."""

    @property
    def name(self) -> str:
        """Its name in logs and file names."""
        ...

    @property
    def view(self) -> View:
        """The view on which its network is selected."""
        ...

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        ...

    @property
    def rounds(self) -> int:
        """Rounds per epoch."""
        ...

    @property
    def backbone(self) -> str:
        """The backbone of its network, for the model file."""
        ...

    @property
    def begins_trained(self) -> bool:
        """Whether its network is worth keeping as it is given; then it is validated before the first round, too."""
        ...

    @property
    def network(self) -> nn.Module:
        """The network that is trained."""
        ...

    def predict(self, indices: Indices) -> Tensor:
        """Logits `(len(indices), classes)` for samples of the network's view, on the CPU, the same in every process."""
        ...

    def round(self, number: int) -> list[Update]:
        """The round with that number, counted from 0 over all epochs."""
        ...

    def rates(self) -> dict[str, float]:
        """The learning rates of the last update, by name."""
        ...

    def note(self) -> str:
        """What the user should know at the end of an epoch; empty if there is nothing. Every process calls it."""
        ...

    def networks(self) -> tuple[Tensors, Tensors | None]:
        """State dicts of what a model file keeps: the network and, where there is one, the decoder."""
        ...

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Everything that resuming needs, as tensors and JSON values."""
        ...

    def restore(self, tensors: Tensors, values: Mapping[str, Any]) -> None:
        """Puts `state` back."""
        ...

    def close(self) -> None:
        """Releases what it holds open."""
        ...
