"""Placing a template on a face: turn, mirror, scale and shift, and the numbers that a record stores of them."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from occsynth.errors import TemplateError
from occsynth.modes.face import Choices, Face
from occsynth.modes.occlusion import Occlusion, Shadow
from occsynth.pixels.warp import Affine, box_around, into_resized, invert, map_point
from occsynth.templates.pack import Template, TemplatePack
from occsynth.templates.sprites import Sprite

_REDUCTION_STEP = 2**-0.5
"""Templates are shrunk in steps of the square root of two, so that few sizes occur and their copies can be kept."""

_HAND_SHIFT = 0.3
"""How far beyond the middle of hand and forearm the hand itself lies, as a share of the middle's distance from the cut
edge."""

MAX_DRAWS = 20
"""How often a mode draws before it settles for a record that is `partial`."""

GROWTH = 1.12
"""Factor by which a template grows until it hides enough or its forearm leaves the picture."""

_LARGEST_OF_SIDE = 2.2
"""Longest side of a grown template, as a share of the shorter side of the picture."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a template lies.

    Attributes:
        mirror: flipped left to right before it is turned.
        angle_deg: turn, clockwise in the picture.
        scale: face pixels per template pixel.
        anchor_xy: point of the template, in its own pixels, that lies on `place_xy`.
        place_xy: point of the face.
    """

    mirror: bool
    angle_deg: float
    scale: float
    anchor_xy: tuple[float, float]
    place_xy: tuple[float, float]

    def forward(self) -> Affine:
        """Template pixel -> face pixel."""
        turn = math.radians(self.angle_deg)
        cos, sin = math.cos(turn) * self.scale, math.sin(turn) * self.scale
        mirror = -1.0 if self.mirror else 1.0
        a, b, d, e = cos * mirror, -sin, sin * mirror, cos
        (ax, ay), (px, py) = self.anchor_xy, self.place_xy
        return (a, b, px - a * ax - b * ay, d, e, py - d * ax - e * ay)


@dataclass(frozen=True, slots=True)
class Blending:
    """How a template is blended into the face, so that it looks less pasted on; see `Occlusion`."""

    feather_px: float = 0.0
    gain_rgb: tuple[int, int, int] | None = None
    shadow: Shadow | None = None


NO_BLENDING = Blending()


def record(pack: TemplatePack, template: Template, placement: Placement, blending: Blending = NO_BLENDING) -> Occlusion:
    """The occlusion record of a placed template."""
    sprite = pack.sprite(template.file)
    wh = reduced_wh(sprite.wh, placement.scale)
    return Occlusion(
        fill="template",
        template=template.file,
        template_sha256=pack.file_sha256(template.file),
        category=template.category,
        sprite_wh=wh,
        affine=into_resized(invert(placement.forward()), sprite.wh, wh),
        feather_px=blending.feather_px,
        gain_rgb=blending.gain_rgb,
        shadow=blending.shadow,
    )


def largest_scale(face: Face, box_wh: tuple[float, float]) -> float:
    """The scale at which a growing template must stop, where `box_wh` is its box at scale 1."""
    return _LARGEST_OF_SIDE * face.side_px / max(box_wh)


def reduced_wh(wh: tuple[int, int], scale: float) -> tuple[int, int]:
    """The smallest of the template's reduced sizes that is not smaller than its size on the face."""
    factor = 1.0
    # smaller than one pixel there is no other size, and a scale of 0 would never be reached
    while factor * _REDUCTION_STEP >= scale and factor * max(wh) > 1:
        factor *= _REDUCTION_STEP
    return max(1, math.ceil(wh[0] * factor)), max(1, math.ceil(wh[1] * factor))


def hidden_fraction(
    pack: TemplatePack, occlusion: Occlusion, pixels_xy: npt.NDArray[np.float64], threshold: int
) -> float:
    """Share of some face pixels that lie under the template's opaque part, estimated from the nearest template pixels.

    Args:
        pack: the pack that the template comes from.
        occlusion: the placed template.
        pixels_xy: `(2, N)` x and y of the face pixels.
        threshold: alpha from which on a template pixel counts as opaque.
    """
    count = pixels_xy.shape[1]
    if occlusion.affine is None or occlusion.sprite_wh is None or not count:
        return 0.0
    alpha = pack.reduced(occlusion.template, occlusion.sprite_wh, occlusion.feather_px).pixels[:, :, 3]
    a, b, c, d, e, f = occlusion.affine
    x, y = (
        np.rint(place).astype(np.int64)
        for place in (a * pixels_xy[0] + b * pixels_xy[1] + c, d * pixels_xy[0] + e * pixels_xy[1] + f)
    )
    height, width = alpha.shape
    # viewed as unsigned, a negative number is larger than any size
    inside = (x.view(np.uint64) < width) & (y.view(np.uint64) < height)
    return int(np.count_nonzero(alpha[y[inside], x[inside]] >= threshold)) / int(count)


