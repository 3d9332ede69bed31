"""Pure pixels: from a clean face and the record of an occlusion to the occluded face and its mask.

All results are exact integers, so that a record gives the same pixels on every machine, and every pixel whose mask is
zero is the clean pixel itself.
"""

import json
import math
import re
from collections.abc import Hashable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.errors import ManifestError
from occsynth.modes.seeds import noise_bytes
from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import Affine, blur, box_around, invert, times, warp
from occsynth.templates.pack import Reduced

Fill = Literal["template", "black", "mean", "noise"]
FILLS: tuple[Fill, ...] = ("template", "black", "mean", "noise")
Box = tuple[int, int, int, int]

_FARTHEST = 1 << 15
_LARGEST_SIGMA = 200
_WHOLE = {
    "sprite_wh": (2, 1, _FARTHEST),
    "square_xyxy": (4, -_FARTHEST, _FARTHEST),
    "gain_rgb": (3, 0, 1 << 16),
    "rgb": (3, 0, 255),
}
"""Fields of whole numbers: how many, and their range."""

_NOISE_KEY = re.compile("[0-9a-f]{1,32}")


@dataclass(frozen=True, slots=True)
class Shadow:
    """A contact shadow: the template's outline, shifted, blurred and darkened.

    Attributes:
        shift_xy: whole pixels.
        sigma_px: of the blur.
        opacity: darkest value of the shadow, 0 to 255.
    """

    shift_xy: tuple[int, int]
    sigma_px: float
    opacity: int


