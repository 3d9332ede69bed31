"""The landmarks by which a patch-gated network is trained, and the mean face for faces in which none were found."""

from dataclasses import dataclass

import numpy as np

from occfer.data.arrays import Indices, Points

MEAN_FACE = "mean_face"
"""Name of the mean face among the weights of a model file."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPoints:
    """Where the landmarks of a corpus' faces are when a network is trained.

    Attributes:
        clean_xy, occluded_xy: `(samples of the corpus, 68, 2)` float32, pixels of the data's images: for a face that is
            shown clean, and for one that is shown occluded.
        mean_face: `(68, 2)` float32, shares of the face's side: the mean of the clean training faces. [decided]
    """

    clean_xy: Points
    occluded_xy: Points
    mean_face: Points

    @classmethod
    def of(cls, clean_xy: Points, occluded_xy: Points, train: Indices, size_px: int) -> "TrainingPoints":
        """With the mean face in place of each occluded face that has a NaN.

        Args:
            clean_xy, occluded_xy: as the attributes.
            train: `(N,)` int64, the samples that train.
            size_px: side of the images.
        """
        mean_face = np.asarray((clean_xy[train].mean(axis=0) + 0.5) / size_px, dtype=np.float32)
        return cls(clean_xy, with_mean_face(occluded_xy, mean_face, size_px), mean_face)


def with_mean_face(points_xy: Points, mean_face: Points, size_px: int) -> Points:
    """The points `(N, 68, 2)` of faces of `size_px`, with the mean face in place of each that has a NaN."""
    known = np.isfinite(points_xy).all(axis=(1, 2), keepdims=True)
    return np.where(known, points_xy, mean_face * np.float32(size_px) - np.float32(0.5))
