"""Modes cover-NN: NN % of the face hidden at a random place.

The share is the one that is measured on the face's oval inside the picture. These modes are our decision.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from occsynth.errors import TemplateError
from occsynth.modes.anywhere import SIZE_OF_FACE, TURN_DEG, away_deg
from occsynth.modes.face import Choices, Face, uniform
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.placement import (
    MAX_DRAWS,
    Placement,
    arm_deg,
    base_is_outside,
    draw_blending,
    draw_template,
    hand_xy,
    hidden_fraction,
    largest_scale,
    record,
    turned_box,
)
from occsynth.modes.plain import plain_square
from occsynth.modes.share import (
    TEMPLATE_TOLERANCE,
    TOLERANCE,
    nearest,
    rendered_shares,
    share_of_face,
    some_face_pixels,
)
from occsynth.pixels.warp import PixelBox
from occsynth.templates.sprites import OPAQUE_ALPHA


@dataclass(frozen=True, slots=True)
class Cover:
    """Hides `percent` of the face by a template, or a plain rectangle, whose middle lies anywhere on the face."""

    percent: int

    def sample(self, rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
        """The first of 20 draws whose share is met; else the nearest to it, marked `partial`."""
        goal = self.percent / 100
        best: tuple[float, Occlusion] | None = None
        for _ in range(MAX_DRAWS):
            if choices.fill == "template":
                occlusion, share, base_outside = _template(rng, face, choices, goal)
                tolerance = TEMPLATE_TOLERANCE
            else:
                box, share = _rectangle(rng, face, goal)
                occlusion, base_outside = plain_square(box, face, choices.fill, noise), True
                tolerance = TOLERANCE
            missed_by = abs(share - goal) + (0.0 if base_outside else 0.5)
            if missed_by <= tolerance:
                return occlusion
            if best is None or missed_by < best[0]:
                best = (missed_by, replace(occlusion, partial=True))
        if best is None:
            raise TemplateError("no draw was made")
        return best[1]


def _rectangle(rng: np.random.Generator, face: Face, goal: float) -> tuple[PixelBox, float]:
    """A rectangle around a point of the face, as large as the share asks for, and its share."""
    x, y = face.regions.random_point(rng)
    wide, high = uniform(rng, *SIZE_OF_FACE), uniform(rng, *SIZE_OF_FACE)
    whole = np.zeros((face.wh[1], face.wh[0]), np.uint8)

    def box(scale: float) -> PixelBox:
        x0, y0 = max(0, round(x - wide * scale / 2)), max(0, round(y - high * scale / 2))
        x1, y1 = min(face.wh[0], round(x + wide * scale / 2)), min(face.wh[1], round(y + high * scale / 2))
        return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)

    def share_at(scale: float) -> float:
        x0, y0, x1, y1 = box(scale)
        whole[:] = 0
        whole[y0:y1, x0:x1] = 1
        return share_of_face(face, whole)

    largest = 2 * math.hypot(*face.wh) / min(wide, high)
    scale, share = nearest(0.0, largest, share_at, goal)
    return box(scale), share


def _template(rng: np.random.Generator, face: Face, choices: Choices, goal: float) -> tuple[Occlusion, float, bool]:
    """A template around a point of the face, as large as the share asks for, its share, and whether its base is out."""
    pack, template = draw_template(rng, choices, see_through=False)
    sprite = pack.sprite(template.file)
    mirror = bool(rng.integers(2))
    place = face.regions.random_point(rng)
    if sprite.base_xy is None:
        limit = TURN_DEG.get(template.category, 45.0)
        angle = uniform(rng, -limit, limit)
        box_wh, anchor = turned_box(sprite, mirror, angle)
    else:
        angle = away_deg(rng, face, place) - arm_deg(sprite, mirror)
        box_wh, _ = turned_box(sprite, mirror, angle)
        anchor = hand_xy(sprite)
    pixels = some_face_pixels(face)

    def share_at(scale: float) -> float:
        placed = record(pack, template, Placement(mirror, angle, scale, anchor, place))
        return hidden_fraction(pack, placed, pixels, OPAQUE_ALPHA)

    scale, _ = nearest(0.0, largest_scale(face, box_wh), share_at, goal)
    placement = Placement(mirror, angle, scale, anchor, place)
    occlusion = record(pack, template, placement, draw_blending(rng, sprite, face, choices))
    return occlusion, rendered_shares(pack, occlusion, face)["face"], base_is_outside(sprite, placement, face.wh)
