"""(c) The landmark pass against bare MediaPipe, taking turns image by image, in one process on one core.

Both get the same decoded demo faces. The pass is what a build does with a new source: look into the cache, scale,
detect up to five faces, pad and try again if none is found, write the cache file. The hash of the pixels, which is the
key of the cache, is not timed, since a build computes it for every source anyway. The cache already holds 2,000 other
images, so that its 256 folders exist, as they do in all but the first moments of a build. Bare MediaPipe detects one
face in the unscaled image and writes nothing.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faces import demo_paths
from benchmarks.measure import Finding, rates
from occsynth.faces.landmark_cache import LandmarkCache
from occsynth.faces.landmarks import MODEL_PATH, LandmarkDetector, detect_landmarks
from occsynth.pixels.images import Pixels, pixels_sha256, read_rgb
from occsynth.pixels.silence import silent_stderr

GOAL = 0.9
_TIGHT_FRACTION = 0.7
_OTHER_IMAGES = 2_000


@contextmanager
def bare_detector() -> Iterator[Callable[[Pixels], None]]:
    """MediaPipe as its manual uses it."""
    import mediapipe
    from mediapipe.tasks.python import vision
    from mediapipe.tasks.python.core.base_options import BaseOptions

    options: Any = vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(MODEL_PATH)), num_faces=1)
    with silent_stderr():
        landmarker = vision.FaceLandmarker.create_from_options(options)

    def detect(pixels: Pixels) -> None:
        landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels))

    with landmarker:
        yield detect


def landmark_pass(folder: Path, digests: list[str]) -> Callable[[int, Pixels], None]:
    """What a build does with a new source.

    Args:
        folder: of the cache.
        digests: hash of the pixels of each image.
    """
    detector, store = LandmarkDetector(), LandmarkCache(folder)
    for number in range(_OTHER_IMAGES):
        store.put(f"another image {number}", None)

    def detect(index: int, pixels: Pixels) -> None:
        digest = digests[index]
        if store.get(digest) is not None:
            raise RuntimeError("the image is already in the cache")
        store.put(digest, detector.detect(pixels))

    return detect


def compare(what: str, images: list[Pixels], repeats: int, goal: float | None = None) -> Finding:
    """Runs both over the images, alternating image by image, so that other load on the machine hits both alike."""
    pass_s, bare_s = [], []
    with bare_detector() as bare:
        bare(images[0])
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                passing = landmark_pass(Path(folder), [*map(pixels_sha256, images), "warm"])
                passing(len(images), np.full((8, 8, 3), 128, np.uint8))  # loads the model
                seconds = one_round(images, bare, passing)
            bare_s.append(seconds[0])
            pass_s.append(seconds[1])
    return rates("c", f"landmark pass against bare MediaPipe, {what}", pass_s, bare_s, len(images), goal)


def one_round(
    images: list[Pixels], bare: Callable[[Pixels], None], passing: Callable[[int, Pixels], None]
) -> tuple[float, float]:
    """Seconds that the bare detector and the pass took for all images; which of them goes first alternates."""
    seconds = [0.0, 0.0]
    for index, pixels in enumerate(images):
        for which in (0, 1) if index % 2 else (1, 0):
            start = time.perf_counter()
            if which:
                passing(index, pixels)
            else:
                bare(pixels)
            seconds[which] += time.perf_counter() - start
    return seconds[0], seconds[1]


def tight_crop(pixels: Pixels) -> Pixels:
    """The middle 70 % of the box around the face's landmarks."""
    landmarks = detect_landmarks(pixels)
    if landmarks is None:
        raise RuntimeError("no face found in a demo face")
    low, high = landmarks.points_xy.min(axis=0), landmarks.points_xy.max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2 * _TIGHT_FRACTION
    left, top = np.maximum(np.rint(middle - half).astype(int), 0)
    right, bottom = np.rint(middle + half).astype(int)
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def measure(images: int = 140, repeats: int = 3) -> list[Finding]:
    """Demo faces as they are, which have a goal, and tight crops of them, which take the pass a second attempt."""
    paths = demo_paths()
    faces = [read_rgb(path) for path in paths[:: max(1, len(paths) // images)]][:images]
    return [
        compare("demo faces, 224 px", faces, repeats, GOAL),
        compare("demo faces, tight crops", [tight_crop(each) for each in faces], repeats),
    ]
