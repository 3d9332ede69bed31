"""Finding the face of a picture and aligning it to the same pixels as a build of occsynth."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from occfer.data.arrays import Images
from occfer.errors import DataError
from occfer.faces.face import Face
from occfer.faces.pictures import read_picture
from occfer.runs.predictor import Predictor
from occsynth.databases.demo import ROOT as DEMO_ROOT
from occsynth.errors import SourceError
from occsynth.faces.align import align_image, align_points, resize_alignment, similarity_alignment
from occsynth.faces.landmarks import Landmarks, detect_all_landmarks, detect_landmarks, fallback_landmarks
from occsynth.faces.regions import five_points, ibug68
from occsynth.pixels.images import blank_fault

ALIGNMENTS = ("similarity", "none")


@dataclass(frozen=True, slots=True)
class FaceAligner:
    """Finds and aligns the faces of a picture, to the same pixels as a build of occsynth.

    A face of nearly one colour is none, here as in a build.

    Attributes:
        size_px: side of the aligned face.
        align: `similarity` (five landmarks are mapped onto the ArcFace template) or `none` (the picture is resized).
        cropped: whether pictures are cropped faces: a picture without a face that can be found is then taken as one, as
            in builds of cropped databases. With `none` this is always so.
        with_points: whether landmarks are wanted even if the alignment does not need them.
    """

    size_px: int
    align: str
    cropped: bool = False
    with_points: bool = False

    def __call__(self, picture: Images | Path) -> Face | None:
        """The largest face, see `occfer.faces.face.Aligner`."""
        return next(iter(self._found(picture, every=False)), None)

    def every(self, picture: Images | Path) -> list[Face]:
        """All faces, the largest first, see `occfer.faces.face.FaceFinder`; at most one where none is looked for."""
        return self._found(picture, every=True)

    def _found(self, picture: Images | Path, *, every: bool) -> list[Face]:
        try:
            pixels = read_picture(picture) if isinstance(picture, Path) else picture
            faces = self._faces(pixels, every=every)
        except SourceError as error:
            raise DataError(f"{picture}: {error}" if isinstance(picture, Path) else str(error)) from error
        except cv2.error as error:
            raise DataError(f"OpenCV failed on it: {error.err}") from error
        return [face for face in faces if not blank_fault(face.image)]

    def _faces(self, pixels: Images, *, every: bool) -> list[Face]:
        picture_wh = (pixels.shape[1], pixels.shape[0])
        if self.align == "none":
            alignment = resize_alignment(picture_wh, self.size_px)
            image = align_image(pixels, alignment, self.size_px)
            if not self.with_points:
                return [Face(image, "whole", (0.0, 0.0, float(picture_wh[0]), float(picture_wh[1])))]
            landmarks = detect_landmarks(pixels) or fallback_landmarks(picture_wh)
            return [_face(landmarks, image, align_points(landmarks.points_xy, alignment))]
        largest = None if every else detect_landmarks(pixels)
        found = detect_all_landmarks(pixels) if every else [] if largest is None else [largest]
        if not found and self.cropped:
            found = [fallback_landmarks(picture_wh)]
        return [self._aligned(pixels, landmarks) for landmarks in found]

    def _aligned(self, pixels: Images, landmarks: Landmarks) -> Face:
        alignment = similarity_alignment(five_points(landmarks.points_xy), landmarks.image_wh, self.size_px)
        image = align_image(pixels, alignment, self.size_px)
        return _face(landmarks, image, align_points(landmarks.points_xy, alignment))


def aligner_of(predictor: Predictor, align: str = "", *, cropped: bool = False) -> FaceAligner:
    """The aligner that a model needs.

    Args:
        predictor: the model, whose file says how its training faces were aligned.
        align: another alignment than that.
        cropped: see `FaceAligner`.

    Raises:
        DataError: neither the model file nor `align` names an alignment of `ALIGNMENTS`.
    """
    how = align or predictor.info.align
    if how not in ALIGNMENTS:
        raise DataError(f"the model's training faces were aligned by '{how}'; choose --align {' or '.join(ALIGNMENTS)}")
    return FaceAligner(predictor.info.size_px, how, cropped, predictor.needs_points)


def demo_faces(aligner: FaceAligner, count: int) -> list[Face]:
    """At most `count` faces of the demo database, aligned."""
    paths = sorted((DEMO_ROOT / "images").rglob("*.jpg"))
    chosen = paths[:: max(1, len(paths) // count)][:count]
    return [face for path in chosen if (face := aligner(path)) is not None]


def _face(landmarks: Landmarks, image: Images, aligned_xy: npt.NDArray[np.floating]) -> Face:
    points = ibug68(aligned_xy).astype(np.float32)
    mesh = aligned_xy.astype(np.float32)
    return Face(image, landmarks.how, _box(landmarks), landmarks.other_faces, points, mesh)


def _box(landmarks: Landmarks) -> tuple[float, float, float, float]:
    low, high = landmarks.points_xy.min(axis=0), landmarks.points_xy.max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
