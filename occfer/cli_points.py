"""Landmarks of faces that are occluded already: occsynth's detector as the callable that `occfer.train` takes."""

import numpy as np
import numpy.typing as npt

from occsynth.face_regions import ibug68
from occsynth.landmarks import detect_landmarks


def find_points(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
    """The 68 landmarks of a face, see `occfer.predictor.PointFinder`.

    Args:
        image: `(S, S, 3)` uint8 RGB.

    Returns:
        `(68, 2)` float32, iBUG order, pixels of the image; None where no face is found.
    """
    found = detect_landmarks(image)
    return None if found is None else ibug68(found.points_xy).astype(np.float32)
