"""Modes upper-NN, lower-NN, left-NN and right-NN: NN % of the face hidden from one side.

The face is its oval inside the picture, and its sides follow the line through the eyes. These modes are our decision.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from occsynth.errors import TemplateError
from occsynth.faces.regions import five_points, region_mask
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
    hidden_fraction,
    largest_scale,
    record,
    turned_box,
)
from occsynth.modes.plain import plain_hull
from occsynth.modes.share import (
    TEMPLATE_TOLERANCE,
    TOLERANCE,
    nearest,
    rendered_shares,
    share_of_face,
    some_face_pixels,
)
from occsynth.templates.pack import Template, TemplatePack
from occsynth.templates.sprites import OPAQUE_ALPHA, Sprite

HIDDEN_GOAL = 0.8
"""The share of the part itself that a template must hide; the rest of what it hides lies beyond the cut."""

_INWARDS_DEG = {"upper": 90.0, "lower": -90.0, "left": 0.0, "right": 180.0}
"""Direction from each side into the face, from the line through the eyes, clockwise in the picture."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A part of the face that a straight line cuts off.

    Attributes:
        along_deg: direction of the line: to the right, or down.
        along, inwards: unit vectors, along the line and from the hidden side into the face.
        level: how far along `inwards` the part reaches, pixels.
        hull_xy: `(N, 2)` outline of the part, whole pixels.
        share: of the face.
    """

    along_deg: float
    along: Points
    inwards: Points
    level: float
    hull_xy: Points
    share: float


@dataclass(frozen=True, slots=True)
class _Try:
    """A placed template: by how much it misses the share of the face, and what it hides of the part itself."""

    placement: Placement
    missed_by: float
    hidden_of_part: float
    base_outside: bool

    @property
    def good(self) -> bool:
        return self.missed_by <= TEMPLATE_TOLERANCE and self.hidden_of_part >= HIDDEN_GOAL and self.base_outside

    @property
    def score(self) -> float:
        missed_by = max(0.0, self.missed_by - TEMPLATE_TOLERANCE)
        return min(self.hidden_of_part, HIDDEN_GOAL) - 10 * missed_by - (0.0 if self.base_outside else 0.5)


@dataclass(frozen=True, slots=True)
class Part:
    """Hides `percent` of the face from one side: `upper`, `lower`, `left` or `right` in the picture."""

    side: str
    percent: int

    def sample(self, rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
        """The part with a plain fill, or a template that reaches in from that side until it hides the share.

        `partial` says that the share is missed by more than `TOLERANCE`, or, after 20 draws, that no template hides
        enough of the part.
        """
        goal = self.percent / 100
        cut = _cut(face, self.side, goal)
        if choices.fill != "template":
            plain = plain_hull(cut.hull_xy, face, choices.fill, noise)
            return replace(plain, partial=abs(cut.share - goal) > TOLERANCE)
        best: tuple[float, Occlusion] | None = None
        for _ in range(MAX_DRAWS):
            pack, template = draw_template(rng, choices, see_through=False)
            placed = _place(rng, face, pack, template, cut, goal)
            blending = draw_blending(rng, pack.sprite(template.file), face, choices)
            occlusion = record(pack, template, placed.placement, blending)
            measured = replace(placed, missed_by=abs(rendered_shares(pack, occlusion, face)["face"] - goal))
            if measured.good:
                return occlusion
            if best is None or measured.score > best[0]:
                best = (measured.score, replace(occlusion, partial=True))
        if best is None:
            raise TemplateError("no draw was made")
        return best[1]


def _cut(face: Face, side: str, goal: float) -> _Cut:
    """The part of the face on one side whose share is the nearest to the goal."""
    left_eye, right_eye = five_points(face.regions.points_xy)[:2].astype(np.float64)
    roll_deg = math.degrees(math.atan2(right_eye[1] - left_eye[1], right_eye[0] - left_eye[0]))
    inwards = _unit(roll_deg + _INWARDS_DEG[side])
    along_deg = roll_deg + (0.0 if side in ("upper", "lower") else 90.0)
    oval = np.rint(face.regions.hulls["face"]).astype(np.float64)
    low, high = float((oval @ inwards).min()), float((oval @ inwards).max())

    def share_at(level: float) -> float:
        return share_of_face(face, region_mask(_cut_off(oval, inwards, level), face.wh))

    level, share = nearest(low, high, share_at, goal)
    return _Cut(along_deg, _unit(along_deg), inwards, level, _cut_off(oval, inwards, level), share)


def _unit(angle_deg: float) -> Points:
    return np.array([math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))])


def _cut_off(polygon_xy: Points, inwards: Points, level: float) -> Points:
    """`(N, 2)` the part of a polygon that reaches no farther than `level`, in whole pixels; N may be 0."""
    corners: list[Points] = []
    beyond = polygon_xy @ inwards - level
    for number in range(len(polygon_xy)):
        start, end = polygon_xy[number - 1], polygon_xy[number]
        before, after = beyond[number - 1], beyond[number]
        if (before <= 0) != (after <= 0):
            corners.append(start + (end - start) * (before / (before - after)))
        if after <= 0:
            corners.append(end)
    return np.rint(np.array(corners).reshape(-1, 2))


def _place(
    rng: np.random.Generator, face: Face, pack: TemplatePack, template: Template, cut: _Cut, goal: float
) -> _Try:
    """Lays a template along the cut and slides it in from the hidden side until it hides as much of the face as asked.

    It grows until it then hides enough of the part itself: the larger it is, the straighter is its edge.
    """
    sprite = pack.sprite(template.file)
    mirror = bool(rng.integers(2))
    angle = _angle(rng, sprite, mirror, cut)
    box_wh, anchor = turned_box(sprite, mirror, angle - cut.along_deg)
    if sprite.base_xy is not None:  # the hand covers the part, not the middle of hand and forearm
        anchor = hand_xy(sprite)
    pixels = some_face_pixels(face)
    in_part = pixels[:, cut.inwards @ pixels <= cut.level]
    ends = cut.hull_xy.T if not in_part.size else in_part
    across, depth = cut.along @ ends, cut.inwards @ ends
    wide, start = max(1.0, float(np.ptp(across))), float(depth.min())
    middle = (float(across.min()) + float(across.max())) / 2 + uniform(rng, -0.04, 0.04) * wide
    largest = largest_scale(face, box_wh)
    scale = min(largest, max(wide / box_wh[0], max(1.0, float(np.ptp(depth))) / box_wh[1]))

    def placed(reached: float) -> Placement:
        x, y = cut.along * middle + cut.inwards * reached
        return Placement(mirror, angle, scale, anchor, (float(x), float(y)))

    def hidden(reached: float, of_pixels: Points) -> float:
        return hidden_fraction(pack, record(pack, template, placed(reached)), of_pixels, OPAQUE_ALPHA)

    best: _Try | None = None
    while True:
        half = scale * box_wh[1] / 2
        reached, share = nearest(start - half, start + half, lambda each: hidden(each, pixels), goal)
        outside = base_is_outside(sprite, placed(reached), face.wh)
        found = _Try(placed(reached), abs(share - goal), hidden(reached, in_part), outside)
        if best is None or found.score > best.score:
            best = found
        if found.good or scale * GROWTH > largest:
            return best
        scale *= GROWTH


def _angle(rng: np.random.Generator, sprite: Sprite, mirror: bool, cut: _Cut) -> float:
    """Turn that lays a template along the cut; a forearm comes from the left, the right or below, never from above."""
    if sprite.base_xy is None:
        own = -sprite.long_axis_deg if mirror else sprite.long_axis_deg
        return cut.along_deg - own + 180 * int(rng.integers(2)) + uniform(rng, -8.0, 8.0)
    if abs(cut.along[1]) > abs(cut.along[0]):
        return cut.along_deg + uniform(rng, -25.0, 25.0) - arm_deg(sprite, mirror)
    from_below = uniform(rng, -5.0, 40.0)
    goal = cut.along_deg + from_below if rng.integers(2) else cut.along_deg + 180 - from_below
    return goal - arm_deg(sprite, mirror)
