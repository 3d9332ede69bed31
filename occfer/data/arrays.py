"""occfer.data.manifests.arrays: docstring to write."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]


Points = npt.NDArray[np.float32]


# (S, S, 3) uint8 RGB to (68, 2) float32 in its pixels, or None where no face is found
PointFinder = Callable[[Images], Points | None]
