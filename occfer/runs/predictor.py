"""A trained model as whatever tests or uses it sees it: pictures in, probabilities out."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from occfer.data.arrays import Images, Points
from occfer.runs.model_facts import ModelFacts


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
