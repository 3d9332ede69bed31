"""Modes r8, r16 and r24: a square of N/48 of the picture's side at a uniformly random place of it, or of the face.

The paper gives the sizes for CK+ at 48 pixels. That they scale with the face, where exactly they lie, and how they are
filled, is our decision.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from occsynth.modes.face import Choices, Face, uniform
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.placement import Placement, arm_deg, draw_template, record, turned_box
from occsynth.modes.plain import plain_square
from occsynth.pixels.warp import PixelBox


@dataclass(frozen=True, slots=True)
class Square:
    """A square of `side_of_48` / 48 of the shorter side of the picture."""

    side_of_48: int

    def sample(self, rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
        """One square, plain or filled by a template whose longer side is as long as the square's."""
        side = max(1, round(face.side_px * self.side_of_48 / 48))
        x0, y0 = (_on_face if choices.square_at == "face" else _in_picture)(rng, face, side)
        square = (x0, y0, x0 + side, y0 + side)
        if choices.fill != "template":
            return plain_square(square, face, choices.fill, noise)
        return _fit_template(rng, face, choices, square)


def _in_picture(rng: np.random.Generator, face: Face, side: int) -> tuple[int, int]:
    """A corner of a square anywhere in the picture."""
    x0 = int(rng.integers(face.wh[0] - side + 1))
    return x0, int(rng.integers(face.wh[1] - side + 1))


def _on_face(rng: np.random.Generator, face: Face, side: int) -> tuple[int, int]:
    """A corner of a square whose middle is a pixel of the face, such that the square lies inside the picture.

    All such pixels are equally likely. Where there is none, the square lies anywhere in the picture.
    """
    corners = face.regions.pixels_of("face").astype(np.int64) - side // 2
    farthest = np.array(face.wh)[:, None] - side
    fitting = corners[:, ((corners >= 0) & (corners <= farthest)).all(axis=0)]
    if not fitting.size:
        return _in_picture(rng, face, side)
    x0, y0 = fitting[:, int(rng.integers(fitting.shape[1]))]
    return int(x0), int(y0)


def _fit_template(rng: np.random.Generator, face: Face, choices: Choices, square: PixelBox) -> Occlusion:
    """A template that is turned and then scaled, without distortion, until its opaque box fits the square.

    A hand is turned so that its forearm points away from the centre of the face.
    """
    pack, template = draw_template(rng, choices, see_through=False)
    sprite = pack.sprite(template.file)
    mirror = bool(rng.integers(2))
    angle = uniform(rng, 0.0, 360.0)
    side = square[2] - square[0]
    # Pixel centres at integers: the square spans x0 - 0.5 to x1 - 0.5.
    centre = ((square[0] + square[2] - 1) / 2, (square[1] + square[3] - 1) / 2)
    if sprite.base_xy is not None:
        middle = face.regions.centre_xy
        away = math.degrees(math.atan2(centre[1] - middle[1], centre[0] - middle[0]))
        angle = away + uniform(rng, -30.0, 30.0) - arm_deg(sprite, mirror)
    (width, height), anchor = turned_box(sprite, mirror, angle)
    placement = Placement(mirror, angle, side / max(width, height), anchor, centre)
    return replace(record(pack, template, placement), square_xyxy=square)
