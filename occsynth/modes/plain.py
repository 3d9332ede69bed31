"""Plain fills - black, mean, noise - of a square or of a region's hull."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from occsynth.modes.face import Face
from occsynth.modes.render import Box, Fill, Occlusion


def plain_square(square_xyxy: Box, face: Face, fill: Fill, noise: str) -> Occlusion:
    """The square itself, filled."""
    return _coloured(Occlusion(fill=fill, square_xyxy=square_xyxy), face, noise)


def plain_hull(hull_xy: npt.NDArray[np.floating], face: Face, fill: Fill, noise: str) -> Occlusion:
    """The polygon, on whole pixels, filled."""
    points = tuple((int(x), int(y)) for x, y in np.rint(hull_xy))
    return _coloured(Occlusion(fill=fill, hull_xy=points), face, noise)


def _coloured(occlusion: Occlusion, face: Face, noise: str) -> Occlusion:
    if occlusion.fill == "mean":
        return replace(occlusion, rgb=face.mean_rgb)
    return replace(occlusion, noise=noise) if occlusion.fill == "noise" else occlusion
