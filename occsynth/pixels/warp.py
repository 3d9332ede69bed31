"""Affine warps that give the same pixels on every x86-64 machine.

`cv2.warpAffine` and cubic resizing differ between CPU instruction sets; `cv2.remap` with fixed-point maps and bilinear
interpolation does not. The maps are integers made here from six stored numbers. Remapping does not filter, so
whatever shrinks is first reduced with `cv2.resize` INTER_AREA to a stored size.
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
_UNIT = 1 << _UNIT_BITS
_FRACTION_BITS = 5
_HALF = 1 << (_UNIT_BITS - _FRACTION_BITS - 1)
_LIMIT = (1 << 15) - 2
_FIXED_LIMIT = 1 << 28

_LENT = 1 << 32
_X_FRACTION_AT, _Y_FRACTION_AT = 16 - _FRACTION_BITS, 48 - _FRACTION_BITS
_FRACTION = (1 << _FRACTION_BITS) - 1

Fixed = TypeVar("Fixed", int, npt.NDArray[np.int64])


def reduce(pixels: npt.NDArray[np.uint8], reduced_wh: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """`pixels` shrunk (or kept) to the stored size, by area averaging."""
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
    """The output pixels of `box_xyxy`, bilinear.

    Args:
        pixels: `(H, W)` or `(H, W, C)` uint8.
        affine: output pixel to source pixel.
        box_xyxy: part of the output to make, end exclusive.
        transparent_outside: zero beyond the source's edge; else the edge pixels go on.
    """
    pixels.max()  # reads them in order, so that they are near when the warp wants them along slanted lines: far quicker
    whole, fraction = _maps(affine, box_xyxy)
    border = cv2.BORDER_CONSTANT if transparent_outside else cv2.BORDER_REPLICATE
    out = cv2.remap(pixels, whole, fraction, cv2.INTER_LINEAR, borderMode=border, borderValue=(0, 0, 0, 0))
    return np.asarray(out, np.uint8)


def _maps(affine: Affine, box_xyxy: PixelBox) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """The fixed-point maps that `cv2.remap` takes: int16 whole parts and 5-bit fractions.

    Columns and rows are rounded to 1/1024 pixel on their own and then added as integers, so no float sum depends on
    how a machine adds.
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
    # both fractions are moved side by side into the last 16 bits, all else out of them
    places &= (_FRACTION << _X_FRACTION_AT) | (_FRACTION << _Y_FRACTION_AT)
    places *= (1 << (48 - _X_FRACTION_AT)) | (1 << (48 + _FRACTION_BITS - _Y_FRACTION_AT))
    return whole, places.view(np.uint16).reshape(*places.shape, 4)[:, :, 3].copy()


def _packed(x: Fixed, y: Fixed) -> Fixed:
    """Coordinates in 1/1024 pixel, x in the low half of 64 bits, y in the high one: 16 bits of pixels, 16 of fraction.

    One sum of such numbers holds the sums of both. A negative x borrows from y, which `_LENT` gives it beforehand: the
    last bit of y, far below 1/1024 pixel.
    """
    return (y << (48 - _UNIT_BITS)) + (x << (16 - _UNIT_BITS))


def _fixed(numbers: npt.NDArray[np.float64], step: float) -> npt.NDArray[np.int64]:
    """`numbers` times `step`, rounded to 1/1024."""
    return np.rint(numbers * (step * _UNIT)).astype(np.int64)


def _limited(columns: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], start: float) -> npt.NDArray[np.int64]:
    """`(rows, columns)` sums, kept where an int16 can address them."""
    far = _FIXED_LIMIT / _UNIT
    by_column, by_row, first = (_fixed(np.clip(each, -far, far), 1.0) for each in (columns, rows, np.array(start)))
    spare, limit = _UNIT_BITS - _FRACTION_BITS, _LIMIT << _FRACTION_BITS
    places: npt.NDArray[np.int64] = (by_row[:, None] + by_column + (first + _HALF)) >> spare
    return places.clip(-limit, limit) << spare


def blur(values: npt.NDArray[np.uint8], sigma_px: float) -> npt.NDArray[np.uint8]:
    """Gaussian blur of `(H, W)` uint8, the edge pixels going on outside; OpenCV does it on fixed-point numbers."""
    if sigma_px <= 0:
        return values
    side = 2 * math.ceil(3 * sigma_px) + 1
    return np.asarray(cv2.GaussianBlur(values, (side, side), sigma_px, borderType=cv2.BORDER_REPLICATE), np.uint8)


def times(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """`one * other / 255` of uint8 arrays of one shape, rounded.

    OpenCV computes it in float32. n / 255 is never nearer than 1/510 to a half, far beyond any rounding error, so that
    every way of computing it gives the same integers, and x * 255 gives x.
    """
    return np.asarray(cv2.multiply(one, other, scale=1 / 255), np.uint8)


def invert(affine: Affine) -> Affine:
    """The inverse map; raises ValueError if there is none."""
    a, b, c, d, e, f = affine
    determinant = a * e - b * d
    if abs(determinant) < 1e-12:
        raise ValueError("affine map without an inverse")
    ia, ib, id_, ie = e / determinant, -b / determinant, -d / determinant, a / determinant
    return (ia, ib, -(ia * c + ib * f), id_, ie, -(id_ * c + ie * f))


def transform(affine: Affine, points_xy: npt.NDArray[np.number]) -> npt.NDArray[np.float64]:
    """`(N, 2)` points through the map."""
    a, b, c, d, e, f = affine
    x, y = points_xy[:, 0].astype(np.float64), points_xy[:, 1].astype(np.float64)
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)


def box_around(affine: Affine, points_xy: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Smallest x and y, largest x and y of some points after the map; the numbers that `transform` gives."""
    a, b, c, d, e, f = affine
    xs = [a * x + b * y + c for x, y in points_xy]
    ys = [d * x + e * y + f for x, y in points_xy]
    return min(xs), min(ys), max(xs), max(ys)


def map_point(affine: Affine, point_xy: tuple[float, float]) -> tuple[float, float]:
    """One point through the map, the numbers that `transform` gives."""
    a, b, c, d, e, f = affine
    x, y = point_xy
    return a * x + b * y + c, d * x + e * y + f


def rescale(
    points_xy: npt.NDArray[np.floating], from_wh: tuple[int, int], to_wh: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Points of an image of one size in the pixels of its resized copy."""
    ratio = np.array([to_wh[0] / from_wh[0], to_wh[1] / from_wh[1]])
    return np.asarray((points_xy.astype(np.float64) + 0.5) * ratio - 0.5, np.float64)
