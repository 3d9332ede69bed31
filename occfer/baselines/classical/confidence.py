"""How much each triangle of a face looks like a face that nothing hides: a local autoencoder of clean faces."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occfer.baselines.classical.channels import FACE_PX, ORIENTATIONS, window_means
from occfer.baselines.classical.face_mesh import FaceMesh, Points
from occfer.baselines.classical.fitted import Arrays, expect
from occfer.baselines.classical.local_features import eye_distance_px

Floats = npt.NDArray[np.float32]
Wide = npt.NDArray[np.float64]

CELLS = 3
LENGTH = CELLS * CELLS * ORIENTATIONS
CODE = 8
LEAST_SIDE_FRACTION = 0.4
FAINT = 0.1


def triangle_hogs(mesh: FaceMesh, points_xy: Points, sums: Floats) -> Floats:
    """`(N, T, 72)` float32: histograms of oriented gradients around each triangle, of length 1 at most.

    A square of twice the side of a square as large as the triangle, but at least 0.4 eye distances, in 3 x 3 cells of
    eight directions. [decided]

    Args:
        mesh: of T triangles.
        points_xy: `(N, 68, 2)`, pixels of the 64 x 64 faces.
        sums: `(N, 9, 65, 65)` of `integral_channels`.
    """
    corners = points_xy[:, mesh.triangles]
    u, v = (corners[:, :, corner] - corners[:, :, 0] for corner in (1, 2))
    area = np.abs(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]) / 2
    side = np.clip(2 * np.sqrt(area), LEAST_SIDE_FRACTION * eye_distance_px(points_xy)[:, None], FACE_PX)
    centres = corners.mean(axis=2)
    steps = ((np.arange(CELLS) - (CELLS - 1) / 2) / CELLS).astype(np.float32)
    hogs = np.empty((*centres.shape[:2], CELLS, CELLS, ORIENTATIONS), dtype=np.float32)
    for row, down in enumerate(steps):
        for column, right in enumerate(steps):
            places = centres + side[..., None] * np.array([right, down], dtype=np.float32)
            for direction in range(ORIENTATIONS):
                channel = np.full(len(mesh.triangles), 1 + direction)
                hogs[:, :, row, column, direction] = window_means(sums, channel, places, side / CELLS)
    flat = hogs.reshape(*centres.shape[:2], LENGTH)
    return np.asarray(flat / (np.linalg.norm(flat, axis=-1, keepdims=True) + np.float32(FAINT)), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums over faces, from which an autoencoder follows.

    Attributes:
        count: of faces.
        first: `(T, 72)` float64, sum of their descriptors.
        second: `(T, 72, 72)` float64, sum of the descriptors' outer products.
    """

    count: int
    first: Wide
    second: Wide

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.first + other.first, self.second + other.second)

    def without(self, other: "Moments") -> "Moments":
        """The sums over the faces that are not in the other."""
        return Moments(self.count - other.count, self.first - other.first, self.second - other.second)


def moments_of(hogs: Floats) -> Moments:
    """The sums over the faces of `(N, T, 72)` descriptors."""
    by_triangle = hogs.astype(np.float64).transpose(1, 0, 2)
    return Moments(len(hogs), by_triangle.sum(axis=1), by_triangle.transpose(0, 2, 1) @ by_triangle)


@dataclass(frozen=True, slots=True, eq=False)
class Autoencoder:
    """One linear autoencoder a triangle, with a code of eight numbers. [decided]

    The best such network is known in closed form: its weights are the principal components (Baldi and Hornik 1989).

    Attributes:
        mean: `(T, 72)` float32.
        basis: `(T, 8, 72)` float32, orthonormal rows.
    """

    mean: Floats
    basis: Floats

    def errors(self, hogs: Floats) -> Floats:
        """`(N, T)`: squared distance of each `(N, T, 72)` descriptor to what is left of it."""
        centred = (hogs - self.mean).transpose(1, 0, 2)
        codes = centred @ self.basis.transpose(0, 2, 1)
        rest = centred - codes @ self.basis
        return np.asarray(np.square(rest).sum(axis=-1).T, dtype=np.float32)


def autoencoder_of(moments: Moments) -> Autoencoder:
    """The autoencoder with the least error on the faces of some moments."""
    mean = moments.first / max(moments.count, 1)
    covariance = moments.second / max(moments.count, 1) - mean[:, :, None] * mean[:, None, :]
    _, vectors = np.linalg.eigh(covariance)
    basis = vectors[:, :, -CODE:].transpose(0, 2, 1)
    return Autoencoder(mean.astype(np.float32), np.ascontiguousarray(basis, dtype=np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Confidence:
    """Turns errors into confidences: alpha = exp(-max(0, e - median) / MAD) of the held-out clean error.

    Attributes:
        autoencoder: of clean faces.
        median, deviation: `(T,)` float32; the deviation is the median absolute one, above 0.
    """

    autoencoder: Autoencoder
    median: Floats
    deviation: Floats

    def alphas(self, hogs: Floats) -> Floats:
        """`(N, T)` in [0, 1] of `(N, T, 72)` descriptors."""
        above = np.maximum(0, self.autoencoder.errors(hogs) - self.median)
        return np.asarray(np.exp(-above / self.deviation), dtype=np.float32)

    def arrays(self) -> Arrays:
        """For a model file; see `read_confidence`."""
        return {
            "confidence.mean": self.autoencoder.mean,
            "confidence.basis": self.autoencoder.basis,
            "confidence.median": self.median,
            "confidence.deviation": self.deviation,
        }


def confidence_of(autoencoder: Autoencoder, clean_errors: Floats) -> Confidence:
    """From the errors `(N, T)` of clean faces that the autoencoder, or its like, was not fitted to."""
    median = np.median(clean_errors, axis=0)
    deviation = np.maximum(np.median(np.abs(clean_errors - median), axis=0), 1e-6)
    return Confidence(autoencoder, median.astype(np.float32), deviation.astype(np.float32))


def read_confidence(path: Path, arrays: Arrays, triangles: int) -> Confidence:
    """The inverse of `Confidence.arrays`; raises CheckpointError."""
    shapes = {
        "mean": (triangles, LENGTH),
        "basis": (triangles, CODE, LENGTH),
        "median": (triangles,),
        "deviation": (triangles,),
    }
    expect(path, arrays, {f"confidence.{name}": (np.float32, shape) for name, shape in shapes.items()})
    mean, basis, median, deviation = (np.asarray(arrays[f"confidence.{name}"], np.float32) for name in shapes)
    return Confidence(Autoencoder(mean, basis), median, np.maximum(deviation, np.float32(1e-6)))
