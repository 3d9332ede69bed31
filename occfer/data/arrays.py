"""The arrays that are handed from room to room, each under one name, and the two views of a pair."""

from typing import Literal

import numpy as np
import numpy.typing as npt

# Which image of a pair a network sees.
View = Literal["occluded", "clean"]

# (N, S, S, 3) RGB, or one image (S, S, 3).
Images = npt.NDArray[np.uint8]

# The same with values in [0, 1].
UnitImages = npt.NDArray[np.float32]

# Landmarks, x and y in pixels of their image; (68, 2) or (N, 68, 2), iBUG order.
Points = npt.NDArray[np.float32]

# Positions of samples in their corpus, (N,).
Indices = npt.NDArray[np.int64]

# Which samples of a batch, (N,).
BoolArray = npt.NDArray[np.bool_]

# For everything else: the docstring says what is in it.
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
