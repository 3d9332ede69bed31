"""The 68 landmarks as a mesh of triangles, and connected parts of it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial import Delaunay

from occfer.baselines.classical.fitted import Arrays, expect, expect_below, malformed
from occfer.data.arrays import Float64Array, Int64Array, Points

Mask = npt.NDArray[np.bool_]

POINTS = 68
LEAST_FRACTION = 0.1
LARGEST_FRACTION = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class FaceMesh:
    """One topology for all faces. [decided: Delaunay's of the mean training face, 68 points]

    Attributes:
        mean_xy: `(68, 2)` float32, the mean training face; it replaces the points of a face whose points are unknown.
        triangles: `(T, 3)` int64, indices of points; sorted, and the points within each as well.
        area_fraction: `(T,)` float64, of the mean face's mesh; sums to 1.
    """

    mean_xy: Points
    triangles: Int64Array
    area_fraction: Float64Array = field(init=False)

    def __post_init__(self) -> None:
        a, b, c = (self.mean_xy[self.triangles[:, corner]].astype(np.float64) for corner in range(3))
        area = np.abs(_cross(b - a, c - a)) / 2
        object.__setattr__(self, "area_fraction", area / max(float(area.sum()), 1e-12))

    def known(self, points_xy: Points) -> Points:
        """The points `(N, 68, 2)`, with the mean face in place of each face that has a NaN."""
        known = np.isfinite(points_xy).all(axis=(1, 2), keepdims=True)
        return np.where(known, points_xy, self.mean_xy)

    def neighbours(self) -> list[list[int]]:
        """For each triangle, those that share an edge with it."""
        by_edge: dict[tuple[int, int], list[int]] = {}
        for number, (a, b, c) in enumerate(self.triangles.tolist()):
            for edge in ((a, b), (a, c), (b, c)):
                by_edge.setdefault(edge, []).append(number)
        found: list[list[int]] = [[] for _ in self.triangles]
        for pair in by_edge.values():
            for number in pair:
                found[number] += [other for other in pair if other != number]
        return found


def mesh_of(points_xy: Points) -> FaceMesh:
    """The mesh of the mean of `(N, 68, 2)` training faces; NaN points are left out of the mean."""
    mean = np.nanmean(np.where(np.isfinite(points_xy), points_xy, np.nan), axis=0).astype(np.float32)
    triangles = np.sort(Delaunay(mean.astype(np.float64)).simplices.astype(np.int64), axis=1)
    return FaceMesh(mean, triangles[np.lexsort(triangles.T[::-1])])


def mesh_arrays(mesh: FaceMesh) -> Arrays:
    """For a model file; see `read_mesh`."""
    return {"mesh.mean_xy": mesh.mean_xy, "mesh.triangles": mesh.triangles}


def read_mesh(path: Path, arrays: Arrays) -> FaceMesh:
    """The inverse of `mesh_arrays`; raises CheckpointError."""
    expect(path, arrays, {"mesh.mean_xy": (np.float32, (POINTS, 2)), "mesh.triangles": (np.int64, (None, 3))})
    triangles = np.asarray(arrays["mesh.triangles"], np.int64)
    expect_below(path, "mesh.triangles", triangles, POINTS)
    mesh = FaceMesh(np.asarray(arrays["mesh.mean_xy"], np.float32), triangles)
    if not mesh.area_fraction.any():
        raise malformed(path, "the mean face has no area")
    return mesh


def draw_mask(mesh: FaceMesh, neighbours: list[list[int]], rng: np.random.Generator) -> Mask:
    """`(T,)`: a connected part of the mesh, grown from one triangle until it covers 10 to 20 % of the face.

    The share to cover is drawn as well. [recalled: connected parts of that size; decided: how they grow]
    """
    wanted = rng.uniform(LEAST_FRACTION, LARGEST_FRACTION)
    chosen = [int(rng.integers(len(mesh.triangles)))]
    covered = float(mesh.area_fraction[chosen[0]])
    while covered < wanted:
        border = sorted({other for number in chosen for other in neighbours[number]} - set(chosen))
        border = [number for number in border if covered + mesh.area_fraction[number] <= LARGEST_FRACTION]
        if not border:
            break
        chosen.append(border[rng.integers(len(border))])
        covered += float(mesh.area_fraction[chosen[-1]])
    mask = np.zeros(len(mesh.triangles), dtype=np.bool_)
    mask[chosen] = True
    return mask


def _cross(u: Float64Array, v: Float64Array) -> Float64Array:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
