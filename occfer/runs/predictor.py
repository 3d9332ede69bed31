"""A trained model for those who test or use it: images in, probabilities out."""

from typing import Protocol

from occfer.data.arrays import Float64Array, Images, Points
from occfer.runs.model_info import ModelInfo


class Predictor(Protocol):
    """A trained model of any method or baseline, in any format.

    >>> from pathlib import Path
    >>> import numpy as np
    >>> from occfer.engine.engine import one_process
    >>> from occfer.method_table import load_predictor
    >>> predictor = load_predictor(Path("runs/demo"), one_process("cpu"))
    >>> predictor.needs_points
    False
    >>> side_px = predictor.info.size_px
    >>> predictor.probabilities(np.zeros((2, side_px, side_px, 3), dtype=np.uint8)).shape
    (2, 7)
    """

    @property
    def info(self) -> ModelInfo:
        """What its model file says of it."""
        ...

    @property
    def needs_points(self) -> bool:
        """Whether it needs the 68 landmarks of each face."""
        ...

    def probabilities(self, images: Images, points_xy: Points | None = None) -> Float64Array:
        """`(N, len(info.classes))`; each face's probabilities sum to 1.

        Args:
            images: `(N, S, S, 3)` uint8 RGB, aligned faces; S is `info.size_px`.
            points_xy: `(N, 68, 2)` float32, iBUG order, in pixels of the images, NaN where none were found; must
                be given if `needs_points`.
        """
        ...
