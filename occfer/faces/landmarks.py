"""The 68 landmarks of faces while a model is fitted or tested: the manifest's, or found on the images themselves."""

from collections.abc import Sequence

import numpy as np

from occfer.data.arrays import Images, Indices, Points, View
from occfer.data.image_store import ImageStore
from occfer.data.manifests import Corpus, read_points

_READ_AT_ONCE = 256


class FacePoints:
    """The landmarks of a corpus by sample.

    Args:
        known: `(samples of the corpus, 68, 2)` float32: the manifest's landmarks, which were found on the clean
            sources. None to find landmarks on the images themselves.
    """

    def __init__(self, known: Points | None) -> None:
        self._known = known
        self._asked = 0
        self._missed = 0

    def of(self, indices: Indices, images: Images) -> Points:
        """`(len(indices), 68, 2)` float32, in pixels of the images; NaN for a face in which none were found.

        Args:
            indices: of the samples.
            images: of the same samples, `(len(indices), S, S, 3)` uint8 RGB.
        """
        if self._known is not None:
            return self._known[indices]
        found = np.full((len(indices), 68, 2), np.nan, dtype=np.float32)
        for own, image in zip(found, images, strict=True):
            points = find_points(image)
            self._missed += points is None
            if points is not None:
                own[:] = points
        self._asked += len(indices)
        return found

    def notes(self) -> Sequence[str]:
        """How many faces landmarks were found on, in words for the user."""
        if self._known is not None:
            return []
        return [
            f"landmarks found on {self._asked - self._missed} of {self._asked} occluded faces"
            + (f"; the mean face is used for the other {self._missed}" if self._missed else "")
        ]


def open_points(corpus: Corpus, size_px: int, landmarks_from: View) -> FacePoints:
    """The landmarks of a corpus' faces, in images of `size_px`.

    Args:
        corpus: the samples.
        size_px: side of the images.
        landmarks_from: `clean` for the manifest's landmarks; `occluded` to find them on the occluded images.

    Raises:
        DataError: see `occfer.data.manifests.read_points`.
    """
    return FacePoints(None if landmarks_from == "occluded" else read_points(corpus, size_px))


def points_in_parts(points: FacePoints, store: ImageStore, indices: Indices) -> Points:
    """`(len(indices), 68, 2)`: `FacePoints.of` of samples' occluded images, which are read a few at a time."""
    parts = [indices[start : start + _READ_AT_ONCE] for start in range(0, len(indices), _READ_AT_ONCE)]
    found = [points.of(part, store.host("occluded", part)) for part in parts]
    return np.concatenate([np.empty((0, 68, 2), dtype=np.float32), *found])


def find_points(image: Images) -> Points | None:
    """The 68 landmarks of the face in an image.

    Args:
        image: `(S, S, 3)` uint8 RGB.

    Returns:
        `(68, 2)` float32, iBUG order, pixels of the image; None where no face is found.
    """
    # MediaPipe takes a second to load, and only this path needs it.
    from occsynth.faces.landmarks import detect_landmarks
    from occsynth.faces.regions import ibug68

    found = detect_landmarks(image)
    return None if found is None else ibug68(found.points_xy).astype(np.float32)
