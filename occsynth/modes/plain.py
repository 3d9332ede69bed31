"""Records of plain fills (black, mean, noise) of a square or of the hull of a region."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from occsynth.modes.face import Face
from occsynth.modes.occlusion import Occlusion
from occsynth.option_values import Fill
from occsynth.pixels.warp import PixelBox


def plain_square(square_xyxy: PixelBox, face: Face, fill: Fill, noise: str) -> Occlusion:
    """The record of a filled square."""
    return _coloured(Occlusion(fill=fill, square_xyxy=square_xyxy), face, noise)


def plain_hull(hull_xy: npt.NDArray[np.floating], face: Face, fill: Fill, noise: str) -> Occlusion:
    """The record of a filled polygon, its corners rounded to whole pixels."""
    points = tuple((int(x), int(y)) for x, y in np.rint(hull_xy))
    return _coloured(Occlusion(fill=fill, hull_xy=points), face, noise)


def _coloured(occlusion: Occlusion, face: Face, noise: str) -> Occlusion:
    if occlusion.fill == "mean":
        return replace(occlusion, rgb=face.mean_rgb)
    return replace(occlusion, noise=noise) if occlusion.fill == "noise" else occlusion