@dataclass(frozen=True, slots=True)
class Occlusion:
    """Everything that `render` needs to know; the JSON of a manifest row.

    Attributes:
        fill: `template`, or `black`, `mean`, `noise` for a plain patch.
        template: its `file` in the pack; `template_sha256` is of that file.
        sprite_wh: size to which the template is shrunk before the warp.
        affine: pixel of the face -> pixel of the shrunken template.
        square_xyxy: patch of a plain fill, or the square that a template may not leave; end exclusive, pixels.
        hull_xy: polygon of a plain fill, whole pixels, instead of a square.
        feather_px: sigma of the inward softening of the template's edge, in pixels of the shrunken template.
        gain_rgb: colour match: each channel times gain / 256; None for none.
        rgb: colour of fill `mean`.
        noise: key of fill `noise`, see `occsynth.modes.seeds.noise_bytes`.
        partial: after the allowed draws the aim (hidden share, arm out of the picture) was still missed.
    """

    fill: Fill
    template: str = ""
    template_sha256: str = ""
    category: str = ""
    sprite_wh: tuple[int, int] | None = None
    affine: Affine | None = None
    square_xyxy: Box | None = None
    hull_xy: tuple[tuple[int, int], ...] | None = None
    feather_px: float = 0.0
    gain_rgb: tuple[int, int, int] | None = None
    shadow: Shadow | None = None
    rgb: tuple[int, int, int] | None = None
    noise: str = ""
    partial: bool = False

    def to_json(self) -> str:
        """One line: the fields that differ from their defaults; floats as their shortest exact text."""
        values = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        kept = {name: value for name, value, default in values if name == "fill" or value != default}
        if self.shadow is not None:
            kept["shadow"] = asdict(self.shadow)
        return json.dumps(kept, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Occlusion":
        """The inverse of `to_json`; raises ManifestError for anything else."""
        try:
            content: dict[str, Any] = json.loads(text)
            for name, (count, low, high) in _WHOLE.items():
                if content.get(name) is not None:
                    content[name] = _whole(content[name], count, low, high)
            if content.get("affine") is not None:
                content["affine"] = tuple(float(number) for number in content["affine"])
            if content.get("hull_xy") is not None:
                content["hull_xy"] = tuple(_whole(point, 2, -_FARTHEST, _FARTHEST) for point in content["hull_xy"])
            if content.get("shadow") is not None:
                shadow = content["shadow"]
                (opacity,) = _whole([shadow["opacity"]], 1, 0, 255)
                shift = _whole(shadow["shift_xy"], 2, -_FARTHEST, _FARTHEST)
                content["shadow"] = Shadow((shift[0], shift[1]), float(shadow["sigma_px"]), opacity)
            occlusion = cls(**content)
            fits = occlusion._fits()
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ManifestError(f"column occlusion is malformed: {error}") from error
        if not fits:
            raise ManifestError(f"column occlusion is incomplete or out of range: {text[:200]}")
        return occlusion

    def _fits(self) -> bool:
        """Whether `render` has what it needs; TypeError for a field of a wrong type."""
        words = (self.template, self.template_sha256, self.category, self.noise)
        if self.fill not in FILLS or not isinstance(self.partial, bool) or not all(isinstance(w, str) for w in words):
            return False
        if self.fill == "template":
            complete = bool(self.template and self.affine and self.sprite_wh)
        else:
            complete = (self.square_xyxy is None) != (not self.hull_xy)
            complete &= self.fill != "mean" or self.rgb is not None
            complete &= self.fill != "noise" or bool(_NOISE_KEY.fullmatch(self.noise))
        affine_fits = self.affine is None or (len(self.affine) == 6 and all(map(math.isfinite, self.affine)))
        numbers = (self.feather_px, self.shadow.sigma_px if self.shadow else 0.0)
        return complete and affine_fits and all(0 <= number < _LARGEST_SIGMA for number in numbers)


def _whole(values: list[int], count: int, low: int, high: int) -> tuple[int, ...]:
    if len(values) != count or any(type(each) is not int or not low <= each <= high for each in values):
        raise ValueError(f"{str(values)[:80]} is no list of {count} whole numbers in {low} to {high}")
    return tuple(values)


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """An occluded face.

    Attributes:
        image: `(H, W, 3)` uint8 RGB, bit-equal to the clean face wherever `mask` is 0.
        mask: `(H, W)` uint8, how much of the clean pixel is covered or shaded, feather and shadow included.
        alpha: `(H, W)` uint8, the occluder alone, without its shadow: what coverage is measured from.
    """

    image: Pixels
    mask: Pixels
    alpha: Pixels


class SpriteSource(Hashable, Protocol):
    """What `render` needs of a template pack."""

    def reduced(self, file: str, wh: tuple[int, int], feather_px: float) -> Reduced:
        """A template shrunk to `wh`, its edge softened."""
        ...


def render(clean: Pixels, occlusion: Occlusion, templates: SpriteSource | None) -> Rendered:
    """Lays the recorded occlusion over a clean face.

    Args:
        clean: `(H, W, 3)` uint8 RGB; left untouched.
        occlusion: the record.
        templates: the pack; needed for fill `template` only.

    Raises:
        ManifestError: the record does not fit the image or needs templates that were not given.
    """
    if occlusion.fill != "template":
        return _plain(clean, occlusion)
    if templates is None:
        raise ManifestError(f"the occlusion needs template {occlusion.template}, and no template pack was given")
    layer, (x0, y0, x1, y1) = occluder_layer(occlusion, templates, (clean.shape[1], clean.shape[0]))
    image = clean.copy()
    mask = np.zeros(clean.shape[:2], np.uint8)
    if layer is None:
        return Rendered(image, mask, mask)
    part = image[y0:y1, x0:x1]
    alpha = np.asarray(cv2.extractChannel(layer, 3), np.uint8)
    through, under = np.asarray(cv2.bitwise_not(alpha), np.uint8), part
    if occlusion.shadow is not None:
        light = np.asarray(cv2.bitwise_not(_shade(alpha, occlusion.shadow)), np.uint8)
        under = times(part, _in_three(light))
        mask[y0:y1, x0:x1] = cv2.bitwise_not(times(through, light))
    else:
        mask[y0:y1, x0:x1] = alpha
    shone_through = times(under, _in_three(through))
    cv2.add(shone_through, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB), dst=part)
    if occlusion.shadow is None:
        return Rendered(image, mask, mask)
    whole = np.zeros_like(mask)
    whole[y0:y1, x0:x1] = alpha
    return Rendered(image, mask, whole)


