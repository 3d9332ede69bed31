"""Modes eyes and mouth: the convex hull of both eyes and brows, or of the outer lips, is hidden.

The paper covers these regions; their outlines, the hidden share and the draws are our decision.
"""

from dataclasses import dataclass, replace

import numpy as np

from occsynth.errors import TemplateError
from occsynth.modes.face import Choices, Face, long_axis_deg, uniform
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
    hidden_fraction,
    largest_scale,
    record,
    turned_box,
)
from occsynth.modes.plain import plain_hull
from occsynth.modes.render import occluder_layer
from occsynth.templates.pack import TemplatePack
from occsynth.templates.sprites import OPAQUE_ALPHA, Sprite

HIDDEN_GOAL = 0.85


@dataclass(frozen=True, slots=True)
class Region:
    """Hides the hull of one region (`eyes` or `mouth`)."""

    region: str

    def sample(self, rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
        """The hull with a plain fill, or under a template that hides at least 85 % of it.

        A template that is not see-through is laid along the hull's long axis and enlarged until it hides enough. If
        none of 20 draws does, the best of them is taken and marked `partial`.
        """
        if choices.fill != "template":
            return plain_hull(face.regions.hulls[self.region], face, choices.fill, noise)
        best: tuple[float, Occlusion] | None = None
        for _ in range(MAX_DRAWS):
            occlusion, hidden, base_outside = self._draw(rng, face, choices)
            if hidden >= HIDDEN_GOAL and base_outside:
                return occlusion
            score = hidden - (0.0 if base_outside else 0.5)
            if best is None or score > best[0]:
                best = (score, replace(occlusion, partial=True))
        if best is None:
            raise TemplateError("no draw was made")
        return best[1]

    def _draw(self, rng: np.random.Generator, face: Face, choices: Choices) -> tuple[Occlusion, float, bool]:
        pack, template = draw_template(rng, choices, see_through=False)
        sprite = pack.sprite(template.file)
        hull = face.regions.hulls[self.region]
        inside = face.regions.pixels_of(self.region)
        mirror = bool(rng.integers(2))
        angle = self._angle(rng, sprite, mirror, long_axis_deg(hull))
        box_wh, anchor = turned_box(sprite, mirror, angle)
        low, high = hull.min(axis=0), hull.max(axis=0)
        middle = (low + high) / 2
        jitter = rng.uniform(-0.04, 0.04, 2) * (high - low)
        place = (float(middle[0] + jitter[0]), float(middle[1] + jitter[1]))
        if sprite.base_xy is not None:  # the hand covers the region, not the middle of hand and forearm
            anchor = hand_xy(sprite)
        scale = float(max(np.maximum(high - low, 1.0) / np.array(box_wh)))
        largest = largest_scale(face, box_wh)
        while True:
            placement = Placement(mirror, angle, scale, anchor, place)
            occlusion = record(pack, template, placement)
            base_outside = base_is_outside(sprite, placement, face.wh)
            if base_outside and hidden_fraction(pack, occlusion, inside, OPAQUE_ALPHA) >= HIDDEN_GOAL:
                break
            if scale * GROWTH > largest:
                break
            scale *= GROWTH
        occlusion = record(pack, template, placement, draw_blending(rng, sprite, face, choices))
        return occlusion, self._rendered_fraction(pack, occlusion, face), base_outside

    @staticmethod
    def _angle(rng: np.random.Generator, sprite: Sprite, mirror: bool, axis_deg: float) -> float:
        """Turn that lays the template along the axis; a forearm comes from the left or right, level or from below."""
        if sprite.base_xy is None:
            own = -sprite.long_axis_deg if mirror else sprite.long_axis_deg
            return axis_deg - own + 180 * int(rng.integers(2)) + uniform(rng, -8.0, 8.0)
        from_below = uniform(rng, -5.0, 40.0)
        goal = axis_deg + from_below if rng.integers(2) else axis_deg + 180 - from_below
        return goal - arm_deg(sprite, mirror)

    def _rendered_fraction(self, pack: TemplatePack, occlusion: Occlusion, face: Face) -> float:
        """The hidden share of the rendered template, softened edge included."""
        layer, (x0, y0, x1, y1) = occluder_layer(occlusion, pack, face.wh)
        alpha = np.zeros((face.wh[1], face.wh[0]), np.uint8)
        if layer is not None:
            alpha[y0:y1, x0:x1] = layer[:, :, 3]
        return face.regions.coverage(alpha, OPAQUE_ALPHA)[self.region]
