"""Rendering: from a clean face and the record of an occlusion to the occluded face and its mask.

Nothing here is random, and all results are exact integers: a record gives the same pixels on every machine, and every
pixel whose mask is zero is the clean pixel itself.

Templates are blended as premultiplied colours (each times alpha / 255). Shrinking, warping and blurring then average
colour and alpha alike; of straight colours they would mix in whatever the transparent pixels happen to hold, which
shows as a dark or light fringe.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.errors import ManifestError
from occsynth.modes.finish import finished, with_grain
from occsynth.modes.occlusion import Occlusion, Shadow
from occsynth.modes.pieces import warp_pieces
from occsynth.modes.seeds import noise_bytes
from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import Affine, PixelBox, blur, box_around, invert, times, warp
from occsynth.templates.sprites import ReducedSprite


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """An occluded face.

    Attributes:
        image: `(H, W, 3)` uint8 RGB, bit-equal to the clean face wherever `mask` is 0.
        mask: `(H, W)` uint8, how much each clean pixel is covered or shaded, feather and shadow included.
        alpha: `(H, W)` uint8, the occluder without its shadow; coverage is measured from it.
    """

    image: Pixels
    mask: Pixels
    alpha: Pixels


class SpriteSource(Hashable, Protocol):
    """What `render` needs from a template pack."""

    def reduced(self, file: str, wh: tuple[int, int], feather_px: float) -> ReducedSprite:
        """A template shrunk to `wh`, its edge softened by `feather_px`."""
        ...


def render(clean: Pixels, occlusion: Occlusion, templates: SpriteSource | None) -> Rendered:
    """Lays the recorded occlusion over a clean face.

    >>> from occsynth.modes.occlusion import Occlusion
    >>> white = np.full((48, 48, 3), 255, np.uint8)
    >>> rendered = render(white, Occlusion("black", square_xyxy=(8, 8, 24, 24)), None)
    >>> rendered.image[8, 8].tolist(), rendered.image[7, 7].tolist(), int((rendered.mask > 0).sum())
    ([0, 0, 0], [255, 255, 255], 256)

    Args:
        clean: `(H, W, 3)` uint8 RGB; left untouched.
        occlusion: the record.
        templates: the template pack; only fill `template` needs it.

    Raises:
        ManifestError: the record does not fit the image or needs templates that were not given.
    """
    if occlusion.fill != "template":
        return _plain(clean, occlusion)
    if templates is None:
        raise ManifestError(f"the occlusion needs template {occlusion.template}, but no template pack was given")
    layer, (x0, y0, x1, y1) = occluder_layer(occlusion, templates, (clean.shape[1], clean.shape[0]))
    image = clean.copy()
    mask = np.zeros(clean.shape[:2], np.uint8)
    if layer is None:
        return Rendered(image, mask, mask)
    part = image[y0:y1, x0:x1]
    alpha = np.asarray(cv2.extractChannel(layer, 3), np.uint8)
    # the face shines through a layer by 255 - alpha, and is darkened by its shadow before
    through, under = np.asarray(cv2.bitwise_not(alpha), np.uint8), part
    if occlusion.shadow is not None:
        light = np.asarray(cv2.bitwise_not(_shade(alpha, occlusion.shadow)), np.uint8)
        under = times(part, _in_three(light))
        mask[y0:y1, x0:x1] = cv2.bitwise_not(times(through, light))
    else:
        mask[y0:y1, x0:x1] = alpha
    shining_through = times(under, _in_three(through))
    cv2.add(shining_through, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB), dst=part)
    if occlusion.shadow is None:
        return Rendered(image, mask, mask)
    whole = np.zeros_like(mask)
    whole[y0:y1, x0:x1] = alpha
    return Rendered(image, mask, whole)


def _in_three(grey: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


@lru_cache(maxsize=1)  # a mode may measure a layer right before it is rendered
def occluder_layer(
    occlusion: Occlusion, templates: SpriteSource, image_wh: tuple[int, int]
) -> tuple[Pixels | None, PixelBox]:
    """The template as it lies over the face: `(h, w, 4)` uint8, premultiplied, and the box of the face that it fills.

    The pixels are None where no part of the template lies in the picture. They are read-only, since they are kept.
    """
    if occlusion.sprite_wh is None:
        raise ManifestError("the occlusion record has no size of the template")
    sprite = templates.reduced(occlusion.template, occlusion.sprite_wh, occlusion.feather_px)
    box = _span(sprite, occlusion, image_wh)
    if box[0] >= box[2] or box[1] >= box[3]:
        return None, box
    layer = finished(_warped(sprite, occlusion, box), occlusion)
    if occlusion.square_xyxy is not None:
        _cut_to(layer, box, occlusion.square_xyxy)
    layer = with_grain(layer, box, occlusion, image_wh)
    layer.flags.writeable = False
    return layer, box


def _warped(sprite: ReducedSprite, occlusion: Occlusion, box: PixelBox) -> Pixels:
    if occlusion.pieces is not None:
        return warp_pieces(sprite.pixels, occlusion.pieces, box)
    return warp(sprite.pixels, _affine(occlusion), box, transparent_outside=True)


def _affine(occlusion: Occlusion) -> Affine:
    if occlusion.affine is None:
        raise ManifestError("the occlusion record has no affine numbers")
    return occlusion.affine


def _span(sprite: ReducedSprite, occlusion: Occlusion, image_wh: tuple[int, int]) -> PixelBox:
    """A box that holds all visible pixels of the template and its shadow, cut to the picture."""
    if not sprite.outline_xy:
        return 0, 0, 0, 0
    try:
        placed = (
            box_around(invert(_affine(occlusion)), sprite.outline_xy)
            if occlusion.pieces is None
            else occlusion.pieces.span()
        )
    except ValueError as error:
        raise ManifestError(f"column occlusion: {error}") from error
    # a hostile record may give huge numbers or infinity, which math.floor refuses
    low_x, low_y, high_x, high_y = (max(-1e6, min(1e6, edge)) for edge in placed)
    # 4 sigma are more than `blur` reaches
    margin = 1 + math.ceil(4 * occlusion.blur_px)
    if (shadow := occlusion.shadow) is not None:
        margin += max(map(abs, shadow.shift_xy)) + math.ceil(4 * shadow.sigma_px)
    x0, y0 = math.floor(low_x) - margin, math.floor(low_y) - margin
    x1, y1 = math.ceil(high_x) + margin + 1, math.ceil(high_y) + margin + 1
    return max(0, x0), max(0, y0), min(image_wh[0], x1), min(image_wh[1], y1)


def _cut_to(layer: Pixels, box: PixelBox, square_xyxy: PixelBox) -> None:
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
        channels = 1 if occlusion.saturation == 0 else 3  # one byte per pixel is grey
        image[hidden] = noise_bytes(occlusion.noise, int(hidden.sum()) * channels).reshape(-1, channels)
    else:
        image[hidden] = occlusion.rgb or (0, 0, 0)
    return Rendered(image, mask, mask)
