"""A picture, the face that is found in it, and the function that finds it; nothing here needs occsynth or torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from occfer.data.arrays import Images, Points

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face as the model sees it.

    Attributes:
        image: `(S, S, 3)` uint8 RGB, aligned.
        how: `found`, `padded` (found after the picture was padded with grey), `fallback` (no face was found, and the
            whole picture is taken as one) or `whole` (no face was looked for: the picture is the face).
        box_xyxy: left, top, right, bottom of the face in pixels of the picture; it may reach beyond the picture.
        other_faces: number of faces found besides this one.
        points_xy: `(68, 2)` float32, in pixels of `image`; None where landmarks were not asked for.
        mesh_xy: `(478, 2)` float32, the detector's own points, likewise.
    """

    image: Images
    how: Literal["found", "padded", "fallback", "whole"]
    box_xyxy: Box
    other_faces: int = 0
    points_xy: Points | None = None
    mesh_xy: Points | None = None


# Finds the largest face of a picture, which is `(H, W, 3)` uint8 RGB or a file; None where there is no face. Raises
# DataError for a picture that cannot be read or aligned.
Aligner = Callable[[Images | Path], Face | None]

# Finds all that are asked for, the largest first; otherwise as an Aligner.
FaceFinder = Callable[[Images | Path], Sequence[Face]]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture of a stream: an image, or a frame of a video or a camera.

    Attributes:
        source: path of the image or video, `-` for standard input, or `camera N`.
        pixels: `(H, W, 3)` uint8 RGB; None where it cannot be read.
        frame: number of the frame, from 0; None for an image.
        fault: why it cannot be read.
        name: relative path for a drawing of it; unique, except that all frames of a video or camera share one.
        frames_per_s: of a video or camera, counting only the frames that are taken.
    """

    source: str
    pixels: Images | None
    frame: int | None = None
    fault: str = ""
    name: str = ""
    frames_per_s: float = 0.0
