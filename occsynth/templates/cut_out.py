"""Preparing a cut-out for a template pack: trimmed, edge softened, colour spread under the transparent pixels."""

import io
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from occsynth.errors import SourceError
from occsynth.option_values import EDGES, Edge
from occsynth.pixels.decode import MAX_PIXELS, decode_rgb, explained_pillow_errors, has_transparency
from occsynth.pixels.images import Pixels
from occsynth.templates.sprites import OPAQUE_ALPHA

_NOISE_ALPHA = 6  # fainter pixels are noise of the matting, and so is what lacks this much to opaque
_FAINT_ALPHA = 24  # colours under a fainter alpha are unreliable
_SOLID_ALPHA = 235  # at the edge of a hard mask, fainter pixels still hold some of the old background
_SEE_THROUGH_ALPHA = 230
_SEE_THROUGH_SHARE = 0.1
_SPREAD_REACH_PX = 40
_JPEG_START = b"\xff\xd8"


@dataclass(frozen=True, slots=True, eq=False)
class FinishedCutOut:
    """A cut-out as the template pack stores it.

    Attributes:
        rgba: `(H, W, 4)` uint8, straight alpha, one transparent pixel on each side (none below a base edge).
        opaque_fraction: share of the box around the visible pixels with alpha of at least `OPAQUE_ALPHA`.
        see_through: whether more than a tenth of the object's inside lets the background through.
        base_edge: `bottom` if the object goes on outside the picture there, else empty.
    """

    rgba: Pixels
    opaque_fraction: float
    see_through: bool
    base_edge: Edge


def decode_rgba(content: bytes) -> Pixels:
    """Image file bytes as `(H, W, 4)` uint8, straight alpha, upright; the first frame of an animation.

    Raises:
        SourceError: it is not an image, truncated, larger than `MAX_PIXELS` (checked before decoding), or it has no
            transparent pixel.
    """
    image = _open(content)
    if not has_transparency(image):
        raise SourceError("no transparency: it has no alpha channel (if masks lie beside it, give --kind masks)")
    rgba = np.asarray(image.convert("RGBA"), np.uint8)
    if rgba[:, :, 3].min() == 255:
        raise SourceError("no transparency: every pixel is opaque")
    return rgba


def decode_mask(content: bytes) -> Pixels:
    """Mask file bytes as `(H, W)` uint8 alpha; a mask of zeros and ones is scaled to 0 and 255.

    Raises:
        SourceError: it is not an image, truncated, larger than `MAX_PIXELS`, or not 8-bit grey.
    """
    image = _open(content)
    if content.startswith(_JPEG_START):
        decode_rgb(content)  # which refuses one that is cut; Pillow fills the rest with grey
    if image.mode.startswith(("I", "F")):
        raise SourceError(f"its mask has pixels of type {image.mode}; it must be 8-bit grey")
    if image.mode == "P":
        raise SourceError("its mask has a palette, so its numbers are labels; it must be 8-bit grey")
    mask = np.asarray(image.convert("L"), np.uint8)
    if mask.max(initial=0) == 1:
        return mask * np.uint8(255)
    return mask


def _open(content: bytes) -> Image.Image:
    if not content:
        raise SourceError("empty file")
    with explained_pillow_errors():
        image = Image.open(io.BytesIO(content))
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise SourceError(f"{width}x{height} is beyond the limit of {MAX_PIXELS:,} pixels")
        return ImageOps.exif_transpose(image)


def finish(rgba: Pixels, *, base_edge: Edge, min_side_px: int, long_side_px: int) -> FinishedCutOut:
    """Prepares a cut-out for a template pack.

    A hard mask (only alpha 0 and 255) gets a soft edge inside its outline, in the colours of pixels further inside: the
    outermost pixels of a cut photograph show the old background. The object is turned by right angles until its base
    edge is at the bottom, and shrunk if it is large.

    Args:
        rgba: `(H, W, 4)` uint8, straight alpha; left untouched.
        base_edge: where the object goes on outside the picture (the forearm of a hand), empty for a whole object.
        min_side_px: smallest longer side of the box around the visible pixels.
        long_side_px: objects whose longer side is longer are shrunk to it.

    Raises:
        SourceError: nothing is visible, or it is too small.
    """
    hard = bool(np.isin(rgba[:, :, 3], (0, 255)).all())
    rgba = _trim(_without_noise(rgba))
    rgba = np.rot90(rgba, k=("bottom", "left", "top", "right").index(base_edge or "bottom"))
    height, width = rgba.shape[:2]
    if max(height, width) < min_side_px:
        raise SourceError(f"too small: {width}x{height} pixels are visible, and the longer side must be {min_side_px}")
    if hard:
        rgba = _soften(rgba, open_bottom=bool(base_edge))
    rgba = _trim(_without_noise(_shrink(rgba, long_side_px)))
    alpha = rgba[:, :, 3]
    opaque_fraction = float((alpha >= OPAQUE_ALPHA).mean())
    see_through = _see_through_share(alpha) > _SEE_THROUGH_SHARE
    below = 0 if base_edge else 1
    padded = np.pad(rgba, ((1, below), (1, 1), (0, 0)))
    solid = padded[:, :, 3] >= (_SOLID_ALPHA if hard else _FAINT_ALPHA)
    return FinishedCutOut(_spread_colour(padded, solid), opaque_fraction, see_through, "bottom" if base_edge else "")


