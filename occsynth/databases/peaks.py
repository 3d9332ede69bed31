"""The peak frame of a video that starts neutral, by our own rule, since no list of peak frames is public.

Imported only when a scan needs it, because it loads OpenCV and MediaPipe. Results are kept in the user's cache, never
in the raw database.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import platformdirs

from occsynth.databases.record import PointTuples
from occsynth.errors import BuildError
from occsynth.faces.landmarks import RECIPE, Landmarks, detect_landmarks, model_sha256
from occsynth.faces.regions import ibug68
from occsynth.files import write_atomic
from occsynth.pixels.images import Pixels
from occsynth.pixels.videos import count_frames
from occsynth.reading import read_json, record_of

RULE = 2
"""Version of the search: to be raised whenever it may choose other frames, so that cached results expire."""

Floats = npt.NDArray[np.float64]
Detect = Callable[[Pixels], Landmarks | None]

_TURNS = (None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE)
"""Some sessions were filmed with the camera on its side."""

_LEVEL_DEG = 30


@dataclass(frozen=True, slots=True)
class Peak:
    """The peak of a clip.

    Attributes:
        frame: number of the peak, from 0; the onset is frame 0.
        onset_xy, peak_xy: 68 points in the frame's own pixels if the clip lies on its side, so that alignment puts the
            face upright; else None.
    """

    frame: int
    onset_xy: PointTuples | None = None
    peak_xy: PointTuples | None = None


def find_peak(clip: Path) -> Peak | str:
    """The peak of a clip, or why it has none; read from the cache if it was found before."""
    try:
        with clip.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    cached = _cache_path(digest)
    known = _read_cache(cached)
    if known is not None:
        return known
    peak = search_peak(clip, detect_landmarks)
    if isinstance(peak, Peak):
        _write_cache(cached, peak)
    return peak


def search_peak(clip: Path, detect: Detect) -> Peak | str:
    """The frame of the clip's middle third whose landmarks moved most since the first frame, or why there is none.

    Motion is the root mean square distance of the 68 points from the first frame's, after the least-squares similarity
    that removes the motion of the head, divided by the distance of the eyes. Of equal frames the first wins.

    Args:
        detect: finds the landmarks of an RGB frame.
    """
    counted = count_frames(clip)
    if counted.fault:
        return counted.fault
    count = counted.decoded
    if count < 3:
        return f"{count} frames could be decoded; onset and peak need at least 3"
    start = _onset(next(_frames(clip)), detect)
    if start is None:
        return "no face found in its first frame"
    turn, onset = start
    best, best_motion, best_points = -1, -1.0, onset
    for number, frame in enumerate(_frames(clip)):
        if not count // 3 <= number < max(2 * count // 3, count // 3 + 1):
            continue
        points = _points(frame, turn, detect)
        motion = -1.0 if points is None else round(shape_motion(onset, points), 6)
        if points is not None and motion > best_motion:
            best, best_motion, best_points = number, motion, points
    if best < 0:
        return "no face found in its middle third"
    if turn is None:
        return Peak(best)
    return Peak(best, _as_points(onset), _as_points(best_points))


def _onset(frame: Pixels, detect: Detect) -> tuple[int | None, Floats] | None:
    """The turn that puts the face upright, and the first frame's points; None if no face is found.

    A face on its side is often found without a turn, but its points are then unreliable: the turn that makes the eyes
    level counts, and the unturned frame is tried first.
    """
    found = []
    for turn in _TURNS:
        points = _points(frame, turn, detect)
        if points is not None:
            found.append((_tilt_deg(points, turn), turn, points))
            if found[-1][0] < _LEVEL_DEG:
                break
    return min(found, key=lambda each: each[0])[1:] if found else None


def _tilt_deg(points_xy: Floats, turn: int | None) -> float:
    """Angle between the line of the eyes and the horizontal in the turned frame, in degrees from 0 to 180."""
    x, y = points_xy[42:48].mean(axis=0) - points_xy[36:42].mean(axis=0)
    back = {None: 0, cv2.ROTATE_90_CLOCKWISE: 90, cv2.ROTATE_90_COUNTERCLOCKWISE: -90}[turn]
    return abs((math.degrees(math.atan2(y, x)) + back + 180) % 360 - 180)


def shape_motion(onset_xy: Floats, points_xy: Floats) -> float:
    """Distance of 68 points from the onset's in eye distances, with the differences of place, size and tilt removed."""
    onset = onset_xy[:, 0] + 1j * onset_xy[:, 1]
    points = points_xy[:, 0] + 1j * points_xy[:, 1]
    eyes = abs(onset[36:42].mean() - onset[42:48].mean())
    onset, points = onset - onset.mean(), points - points.mean()
    size = float(np.vdot(points, points).real)
    if size == 0 or eyes == 0:
        return 0.0
    fitted = points * (np.vdot(points, onset) / size)
    return float(np.sqrt(np.mean(np.abs(fitted - onset) ** 2)) / eyes)


def _frames(clip: Path) -> Iterator[Pixels]:
    """Yields every frame as BGR, decoded from the start, since seeking is not exact in every container."""
    capture = cv2.VideoCapture(str(clip))
    try:
        while True:
            found, frame = capture.read()
            if not found or frame is None:
                return
            yield np.asarray(frame, np.uint8)
    finally:
        capture.release()


def _points(frame: Pixels, turn: int | None, detect: Detect) -> Floats | None:
    """68 points in pixels of the frame as filmed, or None if no face is found in the turned frame."""
    turned = frame if turn is None else cv2.rotate(frame, turn)
    found = detect(np.asarray(cv2.cvtColor(turned, cv2.COLOR_BGR2RGB), np.uint8))
    if found is None:
        return None
    points = np.asarray(ibug68(found.points_xy), np.float64)
    height, width = frame.shape[:2]
    x, y = points[:, 0], points[:, 1]
    if turn == cv2.ROTATE_90_CLOCKWISE:
        return np.stack([y, height - 1 - x], axis=1)
    if turn == cv2.ROTATE_90_COUNTERCLOCKWISE:
        return np.stack([width - 1 - y, x], axis=1)
    return points


def _as_points(points_xy: Floats) -> PointTuples:
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in points_xy)


def _cache_path(digest: str) -> Path:
    recipe = f"{digest} {RULE} {RECIPE} {model_sha256()} {version('mediapipe')} {cv2.__version__}"
    folder = Path(platformdirs.user_cache_dir("occsynth")) / "peaks"
    return folder / f"{hashlib.sha256(recipe.encode()).hexdigest()}.json"


def _read_cache(path: Path) -> Peak | None:
    """What was stored, or None if nothing was or the file is damaged; version 0.1 stored no checksum."""
    try:
        content = read_json(path, ValueError)
        digest = content.pop("sha256", None)
        if digest not in (None, _content_sha256(content)):
            return None
        return record_of(Peak, content, str(path), ValueError)
    except ValueError:
        return None


def _content_sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _write_cache(path: Path, peak: Peak) -> None:
    content = asdict(peak)
    try:
        write_atomic(path, json.dumps({**content, "sha256": _content_sha256(content)}).encode())
    except BuildError:
        return  # without the cache the next scan only takes longer
