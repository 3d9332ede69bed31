"""A trained model as whatever tests or uses it sees it: pictures in, probabilities out."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from occfer.checkpoint import Model, ModelFacts
from occfer.engine import Engine

Images = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]
# (S, S, 3) uint8 RGB to (68, 2) float32 in its pixels, or None where no face is found
PointFinder = Callable[[Images], Points | None]


class Predictor(Protocol):
    """What every method and baseline becomes once it is trained."""

    @property
    def facts(self) -> ModelFacts:
        """What its model file says about it."""
        ...

    @property
    def needs_points(self) -> bool:
        """Whether it looks at the face's 68 landmarks too."""
        ...

    def probabilities(self, images: Images, points_xy: Points | None = None) -> npt.NDArray[np.float64]:
        """`(N, len(facts.classes))`, rows sum to 1.

        Args:
            images: `(N, S, S, 3)` uint8 RGB, aligned faces; S is `facts.size_px`.
            points_xy: `(N, 68, 2)` float32, iBUG order, in pixels of the images; needed where `needs_points` says so.
        """
        ...


class NetworkPredictor:
    """The one branch that a method tests (Section 3.5: the occluded branch alone).

    Args:
        model: with its networks on the CPU; the classifier is moved to the engine's device.
        engine: of one process.
        batch_size: images at once.
    """

    needs_points = False

    def __init__(self, model: Model, engine: Engine, batch_size: int = 64) -> None:
        self.facts: ModelFacts = model.facts
        self._engine = engine
        self._network = model.classifier
        self._batch_size = batch_size
        engine.place(model.classifier)

    def probabilities(self, images: Images, points_xy: Points | None = None) -> npt.NDArray[np.float64]:
        """See `Predictor`; landmarks are not looked at."""
        del points_xy
        logits = torch.zeros(len(images), len(self.facts.classes))
        layout = torch.channels_last if self._engine.channels_last else torch.contiguous_format
        with torch.no_grad(), self._engine.fabric.autocast():
            for start in range(0, len(images), self._batch_size):
                part = torch.from_numpy(images[start : start + self._batch_size]).to(self._engine.device)
                batch = part.permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=layout)
                logits[start : start + len(part)] = self._network(batch).float().cpu()
        return np.asarray(logits.double().softmax(dim=1).numpy(), dtype=np.float64)
