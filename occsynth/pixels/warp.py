"""Affine warps that give the same pixels on every x86-64 machine.

`cv2.warpAffine` and cubic resizing give other pixels on other CPU instruction sets; `cv2.remap` with fixed-point maps
and bilinear interpolation does not. So the maps are made here, as integers, from six stored numbers. `cv2.remap` does
not average over what it skips, so an image that shrinks is first reduced to a stored size with `cv2.resize` INTER_AREA.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

PixelBox = tuple[int, int, int, int]
"""Left, top, right, bottom, whole pixels, end exclusive."""

Affine = tuple[float, float, float, float, float, float]
"""`(a, b, c, d, e, f)`: output pixel (x, y) -> source pixel (a x + b y + c, d x + e y + f), centres at integers."""

_UNIT_BITS = 10
_UNIT = 1 << _UNIT_BITS  # coordinates are computed in 1/1024 pixel
_FRACTION_BITS = 5  # `cv2.remap` interpolates in 1/32 pixel
_HALF = 1 << (_UNIT_BITS - _FRACTION_BITS - 1)  # half of 1/32 pixel, so that cutting the lower bits off rounds
_LIMIT = (1 << 15) - 2  # largest coordinate in an int16 map
_FIXED_LIMIT = 1 << 28  # terms are clipped to it: a hostile affine may give more than an int64 can hold

_LENT = 1 << 32  # one unit of the y half, see `_packed`
_X_FRACTION_AT, _Y_FRACTION_AT = 16 - _FRACTION_BITS, 48 - _FRACTION_BITS
_FRACTION = (1 << _FRACTION_BITS) - 1

Fixed = TypeVar("Fixed", int, npt.NDArray[np.int64])


def reduce(pixels: npt.NDArray[np.uint8], reduced_wh: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """`pixels` shrunk to the stored size by area averaging, or unchanged if they have it."""
    height, width = pixels.shape[:2]
    if (width, height) == reduced_wh:
        return pixels
    return np.asarray(cv2.resize(pixels, reduced_wh, interpolation=cv2.INTER_AREA), np.uint8)


def warp(
    pixels: npt.NDArray[np.uint8],
    affine: Affine,
    box_xyxy: PixelBox,
    *,
    transparent_outside: bool,
) -> npt.NDArray[np.uint8]:
    """The output pixels of `box_xyxy`, interpolated bilinearly.

    Args:
        pixels: `(H, W)` or `(H, W, C)` uint8.
        affine: output pixel -> source pixel.
        box_xyxy: part of the output to make.
        transparent_outside: pixels outside the source are zero; else the source's edge pixels are repeated.
    """
    pixels.max()  # reading them in order loads them into the CPU cache; the warp reads along slanted lines, far slower
    whole, fraction = _maps(affine, box_xyxy)
    border = cv2.BORDER_CONSTANT if transparent_outside else cv2.BORDER_REPLICATE
    out = cv2.remap(pixels, whole, fraction, cv2.INTER_LINEAR, borderMode=border, borderValue=(0, 0, 0, 0))
    return np.asarray(out, np.uint8)


def _maps(affine: Affine, box_xyxy: PixelBox) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """The fixed-point maps that `cv2.remap` takes: int16 whole parts and 5-bit fractions.

    The contributions of columns and of rows are each rounded to 1/1024 pixel and then added as integers: a float sum
    could differ between machines that use fused multiply-add and those that do not.
    """
    a, b, c, d, e, f = affine
    x0, y0, x1, y1 = box_xyxy
    columns, rows = np.arange(x0, x1, dtype=np.float64), np.arange(y0, y1, dtype=np.float64)
    far_x, far_y = max(abs(x0), abs(x1)), max(abs(y0), abs(y1))
    if max(abs(a) * far_x + abs(b) * far_y + abs(c), abs(d) * far_x + abs(e) * far_y + abs(f)) < _LIMIT - 1:
        start = _packed(round(c * _UNIT) + _HALF, round(f * _UNIT) + _HALF) + _LENT
        by_row = _packed(_fixed(rows, b), _fixed(rows, e)) + start
        places = by_row[:, None] + _packed(_fixed(columns, a), _fixed(columns, d))
    else:
        places = _packed(_limited(columns * a, rows * b, c), _limited(columns * d, rows * e, f)) + _LENT
    whole = np.empty((*places.shape, 2), np.int16)
    np.right_shift(places.view(np.int32), 16, out=whole.reshape(len(whole), -1), casting="unsafe")
    # keep the two fractions of five bits alone, then one multiplication moves both, side by side, into the top 16 bits
    places &= (_FRACTION << _X_FRACTION_AT) | (_FRACTION << _Y_FRACTION_AT)
    places *= (1 << (48 - _X_FRACTION_AT)) | (1 << (48 + _FRACTION_BITS - _Y_FRACTION_AT))
    return whole, places.view(np.uint16).reshape(*places.shape, 4)[:, :, 3].copy()


def _packed(x: Fixed, y: Fixed) -> Fixed:
    """Two coordinates in one 64-bit number: x in the low half, y in the high half, each with 16 bits before and 16
    after the binary point.

    So one addition adds both. A negative x borrows one unit from the y half; `_LENT` adds it beforehand. If x turns out
    positive, y keeps a surplus of its last bit, far below 1/1024 pixel.
    """
    return (y << (48 - _UNIT_BITS)) + (x << (16 - _UNIT_BITS))


def _fixed(numbers: npt.NDArray[np.float64], step: float) -> npt.NDArray[np.int64]:
    """`numbers` times `step`, rounded to 1/1024."""
    return np.rint(numbers * (step * _UNIT)).astype(np.int64)


def _limited(columns: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], start: float) -> npt.NDArray[np.int64]:
    """`(rows, columns)` sums, clipped to what an int16 can address."""
    far = _FIXED_LIMIT / _UNIT
    by_column, by_row, first = (_fixed(np.clip(each, -far, far), 1.0) for each in (columns, rows, np.array(start)))
    spare, limit = _UNIT_BITS - _FRACTION_BITS, _LIMIT << _FRACTION_BITS
    places: npt.NDArray[np.int64] = (by_row[:, None] + by_column + (first + _HALF)) >> spare
    return places.clip(-limit, limit) << spare


def blur(values: npt.NDArray[np.uint8], sigma_px: float) -> npt.NDArray[np.uint8]:
    """Gaussian blur of `(H, W)` or `(H, W, C)` uint8, edge pixels repeated outside, in OpenCV's fixed-point numbers."""
    if sigma_px <= 0:
        return values
    side = 2 * math.ceil(3 * sigma_px) + 1
    return np.asarray(cv2.GaussianBlur(values, (side, side), sigma_px, borderType=cv2.BORDER_REPLICATE), np.uint8)


