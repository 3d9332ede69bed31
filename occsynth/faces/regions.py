"""Geometry on face landmarks: the 68-point subset, five alignment points, and the regions that occlusions aim at.

The index lists are data in `assets/face_geometry/`; its README says where they come from. "Left" and "right" are sides
of the picture. Points are pixels, origin top-left, y down, pixel centres at integers.
"""

import csv
import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.errors import SourceError

Points = npt.NDArray[np.float32]
"""`(N, 2)` x and y, pixels."""

GEOMETRY_FOLDER = Path(__file__).parents[1] / "assets" / "face_geometry"
MESH_POINTS = 478


def _read_ibug68() -> npt.NDArray[np.intp]:
    with (GEOMETRY_FOLDER / "ibug68.csv").open(encoding="utf-8", newline="") as file:
        return np.array([int(row["mesh"]) for row in csv.DictReader(file)], np.intp)


def _read_regions() -> dict[str, npt.NDArray[np.intp]]:
    lists = json.loads((GEOMETRY_FOLDER / "regions.json").read_text(encoding="utf-8"))
    return {name: np.array(indices, np.intp) for name, indices in lists.items()}


IBUG68 = _read_ibug68()
"""`(68,)` indices into the 478 mesh points, in the order of iBUG 300-W (dlib), which counts from the picture's left."""

REGIONS = _read_regions()
"""Mesh indices of `eye_left`, `eye_right`, `brow_left`, `brow_right`, `lips_outer` and `face_oval`, each in order."""

_EYES = np.concatenate([REGIONS[name] for name in ("eye_left", "eye_right", "brow_left", "brow_right")])


def ibug68(points_xy: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The `(68, 2)` iBUG points among `(478, 2)` mesh points, dtype kept."""
    return points_xy[IBUG68]


def five_points(points_xy: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """`(5, 2)` left eye centre, right eye centre, nose tip, left and right mouth corner; dtype kept.

    The centre of an eye is the mean of its six iBUG points, so the mesh and the iBUG points of a face give the same
    five.

    Args:
        points_xy: `(478, 2)` mesh or `(68, 2)` iBUG points.
    """
    points = ibug68(points_xy) if len(points_xy) == MESH_POINTS else points_xy
    if points.shape != (68, 2):
        raise ValueError(f"points have shape {points_xy.shape}; it must be (478, 2) or (68, 2)")
    eyes = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]
    return np.stack([*eyes, points[30], points[48], points[54]]).astype(points_xy.dtype)


def face_oval(points_xy: npt.NDArray[np.floating]) -> Points:
    """`(36, 2)` polygon around the face, from the top of the forehead clockwise in the picture."""
    return points_xy[REGIONS["face_oval"]].astype(np.float32)


def eyes_hull(points_xy: npt.NDArray[np.floating]) -> Points:
    """`(N, 2)` convex hull of both eyes and both brows."""
    return _hull(points_xy[_EYES])


def mouth_hull(points_xy: npt.NDArray[np.floating]) -> Points:
    """`(N, 2)` convex hull of the outer lips."""
    return _hull(points_xy[REGIONS["lips_outer"]])


def _hull(points_xy: npt.NDArray[np.floating]) -> Points:
    return np.asarray(cv2.convexHull(points_xy.astype(np.float32)), np.float32).reshape(-1, 2)


def region_mask(polygon_xy: npt.NDArray[np.floating], size_wh: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """`(H, W)` uint8, 1 inside the polygon and on its border, else 0; parts outside the picture are cut off."""
    mask = np.zeros((size_wh[1], size_wh[0]), np.uint8)
    cv2.fillPoly(mask, [np.rint(polygon_xy).astype(np.int32)], [1])
    return mask


@cache
def canonical_face() -> npt.NDArray[np.float64]:
    """`(478, 2)` mean face in the 112 x 112 ArcFace frame, read-only."""
    points = np.loadtxt(GEOMETRY_FOLDER / "canonical_face.csv", delimiter=",", skiprows=1, usecols=(1, 2))
    points.flags.writeable = False
    return points


def fit_similarity(from_xy: npt.NDArray[np.floating], to_xy: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The `(2, 3)` float64 rotation, scale and shift that maps points to points with the least squared error.

    Closed form, without reflection (Umeyama 1991, doi:10.1109/34.88573, in two dimensions).

    Args:
        from_xy: `(N, 2)`, N at least 2, not all equal.
        to_xy: `(N, 2)`.

    Raises:
        SourceError: a point is not finite, or all points are equal.
    """
    start, goal = np.asarray(from_xy, np.float64), np.asarray(to_xy, np.float64)
    if not (np.isfinite(start).all() and np.isfinite(goal).all()):
        raise SourceError("a face point is not a finite number")
    start_mean, goal_mean = start.mean(axis=0), goal.mean(axis=0)
    x, y = (start - start_mean).T
    u, v = (goal - goal_mean).T
    spread = float(x @ x + y @ y)
    if spread <= 0.0 or not (u.any() or v.any()):
        raise SourceError("all face points are at one place")
    a, b = float(x @ u + y @ v) / spread, float(x @ v - y @ u) / spread
    turn = np.array([[a, -b], [b, a]])
    return np.column_stack([turn, goal_mean - turn @ start_mean])


def transform_points(points_xy: npt.NDArray[np.floating], affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`(N, 2)` float64 points after the `(2, 3)` affine map."""
    return np.asarray(points_xy, np.float64) @ affine[:, :2].T + affine[:, 2]
