"""occfer.faces.face: docstring to write."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from occfer.data.arrays import Images, Points

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face as the model gets to see it.

    Attributes:
        image: `(S, S, 3)` uint8 RGB, aligned.
        how: `found`, `padded` (found after grey padding), `fallback` (none found; the picture was taken to be one) or
            `whole` (not looked for; the picture is the face).
        box_xyxy: left, top, right, bottom of the face in pixels of the picture; it may reach beyond the picture.
        other_faces: faces seen besides this one.
        points_xy: `(68, 2)` float32, in pixels of `image`; None where they were not asked for.
    """

    image: Images
    how: Literal["found", "padded", "fallback", "whole"]
    box_xyxy: Box
    other_faces: int = 0
    points_xy: Points | None = None


# A picture, `(H, W, 3)` uint8 RGB or its file, to its largest face; None where there is none. Raises DataError for a
# picture that cannot be read or aligned.
Aligner = Callable[[Images | Path], Face | None]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture of a stream.

    Attributes:
        source: what answers call it: a path, of a video too.
        frame: of a video, from 0; None for a picture.
        pixels: `(H, W, 3)` uint8 RGB; None where it cannot be read.
        fault: why not.
        name: relative path for what is drawn of it; unique, except that a video's frames share it.
        frames_per_s: of a video, counting the frames that are looked at.
    """

    source: str
    pixels: Images | None
    frame: int | None = None
    fault: str = ""
    name: str = ""
    frames_per_s: float = 0.0
