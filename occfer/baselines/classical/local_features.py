"""Features of a part of a face: distances and angles of its points, and gradients around its triangles."""

from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np

from occfer.baselines.classical.channels import CHANNELS, window_means
from occfer.baselines.classical.face_mesh import FaceMesh, Mask
from occfer.data.arrays import Float32Array, Int64Array, Points

DISTANCE, ANGLE, CHANNEL = range(3)
POOL = 2000
# A sixth of the pool each for distances and angles; the rest is for channels.
GEOMETRIC = POOL // 6
SIDE_FRACTIONS = (0.1, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """A table of F features.

    Attributes:
        kind: `(F,)`, DISTANCE, ANGLE or CHANNEL.
        points: `(F, 3)`, landmarks: for a distance its two ends (the third is not used), for an angle its vertex in the
            middle, for a channel the corners of the triangle that it is read in.
        channel: `(F,)`, for a CHANNEL, see `integral_channels`.
        weights: `(F, 3)`, barycentric coordinates of the window's centre; they sum to 1.
        side_fraction: `(F,)`, the window's side as a fraction of the distance between the eyes.
    """

    kind: Int64Array
    points: Int64Array
    channel: Int64Array
    weights: Float32Array
    side_fraction: Float32Array

    def __len__(self) -> int:
        return len(self.kind)

    def some(self, which: Int64Array | slice) -> "LocalFeatures":
        """The features at some positions of the table."""
        return LocalFeatures(*(getattr(self, each.name)[which] for each in fields(self)))

    def values(self, points_xy: Points, sums: Float32Array) -> Float32Array:
        """`(N, F)` float32 of faces.

        Args:
            points_xy: `(N, 68, 2)`, pixels of the 64 x 64 faces.
            sums: `(N, 9, 65, 65)` of `integral_channels`.
        """
        found = np.empty((len(points_xy), len(self)), dtype=np.float32)
        eyes = eye_distance_px(points_xy)
        at = self.kind == DISTANCE
        a, b = (points_xy[:, self.points[at, corner]] for corner in range(2))
        found[:, at] = np.linalg.norm(a - b, axis=-1) / eyes[:, None]
        at = self.kind == ANGLE
        a, b, c = (points_xy[:, self.points[at, corner]] for corner in range(3))
        u, v = a - b, c - b
        found[:, at] = np.arctan2(np.abs(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]), (u * v).sum(axis=-1))
        at = self.kind == CHANNEL
        centres = np.einsum("nfcx,fc->nfx", points_xy[:, self.points[at]], self.weights[at])
        found[:, at] = window_means(sums, self.channel[at], centres, eyes[:, None] * self.side_fraction[at])
        return found


def together(parts: list[LocalFeatures]) -> LocalFeatures:
    """One table of several."""
    names = [each.name for each in fields(LocalFeatures)]
    return LocalFeatures(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def eye_distance_px(points_xy: Points) -> Float32Array:
    """`(N,)`: distance between the centres of the eyes, at least one pixel, so that it can be divided by."""
    eyes = points_xy[:, 36:42].mean(axis=1) - points_xy[:, 42:48].mean(axis=1)
    return np.asarray(np.maximum(np.linalg.norm(eyes, axis=-1), 1), dtype=np.float32)


def draw_features(mesh: FaceMesh, mask: Mask, rng: np.random.Generator) -> LocalFeatures:
    """A pool of 2,000 features inside a mask.

    [recalled: the three kinds and the pool's size; decided: their shares, and windows of 0.1 to 0.5 eye distances]
    """
    own = mesh.triangles[mask]
    vertices = np.unique(own)
    pairs = _drawn(np.array(list(combinations(vertices, 2)), np.int64), rng)
    triples = np.array(list(combinations(vertices, 3)), np.int64)
    angles = _drawn(np.concatenate([np.roll(triples, turn, axis=1) for turn in range(3)]), rng)
    count = POOL - len(pairs) - len(angles)
    triangles = own[rng.integers(len(own), size=count)]
    weights = rng.dirichlet((1.0, 1.0, 1.0), size=count).astype(np.float32)
    channel = rng.integers(CHANNELS, size=count)
    side = rng.uniform(*SIDE_FRACTIONS, size=count).astype(np.float32)
    geometric = len(pairs) + len(angles)
    return LocalFeatures(
        kind=np.repeat([DISTANCE, ANGLE, CHANNEL], [len(pairs), len(angles), count]),
        points=np.concatenate([pairs[:, [0, 1, 1]], angles, triangles]),
        channel=np.concatenate([np.zeros(geometric, np.int64), channel]),
        weights=np.concatenate([np.tile(np.array([1, 0, 0], np.float32), (geometric, 1)), weights]),
        side_fraction=np.concatenate([np.zeros(geometric, np.float32), side]),
    )


def _drawn(tuples: Int64Array, rng: np.random.Generator) -> Int64Array:
    """Up to `GEOMETRIC` of the tuples of landmarks, all different, in their order."""
    return tuples[np.sort(rng.permutation(len(tuples))[:GEOMETRIC])]
