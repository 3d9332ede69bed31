"""Faces as a build aligns them, and the pictures of paths: what `occfer predict` and `export` take from occsynth."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from occfer.errors import DataError
from occfer.predict import Face, Picture
from occfer.predictor import Images, Predictor
from occsynth.align import align_image, align_points, resize_alignment, similarity_alignment
from occsynth.databases.demo import ROOT as DEMO_ROOT
from occsynth.databases.layout import is_image_name, list_folder
from occsynth.errors import OccSynthError, SourceError
from occsynth.face_regions import five_points, ibug68
from occsynth.images import decode_rgb
from occsynth.landmarks import Landmarks, detect_landmarks, fallback_landmarks

VIDEO_ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
ALIGNMENTS = ("similarity", "none")


@dataclass(frozen=True, slots=True)
class FaceAligner:
    """Finds and aligns the largest face of a picture, to the same pixels as a build of occsynth.

    Attributes:
        size_px: side of the aligned face.
        align: `similarity` (five points onto the ArcFace template) or `none` (the picture, resized).
        cropped: pictures are cropped faces: where none is found, the picture is taken to be one, as in builds of
            cropped databases. `none` always does.
        with_points: whether landmarks are wanted where the alignment does not need them.
    """

    size_px: int
    align: str
    cropped: bool = False
    with_points: bool = False

    def __call__(self, picture: Images | Path) -> Face | None:
        """See `occfer.predict.Aligner`."""
        try:
            pixels = _read(picture) if isinstance(picture, Path) else picture
            return self._face(pixels)
        except SourceError as error:
            raise DataError(f"{picture}: {error}" if isinstance(picture, Path) else str(error)) from error
        except cv2.error as error:
            raise DataError(f"OpenCV failed on it: {error.err}") from error

    def _face(self, pixels: Images) -> Face | None:
        picture_wh = (pixels.shape[1], pixels.shape[0])
        if self.align == "none":
            alignment = resize_alignment(picture_wh, self.size_px)
            image = align_image(pixels, alignment, self.size_px)
            if not self.with_points:
                return Face(image, "whole", (0.0, 0.0, float(picture_wh[0]), float(picture_wh[1])))
            landmarks = detect_landmarks(pixels) or fallback_landmarks(picture_wh)
        else:
            found = detect_landmarks(pixels)
            if found is None and not self.cropped:
                return None
            landmarks = found or fallback_landmarks(picture_wh)
            alignment = similarity_alignment(five_points(landmarks.points_xy), picture_wh, self.size_px)
            image = align_image(pixels, alignment, self.size_px)
        points = ibug68(align_points(landmarks.points_xy, alignment)).astype(np.float32)
        return Face(image, landmarks.how, _box(landmarks), landmarks.other_faces, points)


def aligner_of(predictor: Predictor, align: str = "", *, cropped: bool = False) -> FaceAligner:
    """The aligner that fits a model.

    Args:
        predictor: whose facts say how its training faces were aligned.
        align: instead of that.
        cropped: see `FaceAligner`.

    Raises:
        DataError: the model does not say how, and neither does `align`.
    """
    how = align or predictor.facts.align
    if how not in ALIGNMENTS:
        raise DataError(
            f"the model says that its faces were aligned by '{how}'; choose --align {' or '.join(ALIGNMENTS)}"
        )
    return FaceAligner(predictor.facts.size_px, how, cropped, predictor.needs_points)


def demo_faces(aligner: FaceAligner, count: int) -> list[Face]:
    """Some faces of the demo database, aligned."""
    paths = sorted((DEMO_ROOT / "images").rglob("*.jpg"))
    chosen = paths[:: max(1, len(paths) // count)][:count]
    return [face for path in chosen if (face := aligner(path)) is not None]


def _read(path: Path) -> Images:
    try:
        return decode_rgb(path.read_bytes())
    except FileNotFoundError:
        raise SourceError("file not found") from None
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror or error}") from error


def _box(landmarks: Landmarks) -> tuple[float, float, float, float]:
    low, high = landmarks.points_xy.min(axis=0), landmarks.points_xy.max(axis=0)
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def pictures(paths: Sequence[Path], every: int = 1, leave_out: Path | None = None) -> Iterator[Picture]:
    """The pictures of files and folders, one after the other; only one is in memory.

    Args:
        paths: image files, videos, and folders, which are searched recursively in order of names.
        every: of a video, every how manieth frame is taken.
        leave_out: a folder that is not searched.
    """
    taken: set[str] = set()
    for path in paths:
        name = _unused(path.resolve().name, taken)
        if not path.is_dir():
            yield from _of_file(path, name, every)
            continue
        for relative, fault in _files(path, "", leave_out):
            inner = f"{name}/{relative}"
            if fault:
                yield Picture(str(path / relative), None, fault=fault, name=inner)
            else:
                yield from _of_file(path / relative, inner, every)


def _unused(name: str, taken: set[str]) -> str:
    """The name, or `2-name` and so on where another path of the command line has it."""
    unused, number = name, 1
    while unused in taken:
        number += 1
        unused = f"{number}-{name}"
    taken.add(unused)
    return unused


def _files(root: Path, folder: str, leave_out: Path | None) -> Iterator[tuple[str, str]]:
    """Images and videos below a folder, relative to the root, each with the reason why it cannot be used, if any."""
    if leave_out is not None and leave_out.is_dir() and (root / folder).samefile(leave_out):
        return
    try:
        listing = list_folder(root, folder)
    except OccSynthError as error:
        yield folder or ".", str(error)
        return
    yield from ((fault.source, fault.reason) for fault in listing.faults)
    for name in listing.files:
        if is_image_name(name) or _is_video_name(name):
            yield os.path.join(folder, name), ""  # noqa: PTH118 - relative names, not paths
    for name in listing.folders:
        yield from _files(root, os.path.join(folder, name), leave_out)  # noqa: PTH118 - as above


def _is_video_name(name: str) -> bool:
    return name.lower().endswith(VIDEO_ENDINGS)


def _of_file(path: Path, name: str, every: int) -> Iterator[Picture]:
    if _is_video_name(path.name):
        yield from _frames(path, name, every)
        return
    try:
        yield Picture(str(path), _read(path), name=name)
    except SourceError as error:
        yield Picture(str(path), None, fault=str(error), name=name)


def _frames(path: Path, name: str, every: int) -> Iterator[Picture]:
    """Every so manieth frame, decoded from the start as builds do: seeking is not exact in every container."""
    if not path.is_file():
        yield Picture(str(path), None, fault="file not found", name=name)
        return
    capture = cv2.VideoCapture(str(path))
    try:
        rate = capture.get(cv2.CAP_PROP_FPS) / every
        frame = 0
        while capture.grab():
            if frame % every == 0:
                done, image = capture.retrieve()
                if not done:
                    yield Picture(str(path), None, frame, "the frame cannot be decoded", name, rate)
                else:
                    pixels = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
                    yield Picture(str(path), pixels, frame, name=name, frames_per_s=rate)
            frame += 1
    finally:
        capture.release()
    if frame == 0:
        yield Picture(str(path), None, fault="no frame of the video can be decoded", name=name)
