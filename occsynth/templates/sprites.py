"""Sprites: the pixels of a template, decoded and measured, ready to be placed on a face."""

import io
import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from occsynth.errors import SourceError, TemplateError
from occsynth.pixels.decode import MAX_PIXELS
from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import blur, times

OPAQUE_ALPHA = 128
"""Pixels of at least this alpha count as hiding what lies under them; most of a see-through template lies below."""

Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A decoded template, with the measures that placing it needs.

    Attributes:
        premultiplied: `(H, W, 4)` uint8, red, green, blue (each times alpha / 255) and alpha.
        opaque_hull_xy: convex hull around the pixels with alpha of at least `OPAQUE_ALPHA`, corners included.
        centroid_xy: mean position of those pixels.
        long_axis_deg: direction of their largest spread, in (-90, 90], x right and y down.
        base_xy: `(2, 2)` left and right end of the visible pixels on the bottom edge, if the object goes on outside the
            picture there (the cut forearm of a hand); None for a whole object.
        mean_rgb: mean colour of the opaque pixels.
    """

    premultiplied: Pixels
    opaque_hull_xy: Polygon
    centroid_xy: tuple[float, float]
    long_axis_deg: float
    base_xy: npt.NDArray[np.float64] | None
    mean_rgb: tuple[float, float, float]

    @property
    def wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.premultiplied.shape[1], self.premultiplied.shape[0]


@dataclass(frozen=True, eq=False)
class ReducedSprite:
    """A sprite as it is warped: shrunk, its edge softened.

    Attributes:
        pixels: `(h, w, 4)` uint8, premultiplied.
    """

    pixels: Pixels

    @cached_property
    def outline_xy(self) -> Polygon:
        """A convex polygon around all that a warp can make visible; empty if no pixel is visible."""
        shown = np.asarray(cv2.extractChannel(self.pixels, 3), np.uint8) > 0
        return _outline(shown, 1.0)  # interpolation spreads a pixel by less than one pixel from its centre


def reduce_sprite(sprite: Sprite, wh: tuple[int, int], feather_px: float) -> ReducedSprite:
    """A sprite shrunk by area averaging, its edge softened.

    Args:
        sprite: left untouched.
        wh: the new size, not larger than the old one.
        feather_px: sigma of the softening in pixels of the shrunken sprite. The edge softens inwards: nothing outside
            the outline changes. A cut edge stays hard, as if the object went on.
    """
    shrunk = np.asarray(cv2.resize(sprite.premultiplied, wh, interpolation=cv2.INTER_AREA), np.uint8)
    return ReducedSprite(_feathered(shrunk, feather_px) if feather_px > 0 else shrunk)


def _feathered(premultiplied: Pixels, sigma_px: float) -> Pixels:
    """Fades the outermost pixels inside the outline to transparency, in integers only."""
    _, visible = cv2.threshold(premultiplied[:, :, 3], 0, 255, cv2.THRESH_BINARY)
    soft = blur(np.asarray(visible, np.uint8), sigma_px)
    # 2 * soft - 255, at least 0: the blur leaves half on the outline itself, so the weight is 0 there and grows inwards
    weight = cv2.subtract(soft, cv2.bitwise_not(soft))
    return times(premultiplied, np.asarray(cv2.merge([weight] * 4), np.uint8))


def decode_sprite(content: bytes, where: str, base_edge: str) -> Sprite:
    """Decodes and measures a template.

    Args:
        content: bytes of an 8-bit RGBA image file.
        where: what error messages call it.
        base_edge: see `occsynth.templates.pack.Template`.

    Raises:
        TemplateError: it has another format, too many pixels, hardly a visible one, or none on its base edge.
    """
    if _is_too_large(content):
        raise TemplateError(f"{where} has more than {MAX_PIXELS:,} pixels")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    if image is None or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 4:
        raise TemplateError(f"{where} is not an 8-bit RGBA image")
    rgba = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA), np.uint8)
    alpha = cv2.extractChannel(rgba, 3)
    opaque = alpha >= OPAQUE_ALPHA
    if np.count_nonzero(opaque) < 8:  # all of it is see-through, so its visible pixels are measured instead
        opaque = alpha > 0
    if np.count_nonzero(opaque) < 8:
        raise TemplateError(f"{where} is empty: it has fewer than 8 visible pixels")
    try:
        return _measure(rgba, opaque, base_edge)
    except SourceError as error:
        raise TemplateError(f"{where}: {error}") from error


def _is_too_large(content: bytes) -> bool:
    """Whether the header claims too many pixels; files that are not images are left to the decoder."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size[0] * image.size[1] > MAX_PIXELS
    except Image.DecompressionBombError:
        return True
    except Exception:  # Pillow's plugins raise exceptions of many types for damaged files
        return False


def _measure(rgba: Pixels, opaque: npt.NDArray[np.bool_], base_edge: str) -> Sprite:
    alpha = cv2.extractChannel(rgba, 3)
    weights = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
    ys, xs = np.nonzero(opaque)
    x, y = xs - xs.mean(), ys - ys.mean()
    angle = 0.5 * math.degrees(math.atan2(2 * float((x * y).mean()), float((x * x).mean() - (y * y).mean())))
    # the sums are whole numbers, so rounding them removes whatever error OpenCV made on the way, on any machine
    red, green, blue, _ = (round(mean * len(xs)) / len(xs) for mean in cv2.mean(rgba, opaque.view(np.uint8)))
    return Sprite(
        premultiplied=times(rgba, np.asarray(weights, np.uint8)),
        opaque_hull_xy=_outline(opaque, 0.5),
        centroid_xy=(float(xs.mean()), float(ys.mean())),
        long_axis_deg=angle,
        base_xy=_base(rgba[:, :, 3]) if base_edge == "bottom" else None,
        mean_rgb=(red, green, blue),
    )


def _outline(shown: npt.NDArray[np.bool_], reach: float) -> Polygon:
    """Convex hull of pixels, each of them a square that extends `reach` pixels from its centre."""
    rows = np.flatnonzero(shown.any(axis=1))  # a hull depends only on the two ends of each row
    if not len(rows):
        return ()
    shown = shown[rows]
    left, right = shown.argmax(axis=1) - reach, shown.shape[1] - 1 - shown[:, ::-1].argmax(axis=1) + reach
    corners = [np.stack([x, rows + y], axis=1) for x in (left, right) for y in (-reach, reach)]
    hull = cv2.convexHull(np.concatenate(corners).astype(np.float32)).reshape(-1, 2)
    return tuple((float(x), float(y)) for x, y in hull)


def _base(alpha: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    visible = np.nonzero(alpha[-1] > 0)[0]
    if not len(visible):
        raise SourceError("the index says that it goes on below the bottom edge, but no pixel there is visible")
    bottom = alpha.shape[0] - 1
    return np.array([[visible[0], bottom], [visible[-1], bottom]], np.float64)
