"""Landmarks on disk, one small file an image: found once, shared by all modes, workers and machines."""

import hashlib
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from occsynth.images import write_atomic
from occsynth.landmark_views import Box
from occsynth.landmarks import RECIPE, Landmarks, model_sha256

_How = Literal["found", "padded"]
_NO_FACE = "no face"
_MAGIC = b"occlmk1"
_ENTRY = np.dtype(
    [
        ("magic", "S8"),
        ("key", "S64"),
        ("how", "S8"),
        ("other_faces", "<i4"),
        ("image_wh", "<i4", (2,)),
        ("points_xy", "<f4", (478, 2)),
        ("crc32", "<u4"),
    ]
)
_CRC_FROM = _ENTRY.itemsize - 4


@dataclass(frozen=True, slots=True)
class Cached:
    """A remembered answer of the detector; `landmarks` is None for an image in which it saw no face."""

    landmarks: Landmarks | None


@cache
def _recipe() -> str:
    return f"{model_sha256()} {RECIPE} mediapipe {version('mediapipe')}"


class LandmarkCache:
    """Remembers what the detector answered, by source pixels, box, model, recipe and MediaPipe version.

    Files are `<folder>/<two hex digits>/<key>.bin`, written whole or not at all, so any number of processes on a shared
    file system may read and write at once: they write the same bytes. A damaged file counts as missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, pixels_sha256: str, box_xyxy: Box | None = None) -> Cached | None:
        """What was put for these source pixels and this box, or None."""
        key = _key(pixels_sha256, box_xyxy)
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        return _decode(content, key)

    def put(self, pixels_sha256: str, landmarks: Landmarks | None, box_xyxy: Box | None = None) -> None:
        """Remembers the detector's answer, None for no face.

        Raises:
            ValueError: fallback geometry, which is no answer of the detector.
            BuildError: the file cannot be written.
        """
        if landmarks is not None and landmarks.how == "fallback":
            raise ValueError("fallback landmarks are assumed, not detected; they are not cached")
        key = _key(pixels_sha256, box_xyxy)
        write_atomic(self._path(key), _encode(landmarks, key))

    def _path(self, key: str) -> Path:
        return self._folder / f"{key[:2]}/{key}.bin"


def _key(pixels_sha256: str, box_xyxy: Box | None) -> str:
    box = "" if box_xyxy is None else " ".join(repr(float(each)) for each in box_xyxy)
    return hashlib.sha256(f"{pixels_sha256} [{box}] {_recipe()}".encode()).hexdigest()


def _encode(landmarks: Landmarks | None, key: str) -> bytes:
    entry = np.zeros(1, _ENTRY)
    entry["magic"] = _MAGIC
    entry["key"] = key.encode()
    entry["how"] = (_NO_FACE if landmarks is None else landmarks.how).encode()
    if landmarks is not None:
        entry["other_faces"] = landmarks.other_faces
        entry["image_wh"] = landmarks.image_wh
        entry["points_xy"] = landmarks.points_xy
    entry["crc32"] = zlib.crc32(entry.tobytes()[:_CRC_FROM])
    return entry.tobytes()


def _decode(content: bytes, key: str) -> Cached | None:
    """The answer, or None if the content is damaged or belongs to another key."""
    if len(content) != _ENTRY.itemsize:
        return None
    record = np.frombuffer(content, _ENTRY)[0]
    intact = int(record["crc32"]) == zlib.crc32(content[:_CRC_FROM])
    if not intact or record["magic"] != _MAGIC or record["key"] != key.encode():
        return None
    how = record["how"].decode()
    if how == _NO_FACE:
        return Cached(None)
    width, height = (int(each) for each in record["image_wh"])
    for known in get_args(_How):
        if how == known:
            return Cached(Landmarks(record["points_xy"].copy(), (width, height), known, int(record["other_faces"])))
    return None
