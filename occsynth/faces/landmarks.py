"""Face landmarks from MediaPipe's FaceLandmarker with the shipped model: the same points in any process and order."""

import hashlib
import os
import threading
import weakref
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from occsynth.errors import OccSynthError, SourceError
from occsynth.faces.detector_view import (
    GREY,
    MIN_SIDE_PX,
    DetectorView,
    FaceBox,
    box_area,
    box_overlap,
    crop_box,
    padded_view,
    scaled_view,
)
from occsynth.faces.regions import canonical_face, fit_similarity, five_points, transform_points
from occsynth.pixels.images import Pixels
from occsynth.pixels.silence import silent_stderr
from occsynth.system_libraries import explain

MODEL_PATH = Path(__file__).parents[1] / "assets" / "face_landmarker.task"
_MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"

RECIPE = 1
"""Version of what `detect` does around the model. Raise it when the points may change: old caches then expire."""

_MAX_FACES = 5
_MAX_FACES_OF_ALL = 50
_LEAST_BOX_OVERLAP = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """Face landmarks of one image.

    Attributes:
        points_xy: `(478, 2)` float32, source pixels, origin top-left, y down, pixel centres at integers.
        image_wh: size of the image they were found in, pixels.
        how: `found`, `padded` (found after grey padding) or `fallback` (no face found, geometry assumed).
        other_faces: number of faces seen besides the chosen one.
    """

    points_xy: npt.NDArray[np.float32]
    image_wh: tuple[int, int]
    how: Literal["found", "padded", "fallback"]
    other_faces: int


class LandmarkDetector:
    """Finds the landmarks of faces. Make one per process; threads may share it.

    The model is loaded at the first image. What MediaPipe's C++ code writes to stderr meanwhile is discarded, and so is
    what other threads write there during these tenths of a second.

    Args:
        most_faces: how many faces of an image are looked at. It does not change the points of any of them.
    """

    def __init__(self, most_faces: int = _MAX_FACES) -> None:
        self._most_faces = most_faces
        self._lock = threading.Lock()
        self._landmarker: Any = None
        _detectors.add(self)

    def detect(self, rgb: Pixels, box_xyxy: FaceBox | None = None) -> Landmarks | None:
        """The landmarks of the largest face, or of the face in a box.

        The image is enlarged to 256 pixels on its shorter side or reduced to 1280 on its longer one. If no face is
        found, a second attempt adds a grey border of 0.4 of its sides, which the detector needs for tight crops.

        Args:
            rgb: `(H, W, 3)` uint8; left untouched.
            box_xyxy: left, top, right, bottom of a face, pixels. The detector sees only the box and a margin of 0.4 of
                its sides, and the face that overlaps the box most is chosen.

        Returns:
            None if no face is found; `other_faces` counts only faces in the part that the detector sees.

        Raises:
            SourceError: the pixels are not RGB uint8, or the box is empty or outside the image.
            OccSynthError: the model file is missing or has another SHA-256.
            SystemLibraryError: MediaPipe cannot load a library of the operating system.
        """
        faces, how = self._found(rgb, box_xyxy)
        if not faces:
            return None
        score = box_area if box_xyxy is None else (lambda points: box_overlap(points, box_xyxy))
        best = max(faces, key=score)
        return Landmarks(best.astype(np.float32), (rgb.shape[1], rgb.shape[0]), how, len(faces) - 1)

    def detect_all(self, rgb: Pixels) -> list[Landmarks]:
        """The landmarks of every face, the largest first; see `detect`, which takes the first of these.

        Faces narrower than about a tenth of the image's longer side may be missed.
        """
        faces, how = self._found(rgb, None)
        others, image_wh = len(faces) - 1, (rgb.shape[1], rgb.shape[0])
        return [
            Landmarks(each.astype(np.float32), image_wh, how, others)
            for each in sorted(faces, key=box_area, reverse=True)
        ]

    def _found(
        self, rgb: Pixels, box_xyxy: FaceBox | None
    ) -> tuple[list[npt.NDArray[np.float64]], Literal["found", "padded"]]:
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or rgb.size == 0:
            raise SourceError(f"landmarks need RGB uint8 pixels (H, W, 3), not {rgb.dtype} {rgb.shape}")
        pixels, start_xy = (rgb, np.zeros(2)) if box_xyxy is None else crop_box(rgb, box_xyxy)
        view = scaled_view(pixels, start_xy)
        faces = self._faces(view, box_xyxy)
        return (faces, "found") if faces else (self._faces(padded_view(view), box_xyxy), "padded")

    def _faces(self, view: DetectorView, box_xyxy: FaceBox | None) -> list[npt.NDArray[np.float64]]:
        """The `(478, 2)` source pixels of each face; an empty list if a box is given and no face overlaps it."""
        faces = [view.to_source(each) for each in self._run(view.pixels)]
        if box_xyxy is not None and all(box_overlap(each, box_xyxy) < _LEAST_BOX_OVERLAP for each in faces):
            return []
        return faces

    def _run(self, pixels: Pixels) -> list[npt.NDArray[np.float64]]:
        with self._lock:
            if self._landmarker is None:
                with silent_stderr():
                    landmarker = _create(self._most_faces)
                    # the first inference logs as well; a grey image makes it happen while stderr is discarded
                    _infer(landmarker, np.full((MIN_SIDE_PX, MIN_SIDE_PX, 3), GREY, np.uint8))
                # MediaPipe closes itself at exit and fails, since its threads have ended; the process frees it anyway
                landmarker.close = _do_nothing
                self._landmarker = landmarker
            return _infer(self._landmarker, pixels)

    def forget_after_fork(self) -> None:
        """Called in a forked child: the next image loads the model again, since a fork copies no MediaPipe thread."""
        self._lock = threading.Lock()
        self._landmarker = None


