"""Using a trained model on pictures: `load(checkpoint).predict(images)`, and a stream of answers for many of them.

Only the branch that the method tests is run. Nothing here needs torch: an ONNX file is used without it, and other
models bring it with them. How a face is found and aligned is the caller's: an `Aligner`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from occfer.data.arrays import Images, Points
from occfer.errors import DataError
from occfer.faces.face import Aligner, Box, Face, Picture
from occfer.runs.model_facts import ModelFacts
from occfer.runs.predictor import Predictor

HELD_BYTES = 64 * 2**20  # pixels of pictures that wait for their batch


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says about one picture.

    Attributes:
        status: `ok`, `no face` or `unreadable`; everything below is empty for the other two.
        fault: why it is unreadable.
        expression: the likeliest class.
        probabilities: in the order of the model's classes; they sum to 1.
        face, box_xyxy, other_faces: as in `Face`; `face` is its `how`.
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

    @property
    def confidence(self) -> float:
        """The probability of `expression`; 0 without one."""
        return max(self.probabilities, default=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Expressions:
    """What the model says about N images.

    Attributes:
        expressions: the likeliest class of each; None where no face was found.
        probabilities: `(N, C)` float64, in the order of the model's classes; rows sum to 1, or are NaN without a face.
        faces: as the aligner gave them; empty for images that were aligned already.
    """

    expressions: tuple[str | None, ...]
    probabilities: npt.NDArray[np.float64]
    faces: tuple[Face | None, ...] = ()


class Recogniser:
    """A trained model in use.

    Args:
        predictor: of any method, or an exported one.
        batch_size: pictures of a stream at once.
    """

    def __init__(self, predictor: Predictor, batch_size: int = 64) -> None:
        self.predictor = predictor
        self._batch_size = batch_size

    @property
    def facts(self) -> ModelFacts:
        """What the model says about itself: classes, size_px, align, method."""
        return self.predictor.facts

    def predict(
        self,
        images: Images | Sequence[Images | Path | str],
        points_xy: Points | None = None,
        *,
        align: Aligner | None = None,
    ) -> Expressions:
        """The expressions of some faces.

        Args:
            images: aligned faces, `(N, S, S, 3)` uint8 RGB with the model's S, or a list of such arrays; with `align`,
                any pictures, or paths of image files.
            points_xy: `(N, 68, 2)` float32 in pixels of aligned images, for models that need landmarks.
            align: finds and aligns the face of each picture; its landmarks are used.

        Raises:
            DataError: images of another shape or type, paths without `align`, landmarks that are missing; or a picture
                that cannot be read.
        """
        if align is None:
            stacked = _stacked(images, self.facts.size_px)
            probabilities = self.predictor.probabilities(stacked, self._checked(points_xy, len(stacked)))
            return Expressions(self._words(probabilities), probabilities)
        faces = [align(Path(each) if isinstance(each, str) else each) for each in images]
        probabilities = np.full((len(faces), len(self.facts.classes)), np.nan)
        there = [index for index, face in enumerate(faces) if face is not None]
        if there:
            probabilities[there] = self._of_faces([face for face in faces if face is not None])
        return Expressions(self._words(probabilities), probabilities, tuple(faces))

    def stream(
        self, pictures: Iterable[Picture], align: Aligner, *, keep_pixels: bool = False
    ) -> Iterator[tuple[Picture, Answer]]:
        """Each picture with its answer, in order; no more than a batch is held at a time.

        Args:
            pictures: with pixels, or with the reason why there are none.
            align: see `predict`; a DataError of it makes a picture unreadable.
            keep_pixels: whether the pictures that come back hold their pixels, for drawing on them.
        """
        waiting: list[tuple[Picture, Answer, Face | None]] = []
        held_bytes = 0
        for picture in pictures:
            answer, face = _look(picture, align)
            kept = picture if keep_pixels else replace(picture, pixels=None)
            waiting.append((kept, answer, face))
            held_bytes += 0 if kept.pixels is None else kept.pixels.nbytes
            if len(waiting) >= self._batch_size or held_bytes > HELD_BYTES:
                yield from self._answered(waiting)
                waiting, held_bytes = [], 0
        yield from self._answered(waiting)

    def _answered(self, waiting: Sequence[tuple[Picture, Answer, Face | None]]) -> Iterator[tuple[Picture, Answer]]:
        faces = [face for _, _, face in waiting if face is not None]
        rows: Iterator[npt.NDArray[np.float64]] = iter(self._of_faces(faces) if faces else ())
        for picture, answer, face in waiting:
            if face is None:
                yield picture, answer
                continue
            row = next(rows)
            yield (
                picture,
                replace(answer, expression=self.facts.classes[int(row.argmax())], probabilities=tuple(map(float, row))),
            )

    def _of_faces(self, faces: Sequence[Face]) -> npt.NDArray[np.float64]:
        images = _stacked([face.image for face in faces], self.facts.size_px)
        points = [face.points_xy for face in faces if face.points_xy is not None]
        known = np.stack(points) if len(points) == len(faces) else None
        return self.predictor.probabilities(images, self._checked(known, len(faces)))

    def _checked(self, points_xy: Points | None, count: int) -> Points | None:
        if not self.predictor.needs_points:
            return None
        if points_xy is None or points_xy.shape != (count, 68, 2):
            raise DataError(
                f"a model of the method {self.facts.method} looks at landmarks: give points_xy ({count}, 68, 2), or an "
                "aligner that finds them"
            )
        return points_xy

    def _words(self, probabilities: npt.NDArray[np.float64]) -> tuple[str | None, ...]:
        return tuple(None if np.isnan(row).any() else self.facts.classes[int(row.argmax())] for row in probabilities)


def _look(picture: Picture, align: Aligner) -> tuple[Answer, Face | None]:
    """What can be said before the model is asked."""
    if picture.pixels is None:
        return Answer(picture.source, picture.frame, "unreadable", picture.fault), None
    try:
        face = align(picture.pixels)
    except DataError as error:
        return Answer(picture.source, picture.frame, "unreadable", str(error)), None
    if face is None:
        return Answer(picture.source, picture.frame, "no face"), None
    answer = Answer(
        source=picture.source,
        frame=picture.frame,
        status="ok",
        face=face.how,
        box_xyxy=face.box_xyxy,
        other_faces=face.other_faces,
    )
    return answer, face


def _stacked(images: Images | Sequence[Images | Path | str], size_px: int) -> Images:
    """`(N, size_px, size_px, 3)` uint8; raises DataError for anything else."""
    wanted = f"({size_px}, {size_px}, 3) uint8"
    for image in images:
        if isinstance(image, str | Path):
            raise DataError(f"'{image}' is a path: give an aligner, which reads it and finds its face")
        if image.shape != (size_px, size_px, 3) or image.dtype != np.uint8:
            raise DataError(
                f"an image is {image.shape} {image.dtype}; the model takes aligned faces of {wanted}, or give an "
                "aligner"
            )
    return np.array(images, dtype=np.uint8).reshape(-1, size_px, size_px, 3)
