"""How much of a face an occlusion hides: the aim of the modes whose name gives a share, and how it is measured."""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.modes.face import Face
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.render import occluder_layer
from occsynth.pixels.images import Pixels
from occsynth.templates.pack import TemplatePack
from occsynth.templates.sprites import OPAQUE_ALPHA

TOLERANCE = 0.03
"""How far the hidden share of the face may lie from the one in the mode's name."""

TEMPLATE_TOLERANCE = 0.025
"""The same while a template is placed: a look may soften its edge afterwards, which changes the share a little."""

_MOST_PIXELS = 2500
_SEARCH_STEPS = 12


def rendered_shares(pack: TemplatePack, occlusion: Occlusion, face: Face) -> dict[str, float]:
    """The share of each region that lies under the rendered template, softened edge included."""
    layer, (x0, y0, x1, y1) = occluder_layer(occlusion, pack, face.wh)
    alpha = np.zeros((face.wh[1], face.wh[0]), np.uint8)
    if layer is not None:
        alpha[y0:y1, x0:x1] = layer[:, :, 3]
    return face.regions.coverage(alpha, OPAQUE_ALPHA)


def share_of_face(face: Face, mask: Pixels) -> float:
    """The share of the face's pixels inside the picture at which a mask of 0 and 1 is 1."""
    oval = face.regions.masks["face"]
    total = cv2.countNonZero(oval)
    return cv2.countNonZero(cv2.bitwise_and(oval, mask)) / total if total else 0.0


def some_face_pixels(face: Face) -> npt.NDArray[np.float64]:
    """`(2, N)` x and y of face pixels, thinned out evenly: enough to estimate a share while a template is placed."""
    pixels = face.regions.pixels_of("face")
    return pixels[:, :: max(1, -(-pixels.shape[1] // _MOST_PIXELS))]


def nearest(low: float, high: float, share_at: Callable[[float], float], goal: float) -> tuple[float, float]:
    """Where between two ends a rising share comes nearest to a goal, and the share there; found by halving."""
    best = (high, share_at(high))
    for _ in range(_SEARCH_STEPS):
        middle = (low + high) / 2
        share = share_at(middle)
        if abs(share - goal) < abs(best[1] - goal):
            best = (middle, share)
        low, high = (middle, high) if share < goal else (low, middle)
    return best
