"""The arrays that images and landmarks are handed over in, and the two views of a pair."""

from typing import Literal

import numpy as np
import numpy.typing as npt

# Which image of a pair a network sees.
View = Literal["occluded", "clean"]

# (N, S, S, 3) RGB, or one image (S, S, 3).
Images = npt.NDArray[np.uint8]

# Landmarks, x and y in pixels of their image; (68, 2) or (N, 68, 2), iBUG order.
Points = npt.NDArray[np.float32]
