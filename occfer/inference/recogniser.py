"""Using a trained model on pictures: `load(checkpoint).predict(images)`, and a stream of answers for many pictures.

Only the branch that the method tests is run. Nothing here needs torch: an ONNX file is used without it, and the
predictors of other models load it. The caller decides how a face is found and aligned, with an `Aligner`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from occfer.data.arrays import Float64Array, Images, Points
from occfer.errors import DataError
from occfer.faces.face import Aligner, Box, Face, FaceFinder, Picture
from occfer.runs.model_info import ModelInfo
from occfer.runs.predictor import Predictor

HELD_BYTES = 64 * 2**20  # of pixels that wait for their batch, at most


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer to one picture, or to one of its faces.

    Attributes:
        source, frame: of the picture, see `Picture`.
        status: `ok`, `no face` or `unreadable`; unless it is `ok`, everything below but `fault` is empty.
        fault: why the picture is unreadable.
        expression: the most probable class.
        probabilities: in the order of the model's classes; they sum to 1.
        face, box_xyxy, other_faces: as in `Face`, where `face` is called `how`.
        face_number: of the face among those of the picture, from 1 for the largest.
    """

    source: str
    frame: int | None
    status: Literal["ok", "no face", "unreadable"]
    fault: str = ""
    expression: str = ""
    probabilities: tuple[float, ...] = ()
    face: str = ""
    box_xyxy: Box | None = None
    other_faces: int = 0
    face_number: int = 1

    @property
    def confidence(self) -> float:
        """The probability of `expression`; 0 if there is none."""
        return max(self.probabilities, default=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Expressions:
    """A model's answers to N images.

    Attributes:
        expressions: the most probable class of each; None where no face was found.
        probabilities: `(N, C)` float64, in the order of the model's classes; those of an image sum to 1, or are NaN if
            no face was found.
        faces: as the aligner returned them; empty for images that were aligned already.
    """

    expressions: tuple[str | None, ...]
    probabilities: Float64Array
    faces: tuple[Face | None, ...] = ()


class Recogniser:
    """A trained model in use.

    Args:
        predictor: of any method and format.
        batch_size: pictures of a stream that are predicted together.
    """

    def __init__(self, predictor: Predictor, batch_size: int = 64) -> None:
        self.predictor = predictor
        self._batch_size = batch_size

    @property
    def info(self) -> ModelInfo:
        """What the model file says of its model: classes, size_px, align, method."""
        return self.predictor.info

    def predict(
        self,
        images: Images | Sequence[Images | Path | str],
        points_xy: Points | None = None,
        *,
        align: Aligner | None = None,
    ) -> Expressions:
        """The expressions of some faces.

        >>> from occfer.faces.align import aligner_of, demo_faces
        >>> from occfer.load import load
        >>> model = load("runs/demo", device="cpu")
        >>> faces = demo_faces(aligner_of(model.predictor), 2)
        >>> found = model.predict([face.image for face in faces])
        >>> all(expression in model.info.classes for expression in found.expressions)
        True
        >>> found.probabilities.sum(axis=1).round(6).tolist()
        [1.0, 1.0]

        Args:
            images: aligned faces, `(N, S, S, 3)` uint8 RGB with the model's S, or a list of such arrays; with `align`,
                any pictures, or paths of image files.
            points_xy: `(N, 68, 2)` float32, in pixels of the aligned images, for models that need landmarks.
            align: finds and aligns the face of each picture; the landmarks it finds are used.

        Raises:
            DataError: images have another shape or type, paths are given without `align`, landmarks are missing, or a
                picture cannot be read.
        """
        if align is None:
            stacked = _stacked(images, self.info.size_px)
            probabilities = self.predictor.probabilities(stacked, self._checked(points_xy, len(stacked)))
            return Expressions(self._words(probabilities), probabilities)
        faces = [align(Path(each) if isinstance(each, str) else each) for each in images]
        probabilities = np.full((len(faces), len(self.info.classes)), np.nan)
        found = [index for index, face in enumerate(faces) if face is not None]
        if found:
            probabilities[found] = self._of_faces([face for face in faces if face is not None])
        return Expressions(self._words(probabilities), probabilities, tuple(faces))

    def stream(
        self, pictures: Iterable[Picture], align: Aligner, *, keep_pixels: bool = False
    ) -> Iterator[tuple[Picture, Answer]]:
        """Each picture with the answer to its largest face, in order; at most one batch is held in memory.

        Args:
            pictures: with pixels, or with the reason why there are none.
            align: see `predict`; a picture for which it raises DataError is unreadable.
            keep_pixels: whether the pictures that are returned hold their pixels, for drawing on them.
        """

        def only(picture: Images | Path) -> Sequence[Face]:
            face = align(picture)
            return [] if face is None else [face]

        for picture, (answer,) in self.stream_faces(pictures, only, keep_pixels=keep_pixels):
            yield picture, answer

    def stream_faces(
        self, pictures: Iterable[Picture], find: FaceFinder, *, keep_pixels: bool = False
    ) -> Iterator[tuple[Picture, Sequence[Answer]]]:
        """Each picture with an answer to each of its faces, or one that says why there is none; otherwise as `stream`.

        Args:
            pictures: see `stream`.
            find: finds the faces of a picture, such as `FaceAligner.every`; raises DataError as an aligner does.
            keep_pixels: see `stream`.
        """
        waiting: list[tuple[Picture, Answer, Sequence[Face]]] = []
        held = held_bytes = 0
        for picture in pictures:
            answer, faces = _look(picture, find)
            kept = picture if keep_pixels else replace(picture, pixels=None)
            waiting.append((kept, answer, faces))
            held += max(1, len(faces))
            held_bytes += 0 if kept.pixels is None else kept.pixels.nbytes
            if held >= self._batch_size or held_bytes > HELD_BYTES:
                yield from self._answered(waiting)
                waiting, held, held_bytes = [], 0, 0
        yield from self._answered(waiting)

    def _answered(
        self, waiting: Sequence[tuple[Picture, Answer, Sequence[Face]]]
    ) -> Iterator[tuple[Picture, Sequence[Answer]]]:
        found = [face for _, _, faces in waiting for face in faces]
        predicted: Iterator[Float64Array] = iter(self._of_faces(found) if found else ())
        for picture, answer, faces in waiting:
            answers = [self._of_face(answer, *each, next(predicted)) for each in enumerate(faces, start=1)]
            yield picture, answers or [answer]

    def _of_face(self, answer: Answer, number: int, face: Face, probabilities: Float64Array) -> Answer:
        return replace(
            answer,
            expression=self.info.classes[int(probabilities.argmax())],
            probabilities=tuple(map(float, probabilities)),
            face=face.how,
            box_xyxy=face.box_xyxy,
            other_faces=face.other_faces,
            face_number=number,
        )

    def _of_faces(self, faces: Sequence[Face]) -> Float64Array:
        images = _stacked([face.image for face in faces], self.info.size_px)
        points = [face.points_xy for face in faces if face.points_xy is not None]
        known = np.stack(points) if len(points) == len(faces) else None
        return self.predictor.probabilities(images, self._checked(known, len(faces)))

    def _checked(self, points_xy: Points | None, count: int) -> Points | None:
        if not self.predictor.needs_points:
            return None
        if points_xy is None or points_xy.shape != (count, 68, 2):
            raise DataError(
                f"a model of the method {self.info.method} needs landmarks: give points_xy ({count}, 68, 2), or an "
                "aligner that finds them"
            )
        return points_xy

    def _words(self, probabilities: Float64Array) -> tuple[str | None, ...]:
        classes = self.info.classes
        return tuple(None if np.isnan(each).any() else classes[int(each.argmax())] for each in probabilities)


def _look(picture: Picture, find: FaceFinder) -> tuple[Answer, Sequence[Face]]:
    """The faces of a picture, and the answer as far as it is known before the model has seen them."""
    if picture.pixels is None:
        return Answer(picture.source, picture.frame, "unreadable", picture.fault), []
    try:
        faces = find(picture.pixels)
    except DataError as error:
        return Answer(picture.source, picture.frame, "unreadable", str(error)), []
    return Answer(picture.source, picture.frame, "ok" if faces else "no face"), faces


def _stacked(images: Images | Sequence[Images | Path | str], size_px: int) -> Images:
    """`(N, size_px, size_px, 3)` uint8; raises DataError for anything else."""
    wanted = f"({size_px}, {size_px}, 3) uint8"
    for image in images:
        if isinstance(image, str | Path):
            raise DataError(f"'{image}' is a path: give an aligner, which reads it and finds the face")
        if image.shape != (size_px, size_px, 3) or image.dtype != np.uint8:
            raise DataError(
                f"an image is {image.shape} {image.dtype}; the model takes aligned faces of {wanted}, or give an "
                "aligner"
            )
    return np.array(images, dtype=np.uint8).reshape(-1, size_px, size_px, 3)