_detectors: weakref.WeakSet[LandmarkDetector] = weakref.WeakSet()


def _do_nothing() -> None:
    pass


def _create(most_faces: int) -> Any:
    model_sha256()
    try:
        from mediapipe.tasks.python import vision
        from mediapipe.tasks.python.core.base_options import BaseOptions

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(MODEL_PATH)), num_faces=most_faces
        )
        # this also loads MediaPipe's shared library, which needs libraries of the operating system
        return vision.FaceLandmarker.create_from_options(options)
    except (ImportError, OSError) as error:
        explained = explain(error)
        if explained is None:
            raise
        raise explained from error
    except RuntimeError as error:
        raise OccSynthError(f"MediaPipe could not load the landmark model {MODEL_PATH}: {error}") from error


def _infer(landmarker: Any, pixels: Pixels) -> list[npt.NDArray[np.float64]]:
    import mediapipe

    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
    faces = landmarker.detect(image).face_landmarks
    return [np.array([[point.x for point in face], [point.y for point in face]], np.float64).T for face in faces]


@cache
def model_sha256() -> str:
    """SHA-256 of the shipped model.

    Raises:
        OccSynthError: the file is missing, or is not the model that `RECIPE` was made for.
    """
    try:
        digest = hashlib.sha256(MODEL_PATH.read_bytes()).hexdigest()
    except OSError as error:
        raise OccSynthError(
            f"landmark model {MODEL_PATH} cannot be read: {error.strerror}. Install occsynth again"
        ) from error
    if digest != _MODEL_SHA256:
        raise OccSynthError(
            f"landmark model {MODEL_PATH} has SHA-256 {digest}, expected {_MODEL_SHA256}. Install occsynth again"
        )
    return digest


_shared = LandmarkDetector()
_shared_for_all = LandmarkDetector(_MAX_FACES_OF_ALL)


def _forget_after_fork() -> None:
    for detector in _detectors:
        detector.forget_after_fork()


os.register_at_fork(after_in_child=_forget_after_fork)


def detect_landmarks(rgb: Pixels, box_xyxy: FaceBox | None = None) -> Landmarks | None:
    """The landmarks of the largest face, or of the face in a box, by a detector that the whole process shares.

    >>> from occsynth.databases.demo import ROOT
    >>> from occsynth.pixels.images import read_rgb
    >>> landmarks = detect_landmarks(read_rgb(ROOT / "images/s001/s001_anger.jpg"))
    >>> landmarks.points_xy.shape, landmarks.how, landmarks.other_faces
    ((478, 2), 'found', 0)

    Arguments, result and errors are those of `LandmarkDetector.detect`.
    """
    return _shared.detect(rgb, box_xyxy)


def detect_all_landmarks(rgb: Pixels) -> list[Landmarks]:
    """The landmarks of every face, of 50 at most, the largest first; otherwise as `detect_landmarks`."""
    return _shared_for_all.detect_all(rgb)


def fallback_landmarks(image_wh: tuple[int, int], points_xy: npt.NDArray[np.floating] | None = None) -> Landmarks:
    """The canonical face placed in an image in which no face was found; `how` is `fallback`.

    Args:
        image_wh: size of the image, pixels.
        points_xy: `(5, 2)` (see `occsynth.faces.regions.five_points`) or `(68, 2)` points that the database ships: the
            face is fitted to them by a similarity. None: the face is centred and as large as the image allows, as in a
            tight crop.

    Raises:
        SourceError: another number of points, or all points are equal or not finite.
    """
    face = canonical_face()
    if points_xy is None:
        low, high = face.min(axis=0), face.max(axis=0)
        scale = float((np.array(image_wh) / (high - low)).min())
        placed = (face - (low + high) / 2) * scale + np.array(image_wh) / 2 - 0.5
    else:
        if points_xy.shape not in ((5, 2), (68, 2)):
            raise SourceError(f"the database's face points have shape {points_xy.shape}; it must be (5, 2) or (68, 2)")
        goal = points_xy if len(points_xy) == 5 else five_points(points_xy)
        placed = transform_points(face, fit_similarity(five_points(face), goal))
    return Landmarks(placed.astype(np.float32), image_wh, "fallback", 0)