def _without_noise(rgba: Pixels) -> Pixels:
    cleaned = rgba.copy()
    alpha = cleaned[:, :, 3]
    alpha[alpha < _NOISE_ALPHA] = 0
    alpha[alpha > 255 - _NOISE_ALPHA] = 255
    return cleaned


def _trim(rgba: Pixels) -> Pixels:
    ys, xs = np.nonzero(rgba[:, :, 3])
    if len(xs) < 8 or rgba[:, :, 3].max() < _FAINT_ALPHA:
        raise SourceError("hardly a pixel is visible")
    return rgba[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]


def _soften(rgba: Pixels, *, open_bottom: bool) -> Pixels:
    """An edge about two pixels wide, inside the old outline; objects too thin for it are left as they are."""
    border = np.pad(rgba[:, :, 3], ((2, 0 if open_bottom else 2), (2, 2)))
    if open_bottom:
        border = np.pad(border, ((0, 2), (0, 0)), mode="edge")
    inner = cv2.erode(border, np.ones((3, 3), np.uint8))
    soft = np.minimum(cv2.GaussianBlur(inner, (7, 7), 1.0), border)[2:-2, 2:-2]
    if (soft >= _SOLID_ALPHA).sum() < 0.25 * (rgba[:, :, 3] > 0).sum():
        return rgba
    return np.dstack([rgba[:, :, :3], soft])


def _shrink(rgba: Pixels, long_side_px: int) -> Pixels:
    height, width = rgba.shape[:2]
    scale = long_side_px / max(height, width)
    if scale >= 1:
        return rgba
    alpha = rgba[:, :, 3:].astype(np.float32)
    premultiplied = np.dstack([rgba[:, :, :3] * (alpha / 255), alpha])
    wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(premultiplied, wh, interpolation=cv2.INTER_AREA)
    colour = small[:, :, :3] * 255 / np.maximum(small[:, :, 3:], 1e-3)
    return np.clip(np.rint(np.dstack([colour, small[:, :, 3:]])), 0, 255).astype(np.uint8)


def _see_through_share(alpha: npt.NDArray[np.uint8]) -> float:
    """Share of the visible pixels that lie at least two pixels inside the outline and are not opaque."""
    visible = np.pad((alpha > 0).astype(np.uint8), 1)
    inside = cv2.erode(visible, np.ones((5, 5), np.uint8))[1:-1, 1:-1] > 0
    return float((inside & (alpha < _SEE_THROUGH_ALPHA)).sum() / max(1, int(visible.sum())))


def _spread_colour(rgba: Pixels, solid: npt.NDArray[np.bool_]) -> Pixels:
    """Gives each pixel that is not `solid` the colour of the nearest solid one, or their mean colour if that is far.

    Whoever scales or turns a sprite of straight alpha would otherwise mix other colours into its edge.
    """
    if solid.all() or not solid.any():
        return rgba
    distance, labels = cv2.distanceTransformWithLabels(
        (~solid).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    colours[labels[solid]] = rgba[solid, :3]
    spread = rgba.copy()
    spread[~solid, :3] = colours[labels[~solid]]
    spread[~solid & (distance > _SPREAD_REACH_PX), :3] = np.rint(rgba[solid, :3].mean(axis=0)).astype(np.uint8)
    return spread


def guess_base_edge(alpha: npt.NDArray[np.uint8]) -> Edge:
    """The edge at which a hand's forearm leaves the picture, or empty.

    It is the edge with most opaque pixels, if they fill at least a tenth of it and are twice as many as on any other.

    Args:
        alpha: `(H, W)` uint8 of the picture before it is trimmed.
    """
    lines = {"top": alpha[0], "right": alpha[:, -1], "bottom": alpha[-1], "left": alpha[:, 0]}
    contact = {edge: int((line >= OPAQUE_ALPHA).sum()) for edge, line in lines.items()}
    longest, second = sorted(contact.values(), reverse=True)[:2]
    edge = next(edge for edge in EDGES if edge and contact[edge] == longest)
    return edge if longest >= max(2 * second, math.ceil(0.1 * len(lines[edge])), 1) else ""
