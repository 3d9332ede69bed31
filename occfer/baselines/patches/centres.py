"""The 24 places of a face that the patch-gated networks look at, from its 68 landmarks.

The numbers are those of the authors' own conversion script (github.com/mysee1989/PG-CNN), for faces of 256x256 pixels.
"""

import numpy as np
import numpy.typing as npt

from occfer.data.arrays import Int64Array

PATCHES = 24
FACE_PX = 256  # side of the face in which the shifts are given
# Landmarks are counted from 1, as the authors and dlib do.
_SINGLE = (19, 22, 23, 26, 39, 37, 44, 46, 28, 30, 49, 51, 53, 55, 59, 57)
_MIDPOINTS = ((20, 38), (25, 45), (41, 42), (47, 48), (18, 59), (27, 57))
_BROW_SHIFTS_Y = (-2, -10, -10, -2)  # of the first four, on the brows; negative is up
_CORNERS = (49, 55)  # of the mouth; patches 23 and 24 lie beside them
_CORNER_SHIFT_X = 16
CORNER_SHIFT_Y = -10  # as in the authors' sample of 24 points; their committed script has -16


def patch_centres(
    points_xy: npt.NDArray[np.floating], size_px: int, side_px: int, corner_shift_y: float = CORNER_SHIFT_Y
) -> Int64Array:
    """`(N, 24, 2)`: x and y of the patches' centres, in whole pixels of a face of `side_px`; they may lie outside it.

    Args:
        points_xy: `(N, 68, 2)`, iBUG order, in pixels of a face of `size_px`, pixel centres at integers.
        size_px: side of that face.
        side_px: side of the face that the network's input is cut from; 224 where the face is the whole input.
        corner_shift_y: shift of patches 23 and 24 from the mouth's corners, in pixels of a face of 256; positive is
            down.
    """
    points = (np.asarray(points_xy, dtype=np.float64) + 0.5) * (FACE_PX / size_px) - 0.5
    single = points[:, [number - 1 for number in _SINGLE]]
    single[:, : len(_BROW_SHIFTS_Y), 1] += _BROW_SHIFTS_Y
    first, second = (points[:, [pair[end] - 1 for pair in _MIDPOINTS]] for end in (0, 1))
    corners = points[:, [number - 1 for number in _CORNERS]]
    corners += [(-_CORNER_SHIFT_X, corner_shift_y), (_CORNER_SHIFT_X, corner_shift_y)]
    centres = np.concatenate([single, (first + second) / 2, corners], axis=1)
    return np.trunc(centres * (side_px / FACE_PX) + 0.5).astype(np.int64)
