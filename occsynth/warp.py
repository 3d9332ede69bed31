"""Affine warps that give the same pixels on every x86-64 machine.

`cv2.warpAffine` and cubic resizing differ between CPU instruction sets; `cv2.remap` with fixed-point maps and bilinear
interpolation does not. The maps are integers made here from six stored numbers. Remapping does not filter, so
whatever shrinks is first reduced with `cv2.resize` INTER_AREA to a stored size.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

Affine = tuple[float, float, float, float, float, float]
"""`(a, b, c, d, e, f)`: output pixel (x, y) -> source pixel (a x + b y + c, d x + e y + f), centres at integers."""

_FRACTION_BITS = 5
_EXTRA_BITS = 5
_UNIT = 1 << (_FRACTION_BITS + _EXTRA_BITS)
_LIMIT = (1 << 15) - 2
_FIXED_LIMIT = 1 << 28


def reduce(pixels: npt.NDArray[np.uint8], reduced_wh: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """`pixels` shrunk (or kept) to the stored size, by area averaging."""
    height, width = pixels.shape[:2]
    if (width, height) == reduced_wh:
        return pixels
    return np.asarray(cv2.resize(pixels, reduced_wh, interpolation=cv2.INTER_AREA), np.uint8)


def warp(
    pixels: npt.NDArray[np.uint8],
    affine: Affine,
    box_xyxy: tuple[int, int, int, int],
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
    whole, fraction = _maps(affine, box_xyxy)
    border = cv2.BORDER_CONSTANT if transparent_outside else cv2.BORDER_REPLICATE
    out = cv2.remap(pixels, whole, fraction, cv2.INTER_LINEAR, borderMode=border, borderValue=(0, 0, 0, 0))
    return np.asarray(out, np.uint8)


def _maps(affine: Affine, box_xyxy: tuple[int, int, int, int]) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """The fixed-point maps that `cv2.remap` takes: int16 whole parts and 5-bit fractions.

    Columns and rows are rounded to 1/1024 pixel on their own and then added as integers, so no float sum depends on
    how a machine adds.
    """
    a, b, c, d, e, f = affine
    x0, y0, x1, y1 = box_xyxy
    columns = np.arange(x0, x1, dtype=np.float64)
    rows = np.arange(y0, y1, dtype=np.float64)
    x, y = _places(columns * a, rows * b, c), _places(columns * d, rows * e, f)
    whole = np.empty((*x.shape, 2), np.int16)
    np.right_shift(x, _FRACTION_BITS, out=whole[:, :, 0], casting="unsafe")
    np.right_shift(y, _FRACTION_BITS, out=whole[:, :, 1], casting="unsafe")
    mask = np.int32((1 << _FRACTION_BITS) - 1)
    x &= mask
    y &= mask
    y <<= _FRACTION_BITS
    y |= x
    return whole, y.astype(np.uint16)


def _places(columns: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], start: float) -> npt.NDArray[np.int32]:
    """`(rows, columns)` int32 sums in 1/32 pixel, rounded, kept where an int16 can address them."""
    half = 1 << (_EXTRA_BITS - 1)
    by_column, by_row = _fixed(columns), _fixed(rows) + (_fixed(np.array([start])) + half)
    places = by_column[None, :] + by_row[:, None]
    places >>= _EXTRA_BITS
    limit = _LIMIT << _FRACTION_BITS
    corners = places[:: max(1, len(rows) - 1), :: max(1, len(columns) - 1)]  # both rise or fall evenly
    if corners.min() < -limit or corners.max() > limit:
        np.clip(places, -limit, limit, out=places)
    return places


def _fixed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    scaled = np.rint(values * _UNIT)
    if max(abs(scaled[0]), abs(scaled[-1])) > _FIXED_LIMIT:
        np.clip(scaled, -_FIXED_LIMIT, _FIXED_LIMIT, out=scaled)
    return scaled.astype(np.int32)


def blur(values: npt.NDArray[np.uint8], sigma_px: float) -> npt.NDArray[np.uint8]:
    """Gaussian blur of `(H, W)` uint8, the edge pixels going on outside; OpenCV does it on fixed-point numbers."""
    if sigma_px <= 0:
        return values
    side = 2 * math.ceil(3 * sigma_px) + 1
    return np.asarray(cv2.GaussianBlur(values, (side, side), sigma_px, borderType=cv2.BORDER_REPLICATE), np.uint8)


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


def rescale(
    points_xy: npt.NDArray[np.floating], from_wh: tuple[int, int], to_wh: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Points of an image of one size in the pixels of its resized copy."""
    ratio = np.array([to_wh[0] / from_wh[0], to_wh[1] / from_wh[1]])
    return np.asarray((points_xy.astype(np.float64) + 0.5) * ratio - 0.5, np.float64)