def times(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """`one * other / 255` of uint8 arrays of the same shape, rounded.

    OpenCV computes it in float32. Still every machine gets the same integers: n / 255 is never closer to a half than
    1/510, which is far more than any rounding error. `times(x, 255)` is x.
    """
    return np.asarray(cv2.multiply(one, other, scale=1 / 255), np.uint8)


def invert(affine: Affine) -> Affine:
    """The inverse map; raises ValueError if the map has no inverse."""
    a, b, c, d, e, f = affine
    determinant = a * e - b * d
    if abs(determinant) < 1e-12:
        raise ValueError("the affine map has no inverse")
    ia, ib, id_, ie = e / determinant, -b / determinant, -d / determinant, a / determinant
    return (ia, ib, -(ia * c + ib * f), id_, ie, -(id_ * c + ie * f))


def into_resized(affine: Affine, from_wh: tuple[int, int], to_wh: tuple[int, int]) -> Affine:
    """The map into a source of size `from_wh` as a map into its copy resized to `to_wh`, see `rescale`."""
    a, b, c, d, e, f = affine
    x, y = to_wh[0] / from_wh[0], to_wh[1] / from_wh[1]
    return (a * x, b * x, (c + 0.5) * x - 0.5, d * y, e * y, (f + 0.5) * y - 0.5)


def transform(affine: Affine, points_xy: npt.NDArray[np.number]) -> npt.NDArray[np.float64]:
    """`(N, 2)` points after the map."""
    a, b, c, d, e, f = affine
    x, y = points_xy[:, 0].astype(np.float64), points_xy[:, 1].astype(np.float64)
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def box_around(affine: Affine, points_xy: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Smallest x and y, largest x and y of points after the map; the numbers of `transform`, faster for few points."""
    a, b, c, d, e, f = affine
    xs = [a * x + b * y + c for x, y in points_xy]
    ys = [d * x + e * y + f for x, y in points_xy]
    return min(xs), min(ys), max(xs), max(ys)


def map_point(affine: Affine, point_xy: tuple[float, float]) -> tuple[float, float]:
    """One point after the map; the numbers of `transform`, faster."""
    a, b, c, d, e, f = affine
    x, y = point_xy
    return a * x + b * y + c, d * x + e * y + f


def rescale(
    points_xy: npt.NDArray[np.floating], from_wh: tuple[int, int], to_wh: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Points of an image in pixels of its resized copy."""
    ratio = np.array([to_wh[0] / from_wh[0], to_wh[1] / from_wh[1]])
    return np.asarray((points_xy.astype(np.float64) + 0.5) * ratio - 0.5, np.float64)
