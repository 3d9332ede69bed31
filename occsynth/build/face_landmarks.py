"""The landmarks of one source image in a build: from the cache, from the detector, or assumed for cropped faces."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occsynth.databases.record import FaceRecord, PointTuples
from occsynth.errors import SourceError
from occsynth.faces.landmark_cache import LandmarkCache
from occsynth.faces.landmarks import Landmarks, detect_landmarks, fallback_landmarks
from occsynth.pixels.images import pixels_sha256
from occsynth.pixels.sources import Source


@cache
def landmark_cache(out: str) -> LandmarkCache:
    """The cache of landmarks that all builds under one root share."""
    return LandmarkCache(Path(out) / "cache" / "landmarks")


def find_landmarks(shared_cache: LandmarkCache, record: FaceRecord, source: Source, *, cropped: bool) -> Landmarks:
    """Finds the landmarks of a source image, once: later calls read them from the cache.

    Where the database's own points show that the face lies on its side, as some were filmed, the detector sees it
    turned upright. A cropped face that it misses gets the fallback geometry, which is never cached.

    Args:
        shared_cache: of the build root.
        record, source: the image.
        cropped: whether the database's images are cropped to the face.

    Returns:
        Landmarks in the pixels of `source`.

    Raises:
        SourceError: no face found, in a database whose images are not cropped to the face.
    """
    turns = 0 if record.box_xyxy is not None else quarter_turns(record.points_xy)
    pixels = np.ascontiguousarray(np.rot90(source.pixels, turns)) if turns else source.pixels
    digest = pixels_sha256(pixels) if turns else source.pixels_sha256
    known = shared_cache.get(digest, record.box_xyxy)
    if known is None:
        found = detect_landmarks(pixels, record.box_xyxy)
        shared_cache.put(digest, found, record.box_xyxy)
    else:
        found = known.landmarks
    source_wh = (source.pixels.shape[1], source.pixels.shape[0])
    if found is not None:
        if not turns and found.image_wh == source_wh:
            return found
        return replace(found, points_xy=turned_back(found.points_xy, turns, source_wh), image_wh=source_wh)
    if not cropped:
        raise SourceError("no face found")
    points = None if record.points_xy is None else np.array(record.points_xy, np.float64)
    return fallback_landmarks(source_wh, points)


def quarter_turns(points_xy: PointTuples | None) -> int:
    """Counter-clockwise quarter turns (0 to 3) after which the line of the eyes is level.

    Args:
        points_xy: 5 or 68 points of the face; None gives 0.
    """
    if points_xy is None:
        return 0
    points = np.array(points_xy, np.float64)
    left, right = (points[0], points[1]) if len(points) == 5 else (points[36:42].mean(0), points[42:48].mean(0))
    return round(math.degrees(math.atan2(right[1] - left[1], right[0] - left[0])) / 90) % 4


def turned_back(points_xy: npt.NDArray[np.float32], turns: int, wh: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Points of an image that was turned counter-clockwise, in pixels of the original.

    Args:
        points_xy: `(N, 2)` pixels of the turned image.
        turns: quarter turns, 0 to 3.
        wh: size of the original.
    """
    x, y = points_xy[:, 0], points_xy[:, 1]
    right, bottom = np.float32(wh[0] - 1), np.float32(wh[1] - 1)
    places = {0: (x, y), 1: (right - y, x), 2: (right - x, bottom - y), 3: (y, bottom - x)}
    return np.stack(places[turns], axis=1)
