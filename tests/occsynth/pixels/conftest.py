"""A small image that the tests of this folder share."""

import numpy as np
import pytest

from occsynth.pixels.images import Pixels


@pytest.fixture
def rgb() -> Pixels:
    """37 x 23 pixels in which no two corners are alike."""
    ys, xs = np.mgrid[0:23, 0:37]
    return np.stack([xs * 6, ys * 10, (xs * ys) % 256], axis=2).astype(np.uint8)
