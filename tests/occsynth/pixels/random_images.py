"""Random images and maps that tests of warps and of alignment share."""

import math

import numpy as np
from hypothesis import strategies as st

from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import Affine


@st.composite
def similarities(draw: st.DrawFn, scales: tuple[float, float] = (0.2, 5.0)) -> Affine:
    angle = draw(st.floats(-math.pi, math.pi))
    scale = math.exp(draw(st.floats(math.log(scales[0]), math.log(scales[1]))))
    mirror = draw(st.sampled_from((1.0, -1.0)))
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    x, y = draw(st.floats(-80, 80)), draw(st.floats(-80, 80))
    return (cos * mirror, -sin, x, sin * mirror, cos, y)


def noise(seed: int, height: int, width: int, channels: int) -> Pixels:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
