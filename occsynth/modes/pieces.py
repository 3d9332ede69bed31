"""Templates laid over a face triangle by triangle, so that cloth follows the face: the record's part, and the warp.

Everything is computed in whole numbers, from corners in 1/32 pixel, so that a record gives the same pixels on every
machine.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import PixelBox

UNIT = 32
"""Corners are in 1/32 pixel, the unit in which `cv2.remap` interpolates."""

MOST_CORNERS = 96
MOST_TRIANGLES = 192
FARTHEST = UNIT << 15
"""The largest coordinate of a corner."""

_UNIT_BITS = 5
_SLOPE_BITS = 20
_STEEPEST = 1 << 40  # of a sliver; steeper ones would leave the range of an int64
_BAND_PIXELS = 1 << 18
_LIMIT = ((1 << 15) - 2) * UNIT  # what an int16 map can address


@dataclass(frozen=True, slots=True)
class Pieces:
    """How a template is laid over a face in triangles, each by an affine map of its own.

    Attributes:
        face_xy: corners in 1/32 pixel of the face.
        sprite_xy: the same corners in 1/32 pixel of the shrunken template.
        triangles: three positions in these lists for each; where triangles overlap, the later one is seen.
    """

    face_xy: tuple[tuple[int, int], ...]
    sprite_xy: tuple[tuple[int, int], ...]
    triangles: tuple[tuple[int, int, int], ...]

    def fits(self) -> bool:
        """Whether everything is in range."""
        count = len(self.face_xy)
        within = (abs(each) <= FARTHEST for corner in (*self.face_xy, *self.sprite_xy) for each in corner)
        named = (0 <= each < count for triangle in self.triangles for each in triangle)
        bounded = 3 <= count <= MOST_CORNERS and 0 < len(self.triangles) <= MOST_TRIANGLES
        return bounded and len(self.sprite_xy) == count and all(within) and all(named)

    def span(self) -> tuple[float, float, float, float]:
        """Smallest x and y, largest x and y of the triangles' corners, in pixels of the face."""
        corners = [self.face_xy[each] for triangle in self.triangles for each in triangle]
        xs, ys = [x / UNIT for x, _ in corners], [y / UNIT for _, y in corners]
        return min(xs), min(ys), max(xs), max(ys)


def warp_pieces(sprite: Pixels, pieces: Pieces, box_xyxy: PixelBox) -> Pixels:
    """The pixels of a box of the face, interpolated bilinearly from the sprite; zero outside all triangles.

    Args:
        sprite: `(H, W, 4)` uint8, premultiplied.
        pieces: in range, see `Pieces.fits`.
        box_xyxy: part of the face to make.
    """
    x0, y0, x1, y1 = box_xyxy
    owner = np.zeros((y1 - y0, x1 - x0), np.uint8)
    slopes = [(0, 0, -UNIT, 0, 0, -UNIT)]  # what no triangle owns lies outside the sprite
    for triangle in pieces.triangles:
        face = [pieces.face_xy[each] for each in triangle]
        found = _slopes(face, [pieces.sprite_xy[each] for each in triangle])
        if found is None:
            continue
        corners = np.array([(x - x0 * UNIT, y - y0 * UNIT) for x, y in face], np.int32)
        cv2.fillConvexPoly(owner, corners, (len(slopes),), lineType=cv2.LINE_8, shift=_UNIT_BITS)
        slopes.append(found)
    table, border = np.array(slopes, np.int64), cv2.BORDER_CONSTANT
    layer = np.empty((*owner.shape, sprite.shape[2]), np.uint8)
    step = max(1, _BAND_PIXELS // max(1, owner.shape[1]))
    for top in range(0, len(owner), step):  # the maps of a large picture at once would take a gigabyte
        band = owner[top : top + step]
        whole, fraction = _maps(band, table, (x0, y0 + top))
        made = cv2.remap(sprite, whole, fraction, cv2.INTER_LINEAR, borderMode=border, borderValue=(0, 0, 0, 0))
        layer[top : top + step] = made
    layer[owner == 0] = 0
    return layer


def _slopes(face: list[tuple[int, int]], sprite: list[tuple[int, int]]) -> tuple[int, int, int, int, int, int] | None:
    """The map of one triangle from 1/32 pixel of the face to 1/32 pixel of the sprite; None if it has no area.

    Steps to the right and down and the start, of x and then of y: the steps in 2**-20, the start in 1/32 pixel where
    the face's pixel (0, 0) lies, in 2**-20 as well.
    """
    (x0, y0), (x1, y1), (x2, y2) = face
    across, down = (x1 - x0, y1 - y0), (x2 - x0, y2 - y0)
    area = across[0] * down[1] - across[1] * down[0]
    if area == 0:
        return None
    numbers: list[int] = []
    for axis in (0, 1):
        start, first, second = (corner[axis] for corner in sprite)
        right = _ratio((first - start) * down[1] - (second - start) * across[1], area)
        low = _ratio((second - start) * across[0] - (first - start) * down[0], area)
        numbers += [right, low, (start << _SLOPE_BITS) - x0 * right - y0 * low]
    return (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5])


def _ratio(number: int, by: int) -> int:
    """`number / by` in 2**-20, rounded down, and limited."""
    return max(-_STEEPEST, min(_STEEPEST, (number << _SLOPE_BITS) // by))


def _maps(
    owner: npt.NDArray[np.uint8], slopes: npt.NDArray[np.int64], start_xy: tuple[int, int]
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """The fixed-point maps that `cv2.remap` takes: int16 whole parts and two 5-bit fractions."""
    height, width = owner.shape
    columns = (np.arange(width, dtype=np.int64) + start_xy[0]) * UNIT
    rows = (np.arange(height, dtype=np.int64)[:, None] + start_xy[1]) * UNIT
    places = []
    for axis in (0, 3):
        right, low, start = (slopes[:, axis + each][owner] for each in range(3))
        place = (right * columns + low * rows + start + (1 << (_SLOPE_BITS - 1))) >> _SLOPE_BITS
        places.append(place.clip(-_LIMIT, _LIMIT))
    whole = np.stack([place >> _UNIT_BITS for place in places], axis=2).astype(np.int16)
    x, y = (place & (UNIT - 1) for place in places)
    return whole, (y * UNIT + x).astype(np.uint16)
