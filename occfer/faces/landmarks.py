"""The 68 landmarks of faces while a model is fitted or tested: the manifest's, or found on the images themselves."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from occfer.data.arrays import Images, PointFinder, Points
from occfer.data.manifests import Corpus, read_points
from occfer.errors import ConfigError
from occsynth.faces.landmarks import detect_landmarks
from occsynth.faces.regions import ibug68


class FacePoints:
    """Landmarks by row of a corpus.

    Args:
        known: `(rows of the corpus, 68, 2)` float32, the manifest's, found on the clean sources; or None.
        find: finds them on the images instead.
    """

    def __init__(self, known: Points | None, find: PointFinder | None = None) -> None:
        self._known = known
        self._find = find
        self._asked = 0
        self._missed = 0

    def of(self, rows: npt.NDArray[np.int64], images: Images) -> Points:
        """`(len(rows), 68, 2)` float32, pixels of the images; NaN for a face that was looked for and not found.

        Args:
            rows: of the corpus.
            images: theirs, `(len(rows), S, S, 3)` uint8 RGB.
        """
        if self._known is not None:
            return self._known[rows]
        found = np.full((len(rows), 68, 2), np.nan, dtype=np.float32)
        for own, image in zip(found, images, strict=True):
            points = None if self._find is None else self._find(image)
            self._missed += points is None
            if points is not None:
                own[:] = points
        self._asked += len(rows)
        return found

    def notes(self) -> Sequence[str]:
        """What the user should know about the landmarks that were looked for."""
        if self._known is not None:
            return []
        return [
            f"landmarks found on {self._asked - self._missed} of {self._asked} occluded faces"
            + (f"; the mean face stands in for {self._missed}" if self._missed else "")
        ]


def check_finder(landmarks_from: str, find: PointFinder | None) -> None:
    """Refuses to look for landmarks with nothing that finds them.

    Raises:
        ConfigError: `landmarks_from` is `occluded` and there is no finder.
    """
    if landmarks_from == "occluded" and find is None:
        raise ConfigError(
            "--landmarks-from occluded needs something that finds landmarks: `occfer train` and `occfer evaluate` "
            "bring it; from Python, pass find_points=occfer.faces.landmarks.find_points"
        )


def open_points(corpus: Corpus, size_px: int, landmarks_from: str, find: PointFinder | None) -> FacePoints:
    """The landmarks of a corpus' faces, in images of `size_px`.

    Args:
        corpus: whose faces.
        size_px: side of the images.
        landmarks_from: `clean` for the manifest's, `occluded` for what `find` finds.
        find: see `occfer.data.arrays.PointFinder`.

    Raises:
        ConfigError: see `check_finder`.
        DataError: see `occfer.data.manifests.read_points`.
    """
    check_finder(landmarks_from, find)
    if landmarks_from == "occluded":
        return FacePoints(None, find)
    return FacePoints(read_points(corpus, size_px))


def find_points(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
    """The 68 landmarks of a face, see `occfer.data.arrays.PointFinder`.

    Args:
        image: `(S, S, 3)` uint8 RGB.

    Returns:
        `(68, 2)` float32, iBUG order, pixels of the image; None where no face is found.
    """
    found = detect_landmarks(image)
    return None if found is None else ibug68(found.points_xy).astype(np.float32)