def draw_template(
    rng: np.random.Generator, choices: Choices, *, see_through: bool, worn: bool = False
) -> tuple[TemplatePack, Template]:
    """A random category, then a random one of its templates; raises TemplateError if there are none to choose from.

    Args:
        rng: the random stream of the row.
        choices: what the user chose.
        see_through: whether it may be see-through.
        worn: whether it may be something that is worn, which must not lie just anywhere.
    """
    if choices.pack is None:
        raise TemplateError("fill 'template' needs a template pack")
    groups = choices.pack.groups(choices.categories, see_through=see_through, worn=worn, split=choices.template_split)
    templates = groups[int(rng.integers(len(groups)))]
    return choices.pack, templates[int(rng.integers(len(templates)))]


def turned_box(sprite: Sprite, mirror: bool, angle_deg: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """The box of the template's opaque pixels after mirroring and turning at scale 1.

    Returns:
        its width and height, and the template point (in template pixels) at its centre.
    """
    forward = Placement(mirror, angle_deg, 1.0, (0.0, 0.0), (0.0, 0.0)).forward()
    x0, y0, x1, y1 = box_around(forward, sprite.opaque_hull_xy)
    return (x1 - x0, y1 - y0), map_point(invert(forward), ((x0 + x1) / 2, (y0 + y1) / 2))


def arm_deg(sprite: Sprite, mirror: bool) -> float:
    """Direction from the hand to its cut forearm, before any turn, degrees clockwise from the right."""
    base = _base_middle(sprite)
    dx, dy = base[0] - sprite.centroid_xy[0], base[1] - sprite.centroid_xy[1]
    return math.degrees(math.atan2(dy, -dx if mirror else dx))


def hand_xy(sprite: Sprite) -> tuple[float, float]:
    """The middle of the hand without its forearm."""
    (x, y), base = sprite.centroid_xy, _base_middle(sprite)
    return x + _HAND_SHIFT * (x - base[0]), y + _HAND_SHIFT * (y - base[1])


def _base_middle(sprite: Sprite) -> tuple[float, float]:
    if sprite.base_xy is None:
        raise TemplateError("the template has no base edge")
    (x0, y0), (x1, y1) = sprite.base_xy.tolist()
    return (x0 + x1) / 2, (y0 + y1) / 2


def base_is_outside(sprite: Sprite, placement: Placement, wh: tuple[int, int]) -> bool:
    """Whether the forearm's cut edge lies entirely outside one side of the picture; always true for whole objects."""
    if sprite.base_xy is None:
        return True
    x0, y0, x1, y1 = box_around(placement.forward(), sprite.base_xy.tolist())
    return x1 < 0 or y1 < 0 or x0 > wh[0] - 1 or y0 > wh[1] - 1


def draw_blending(rng: np.random.Generator, sprite: Sprite, face: Face, choices: Choices) -> Blending:
    """Feather, and colour match and shadow if the user chose them."""
    gain_rgb = _gain(sprite, face) if choices.colour_match else None
    shadow = None
    if choices.shadow:
        reach = max(1, round(face.side_px / 40))
        shift = (int(rng.integers(-reach, reach + 1)), int(rng.integers(0, reach + 1)))
        shadow = Shadow(shift, round(face.side_px / 45, 2), int(rng.integers(70, 130)))
    return Blending(_feather_px(face.side_px), gain_rgb, shadow)


@cache
def _feather_px(side_px: int) -> float:
    feather_px = round(side_px / 150, 2)
    return feather_px if feather_px >= 0.5 else 0.0


def _gain(sprite: Sprite, face: Face) -> tuple[int, int, int]:
    """Gain that moves the template's mean brightness half-way (in ratio) to the face's, 0.6 to 1.5; hue is kept."""
    own = max(1.0, sum(sprite.mean_rgb) / 3)
    ratio = max(1.0, sum(face.mean_rgb) / 3) / own
    gain = round(256 * min(1.5, max(0.6, math.sqrt(ratio))))
    return gain, gain, gain
