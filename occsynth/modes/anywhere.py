"""Mode random: category, template, size, turn, mirror and place on the face are all random.

The paper has random places on the face; the distributions are our decision.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from occsynth.errors import TemplateError
from occsynth.modes.face import Choices, Face, uniform
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.placement import (
    GROWTH,
    MAX_DRAWS,
    Placement,
    arm_deg,
    base_is_outside,
    draw_blending,
    draw_template,
    hand_xy,
    largest_scale,
    record,
    turned_box,
)
from occsynth.modes.plain import plain_square
from occsynth.modes.worn import worn
from occsynth.templates.pack import Template
from occsynth.templates.sprites import Sprite

SIZE_OF_FACE = (0.35, 0.8)
"""Longer side of the template's opaque box as a share of the face's width; a hand with its forearm is twice as long."""

TURN_DEG = {"food": 180.0, "drink": 30.0}
"""How far whole objects are turned to either side at most; other categories by 45 degrees."""


@dataclass(frozen=True, slots=True)
class Anywhere:
    """A template, or a plain rectangle, whose middle lies anywhere on the face."""

    def sample(self, rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
        """One random occlusion. A hand comes in from outside the picture; `partial` says that no draw managed that."""
        if choices.fill != "template":
            return self._rectangle(rng, face, choices, noise)
        last: Occlusion | None = None
        for _ in range(MAX_DRAWS):
            pack, template = draw_template(rng, choices, see_through=True, worn=True)
            if template.wear is not None:
                return worn(rng, pack, template, face, choices)
            sprite = pack.sprite(template.file)
            placement = self._place(rng, face, template, sprite)
            last = record(pack, template, placement, draw_blending(rng, sprite, face, choices))
            if base_is_outside(sprite, placement, face.wh):
                return last
        if last is None:
            raise TemplateError("no draw was made")
        return replace(last, partial=True)

    def _place(self, rng: np.random.Generator, face: Face, template: Template, sprite: Sprite) -> Placement:
        mirror = bool(rng.integers(2))
        place = face.regions.random_point(rng)
        size = max(1.0, uniform(rng, *SIZE_OF_FACE) * face.regions.width_px)
        limit = TURN_DEG.get(template.category, 45.0)
        angle = uniform(rng, -limit, limit)
        if sprite.base_xy is None:
            box_wh, anchor = turned_box(sprite, mirror, angle)
            return Placement(mirror, angle, size / max(box_wh), anchor, place)
        start = Placement(mirror, 0.0, 2 * size, hand_xy(sprite), place)
        return self._reach_in(rng, face, sprite, start)

    @staticmethod
    def _reach_in(rng: np.random.Generator, face: Face, sprite: Sprite, start: Placement) -> Placement:
        """A hand turned and scaled so that its forearm reaches out of the picture.

        The forearm points away from the face's centre, never upwards, and grows until its cut edge is out of sight.

        Args:
            start: its `scale` is the length in pixels of hand and forearm before they grow.
        """
        angle = away_deg(rng, face, start.place_xy) - arm_deg(sprite, start.mirror)
        box_wh, _ = turned_box(sprite, start.mirror, angle)
        largest = largest_scale(face, box_wh)
        placement = replace(start, angle_deg=angle, scale=min(start.scale / max(box_wh), largest))
        while not base_is_outside(sprite, placement, face.wh) and placement.scale * GROWTH <= largest:
            placement = replace(placement, scale=placement.scale * GROWTH)
        return placement

    @staticmethod
    def _rectangle(rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
        x, y = face.regions.random_point(rng)
        shares = uniform(rng, *SIZE_OF_FACE), uniform(rng, *SIZE_OF_FACE)
        width, height = (max(1, round(share * face.regions.width_px)) for share in shares)
        x0, y0 = round(x - width / 2), round(y - height / 2)
        x1, y1 = min(x0 + width, face.wh[0]), min(y0 + height, face.wh[1])
        return plain_square((max(0, x0), max(0, y0), x1, y1), face, choices.fill, noise)


def away_deg(rng: np.random.Generator, face: Face, place_xy: tuple[float, float]) -> float:
    """A direction in which a forearm leaves the face at a place: about away from the face's centre, never upwards."""
    centre = face.regions.centre_xy
    away = math.degrees(math.atan2(place_xy[1] - centre[1], place_xy[0] - centre[0])) + uniform(rng, -30.0, 30.0)
    if math.sin(math.radians(away)) < -0.5:  # no arm comes from above
        return 20.0 if math.cos(math.radians(away)) > 0 else 160.0
    return away
