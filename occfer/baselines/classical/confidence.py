"""How much each triangle of a face looks as in a clean face: an autoencoder of clean faces for each triangle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occfer.baselines.classical.channels import FACE_PX, ORIENTATIONS, window_means
from occfer.baselines.classical.face_mesh import FaceMesh
from occfer.baselines.classical.fitted import Arrays, expect
from occfer.baselines.classical.local_features import eye_distance_px
from occfer.data.arrays import Float32Array, Float64Array, Points

CELLS = 3
LENGTH = CELLS * CELLS * ORIENTATIONS
CODE = 8
LEAST_SIDE_FRACTION = 0.4
FAINT = 0.1


def triangle_hogs(mesh: FaceMesh, points_xy: Points, sums: Float32Array) -> Float32Array:
    """`(N, T, 72)` float32: histograms of oriented gradients around each triangle, of norm 1 at most.

    Each is of a square with four times the triangle's area, but a side of at least 0.4 eye distances, in 3 x 3 cells
    of eight directions. [decided]

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
    for y, down in enumerate(steps):
        for x, right in enumerate(steps):
            places = centres + side[..., None] * np.array([right, down], dtype=np.float32)
            for direction in range(ORIENTATIONS):
                channel = np.full(len(mesh.triangles), 1 + direction)
                hogs[:, :, y, x, direction] = window_means(sums, channel, places, side / CELLS)
    flat = hogs.reshape(*centres.shape[:2], LENGTH)
    return np.asarray(flat / (np.linalg.norm(flat, axis=-1, keepdims=True) + np.float32(FAINT)), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums over faces, from which an autoencoder follows.

    They can be subtracted, so the autoencoders of all inner folds need one pass over the faces.

    Attributes:
        count: of faces.
        first: `(T, 72)` float64, sum of their descriptors.
        second: `(T, 72, 72)` float64, sum of the descriptors' outer products.
    """

    count: int
    first: Float64Array
    second: Float64Array

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.first + other.first, self.second + other.second)

    def without(self, other: "Moments") -> "Moments":
        """The sums over the faces that are not in the other."""
        return Moments(self.count - other.count, self.first - other.first, self.second - other.second)


def moments_of(hogs: Float32Array) -> Moments:
    """The sums over the faces of `(N, T, 72)` descriptors."""
    by_triangle = hogs.astype(np.float64).transpose(1, 0, 2)
    return Moments(len(hogs), by_triangle.sum(axis=1), by_triangle.transpose(0, 2, 1) @ by_triangle)


@dataclass(frozen=True, slots=True, eq=False)
class Autoencoder:
    """A linear autoencoder for each triangle, with a code of eight numbers. [decided]

    The best such network is known in closed form: its weights are the principal components (Baldi and Hornik 1989).

    Attributes:
        mean: `(T, 72)` float32.
        basis: `(T, 8, 72)` float32, orthonormal vectors.
    """

    mean: Float32Array
    basis: Float32Array

    def errors(self, hogs: Float32Array) -> Float32Array:
        """`(N, T)`: squared distance of each `(N, T, 72)` descriptor to its reconstruction."""
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
    """Turns errors into confidences: alpha = exp(-max(0, e - median) / MAD).

    Attributes:
        autoencoder: of clean faces.
        median, deviation: `(T,)` float32: median and median absolute deviation (above 0) of the errors of held-out
            clean faces.
    """

    autoencoder: Autoencoder
    median: Float32Array
    deviation: Float32Array

    def alphas(self, hogs: Float32Array) -> Float32Array:
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


def confidence_of(autoencoder: Autoencoder, clean_errors: Float32Array) -> Confidence:
    """The confidence that follows from errors `(N, T)` of clean faces that were held out when these were computed."""
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