def _in_three(grey: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


@lru_cache(maxsize=1)  # a mode that measures what it drew does so just before it is rendered
def occluder_layer(
    occlusion: Occlusion, templates: SpriteSource, image_wh: tuple[int, int]
) -> tuple[Pixels | None, Box]:
    """The template as it lies over the face: `(h, w, 4)` uint8 premultiplied, and the part of the face it spans.

    None instead of pixels where nothing of it lies in the picture.
    """
    if occlusion.affine is None or occlusion.sprite_wh is None:
        raise ManifestError("the occlusion record has no affine numbers")
    sprite = templates.reduced(occlusion.template, occlusion.sprite_wh, occlusion.feather_px)
    box = _span(sprite, occlusion.affine, occlusion.shadow, image_wh)
    if box[0] >= box[2] or box[1] >= box[3]:
        return None, box
    layer = warp(sprite.pixels, occlusion.affine, box, transparent_outside=True)
    if occlusion.square_xyxy is not None:
        _cut_to(layer, box, occlusion.square_xyxy)
    if occlusion.gain_rgb is not None:
        gained = (layer[:, :, :3] * np.array(occlusion.gain_rgb, np.uint32)) >> 8
        layer[:, :, :3] = np.minimum(gained, layer[:, :, 3:]).astype(np.uint8)
    layer.flags.writeable = False
    return layer, box


def _span(sprite: Reduced, affine: Affine, shadow: Shadow | None, image_wh: tuple[int, int]) -> Box:
    """A box of the face that holds all that is visible of the template and its shadow, cut to the picture."""
    if not sprite.outline_xy:
        return 0, 0, 0, 0
    try:
        placed = box_around(invert(affine), sprite.outline_xy)
    except ValueError as error:
        raise ManifestError(f"column occlusion: {error}") from error
    low_x, low_y, high_x, high_y = (max(-1e6, min(1e6, edge)) for edge in placed)
    margin = 1
    if shadow is not None:
        margin += max(map(abs, shadow.shift_xy)) + math.ceil(4 * shadow.sigma_px)
    x0, y0 = math.floor(low_x) - margin, math.floor(low_y) - margin
    x1, y1 = math.ceil(high_x) + margin + 1, math.ceil(high_y) + margin + 1
    return max(0, x0), max(0, y0), min(image_wh[0], x1), min(image_wh[1], y1)


def _cut_to(layer: Pixels, box: Box, square_xyxy: Box) -> None:
    x0, y0, x1, y1 = (
        min(max(edge - start, 0), size)
        for edge, start, size in zip(square_xyxy, box[:2] * 2, (layer.shape[1], layer.shape[0]) * 2, strict=True)
    )
    layer[:y0] = 0
    layer[y1:] = 0
    layer[:, :x0] = 0
    layer[:, x1:] = 0


def _shade(alpha: npt.NDArray[np.uint8], shadow: Shadow) -> npt.NDArray[np.uint8]:
    dx, dy = shadow.shift_xy
    moved = np.zeros_like(alpha)
    height, width = alpha.shape
    if abs(dx) < width and abs(dy) < height:
        part = alpha[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
        moved[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)] = part
    return times(blur(moved, shadow.sigma_px), np.full_like(moved, shadow.opacity))


def _plain(clean: Pixels, occlusion: Occlusion) -> Rendered:
    mask = np.zeros(clean.shape[:2], np.uint8)
    if occlusion.square_xyxy is not None:
        x0, y0, x1, y1 = (max(0, edge) for edge in occlusion.square_xyxy)
        mask[y0:y1, x0:x1] = 255
    elif occlusion.hull_xy:
        cv2.fillPoly(mask, [np.array(occlusion.hull_xy, np.int32)], [255])
    image = clean.copy()
    hidden = mask > 0
    if occlusion.fill == "noise":
        image[hidden] = noise_bytes(occlusion.noise, int(hidden.sum()) * 3).reshape(-1, 3)
    else:
        image[hidden] = occlusion.rgb or (0, 0, 0)
    return Rendered(image, mask, mask)
