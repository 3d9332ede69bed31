"""Mode random: category, template, size, turn, mirror and place on the face, all at random.

Random places on the face are the paper's; the distributions are our decisions.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from occsynth.errors import TemplateError
from occsynth.modes.face import Choices, Face, uniform
from occsynth.modes.placement import (
    Placement,
    arm_deg,
    base_is_outside,
    draw_look,
    draw_template,
    hand_xy,
    record,
    turned_box,
)
from occsynth.modes.plain import plain_square
from occsynth.modes.render import Occlusion
from occsynth.templates.pack import Sprite, Template

SIZE_OF_FACE = (0.35, 0.8)
"""Longer side of the template's opaque box as a share of the face's width; hand and forearm take twice that."""

TURN_DEG = {"food": 180.0, "drink": 30.0}
"""Whole objects are turned by up to this much to either side; other categories by 45."""

MAX_DRAWS = 20
_GROWTH = 1.12
_LARGEST = 2.2


@dataclass(frozen=True, slots=True)
class Anywhere:
    """A template, or a plain rectangle, with its middle anywhere on the face."""

    def sample(self, rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
        """One random occlusion; a hand comes in from outside the picture, `partial` where it could not reach."""
        if choices.fill != "template":
            return self._rectangle(rng, face, choices, noise)
        last: Occlusion | None = None
        for _ in range(MAX_DRAWS):
            pack, template = draw_template(rng, choices, see_through=True)
            sprite = pack.sprite(template.file)
            placement = self._place(rng, face, template, sprite)
            last = record(pack, template, placement, draw_look(rng, sprite, face, choices))
            if base_is_outside(sprite, placement, face.wh):
                return last
        if last is None:
            raise TemplateError("no draw was made")
        return replace(last, partial=True)

    def _place(self, rng: np.random.Generator, face: Face, template: Template, sprite: Sprite) -> Placement:
        mirror = bool(rng.integers(2))
        place = face.regions.random_point(rng)
        size = uniform(rng, *SIZE_OF_FACE) * face.regions.width_px
        limit = TURN_DEG.get(template.category, 45.0)
        angle = uniform(rng, -limit, limit)
        if sprite.base_xy is None:
            box_wh, anchor = turned_box(sprite, mirror, angle)
            return Placement(mirror, angle, size / max(box_wh), anchor, place)
        start = Placement(mirror, 0.0, 2 * size, hand_xy(sprite), place)
        return self._reach_in(rng, face, sprite, start)

    @staticmethod
    def _reach_in(rng: np.random.Generator, face: Face, sprite: Sprite, start: Placement) -> Placement:
        """`start` turned and scaled: its scale is first the length in pixels that hand and forearm shall have.

        The forearm points away from the face's centre, never upwards, and grows until its cut is out of sight."""
        place = start.place_xy
        centre = face.regions.centre_xy
        away = math.degrees(math.atan2(place[1] - centre[1], place[0] - centre[0]))
        away += uniform(rng, -30.0, 30.0)
        if math.sin(math.radians(away)) < -0.5:  # from above: nobody's arm comes from there
            away = 20.0 if math.cos(math.radians(away)) > 0 else 160.0
        angle = away - arm_deg(sprite, start.mirror)
        box_wh, _ = turned_box(sprite, start.mirror, angle)
        largest = _LARGEST * face.side_px / max(box_wh)
        placement = replace(start, angle_deg=angle, scale=min(start.scale / max(box_wh), largest))
        while not base_is_outside(sprite, placement, face.wh) and placement.scale * _GROWTH <= largest:
            placement = replace(placement, scale=placement.scale * _GROWTH)
        return placement

    @staticmethod
    def _rectangle(rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
        x, y = face.regions.random_point(rng)
        shares = uniform(rng, *SIZE_OF_FACE), uniform(rng, *SIZE_OF_FACE)
        width, height = (max(1, round(share * face.regions.width_px)) for share in shares)
        x0, y0 = round(x - width / 2), round(y - height / 2)
        x1, y1 = min(x0 + width, face.wh[0]), min(y0 + height, face.wh[1])
        return plain_square((max(0, x0), max(0, y0), x1, y1), face, choices.fill, noise)
