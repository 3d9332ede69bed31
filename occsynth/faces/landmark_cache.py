"""Landmarks on disk, one small file per image: found once, shared by all modes, workers and machines."""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from occsynth.errors import BuildError
from occsynth.faces.detector_view import FaceBox
from occsynth.faces.landmarks import RECIPE, Landmarks, model_sha256
from occsynth.faces.regions import MESH_POINTS
from occsynth.files import write_atomic
from occsynth.reading import read_bytes

_HowDetected = Literal["found", "padded"]
_NO_FACE = "no face"
_MAGIC = b"occlmk1\0"
# magic, key, how, other faces, image width and height; then 478 x 2 float32 points; then the CRC-32 of all before
_HEAD = struct.Struct("<8s64s8siii")
_CRC_BYTES = 4
_SIZE = _HEAD.size + MESH_POINTS * 2 * 4 + _CRC_BYTES


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """What the detector found in an image before; `landmarks` is None if it found no face."""

    landmarks: Landmarks | None


@cache
def _recipe() -> str:
    return f"{model_sha256()} {RECIPE} mediapipe {version('mediapipe')}"


class LandmarkCache:
    """Stores what the detector found, by source pixels, box, model, recipe and MediaPipe version.

    Files are `<folder>/<two hex digits>/<key>.bin`. Any number of processes on a shared file system may read and write
    at once, since each file is written whole or not at all, and always with the same bytes. A damaged file counts as
    missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, pixels_sha256: str, box_xyxy: FaceBox | None = None) -> CachedAnswer | None:
        """What was stored for these source pixels and this box, or None."""
        key = _key(pixels_sha256, box_xyxy)
        try:
            content = read_bytes(self._path(key), BuildError, largest=_SIZE)
        except BuildError:
            return None
        return _decode(content, key)

    def put(self, pixels_sha256: str, landmarks: Landmarks | None, box_xyxy: FaceBox | None = None) -> None:
        """Stores what the detector found; None stands for no face.

        Raises:
            ValueError: the landmarks are fallback geometry, which the detector did not find.
            BuildError: the file cannot be written.
        """
        if landmarks is not None and landmarks.how == "fallback":
            raise ValueError("fallback landmarks are assumed, not detected; they are not cached")
        key = _key(pixels_sha256, box_xyxy)
        write_atomic(self._path(key), _encode(landmarks, key), durable=False)  # its checksum tells what came through

    def _path(self, key: str) -> Path:
        return self._folder / f"{key[:2]}/{key}.bin"


def _key(pixels_sha256: str, box_xyxy: FaceBox | None) -> str:
    box = "" if box_xyxy is None else " ".join(repr(float(each)) for each in box_xyxy)
    return hashlib.sha256(f"{pixels_sha256} [{box}] {_recipe()}".encode()).hexdigest()


def _encode(landmarks: Landmarks | None, key: str) -> bytes:
    if landmarks is None:
        how, other_faces, image_wh, points_xy = _NO_FACE, 0, (0, 0), np.zeros((MESH_POINTS, 2), "<f4")
    else:
        how, other_faces, image_wh = landmarks.how, landmarks.other_faces, landmarks.image_wh
        points_xy = landmarks.points_xy.astype("<f4")
    content = _HEAD.pack(_MAGIC, key.encode(), how.encode(), other_faces, *image_wh) + points_xy.tobytes()
    return content + zlib.crc32(content).to_bytes(_CRC_BYTES, "little")


def _decode(content: bytes, key: str) -> CachedAnswer | None:
    """The stored answer, or None if the content is damaged or belongs to another key."""
    if len(content) != _SIZE:
        return None
    magic, stored_key, how, other_faces, width, height = _HEAD.unpack_from(content)
    intact = zlib.crc32(content[:-_CRC_BYTES]).to_bytes(_CRC_BYTES, "little") == content[-_CRC_BYTES:]
    if not intact or magic != _MAGIC or stored_key != key.encode():
        return None
    words = how.rstrip(b"\0").decode()
    if words == _NO_FACE:
        return CachedAnswer(None)
    points_xy = np.frombuffer(content, "<f4", MESH_POINTS * 2, _HEAD.size).reshape(MESH_POINTS, 2).astype(np.float32)
    for known in get_args(_HowDetected):
        if words == known:
            return CachedAnswer(Landmarks(points_xy, (width, height), known, other_faces))
    return None
