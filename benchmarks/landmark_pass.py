"""The landmark pass against bare MediaPipe, image by image in turn, in one process on one core.

Both get the same decoded demo faces. The pass is what a build does with a new source: look into the cache, scale,
detect up to five faces, pad and try again where none is found, write the cache file. The pixels' hash, by which the
cache is asked, comes with every source (a manifest row stores it) and is made before; the cache holds 2,000 other
images, so that its 256 folders exist as they do in all but the first moments of a build. Bare MediaPipe detects one
face in the image as it is and writes nothing. Run: `python benchmarks/landmark_pass.py [--images N] [--repeats N]`.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.faces.landmark_cache import LandmarkCache
from occsynth.faces.landmarks import MODEL_PATH, LandmarkDetector, detect_landmarks, silent_stderr
from occsynth.faces.regions import GEOMETRY_FOLDER
from occsynth.pixels.images import pixels_sha256, read_rgb

Pixels = npt.NDArray[np.uint8]

GOAL = 0.9
_TIGHT_FRACTION = 0.7
_OTHER_IMAGES = 2_000


@dataclass(frozen=True, slots=True)
class Result:
    """One comparison.

    Attributes:
        what: the images.
        bare_per_s, pass_per_s: images a second, medians over the repeats.
        bare_found, pass_found: share of the images in which a face is found.
        ratios: of the pass's rate to the bare one, one a repeat.
    """

    what: str
    bare_per_s: float
    pass_per_s: float
    bare_found: float
    pass_found: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Median over the repeats."""
        return statistics.median(self.ratios)


@contextmanager
def bare_detector() -> Iterator[Callable[[Pixels], bool]]:
    """MediaPipe as its manual shows it: whether a face is found."""
    import mediapipe
    from mediapipe.tasks.python import vision
    from mediapipe.tasks.python.core.base_options import BaseOptions

    options: Any = vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(MODEL_PATH)), num_faces=1)
    with silent_stderr():
        landmarker = vision.FaceLandmarker.create_from_options(options)

    def detect(pixels: Pixels) -> bool:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        return bool(landmarker.detect(image).face_landmarks)

    with landmarker:
        yield detect


def landmark_pass(folder: Path, digests: list[str]) -> Callable[[int, Pixels], bool]:
    """What a build does for one source with an empty cache: whether a face is found."""
    detector, store = LandmarkDetector(), LandmarkCache(folder)
    for number in range(_OTHER_IMAGES):
        store.put(f"another image {number}", None)

    def detect(index: int, pixels: Pixels) -> bool:
        digest = digests[index]
        if store.get(digest) is not None:
            raise RuntimeError("the cache knows the image already")
        landmarks = detector.detect(pixels)
        store.put(digest, landmarks)
        return landmarks is not None

    return detect


def one_round(
    images: list[Pixels], bare: Callable[[Pixels], bool], passing: Callable[[int, Pixels], bool]
) -> tuple[list[float], list[int]]:
    """Seconds and faces found, of the bare detector and of the pass."""
    seconds, found = [0.0, 0.0], [0, 0]
    for index, pixels in enumerate(images):
        for which in (0, 1) if index % 2 else (1, 0):
            start = time.perf_counter()
            found[which] += passing(index, pixels) if which else bare(pixels)
            seconds[which] += time.perf_counter() - start
    return seconds, found


def compare(what: str, images: list[Pixels], repeats: int) -> Result:
    """Runs both over the images, alternating image by image so that other load hits both alike."""
    rates: list[tuple[float, float]] = []
    found = [0, 0]
    with bare_detector() as bare:
        bare(images[0])
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                passing = landmark_pass(Path(folder), [*map(pixels_sha256, images), "warm"])
                passing(len(images), np.full((8, 8, 3), 128, np.uint8))  # loads the model
                seconds, found = one_round(images, bare, passing)
            rates.append((len(images) / seconds[0], len(images) / seconds[1]))
    return Result(
        what,
        statistics.median(each[0] for each in rates),
        statistics.median(each[1] for each in rates),
        found[0] / len(images),
        found[1] / len(images),
        tuple(each[1] / each[0] for each in rates),
    )


def tight_crop(pixels: Pixels) -> Pixels:
    """The middle 70 % of the box of the face's landmarks."""
    landmarks = detect_landmarks(pixels)
    if landmarks is None:
        raise RuntimeError("a demo face without a face")
    low, high = landmarks.points_xy.min(axis=0), landmarks.points_xy.max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2 * _TIGHT_FRACTION
    left, top = np.maximum(np.rint(middle - half).astype(int), 0)
    right, bottom = np.rint(middle + half).astype(int)
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def measure(images: int = 140, repeats: int = 3) -> list[Result]:
    """Demo faces as they are (the goal's case), and cut tightly, where the pass needs its second attempt."""
    paths = sorted((GEOMETRY_FOLDER.parent / "demo_faces" / "images").glob("*/*.jpg"))
    faces = [read_rgb(path) for path in paths[:: max(1, len(paths) // images)]][:images]
    return [
        compare("demo faces, 224 px", faces, repeats),
        compare("demo faces, tight crops", [tight_crop(each) for each in faces], repeats),
    ]


def main() -> None:
    """Prints one line a comparison."""
    parser = argparse.ArgumentParser(description="The landmark pass against bare MediaPipe.")
    parser.add_argument("--images", type=int, default=140)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for number, result in enumerate(measure(arguments.images, arguments.repeats)):
        goal = "" if number else f" (goal {GOAL}: {'reached' if result.ratio >= GOAL else 'not reached'})"
        sys.stdout.write(
            f"{result.what}: bare MediaPipe {result.bare_per_s:.1f}/s, finds {result.bare_found:.1%}; "
            f"landmark pass {result.pass_per_s:.1f}/s, finds {result.pass_found:.1%}; ratio {result.ratio:.2f}{goal}\n"
        )


if __name__ == "__main__":
    main()
