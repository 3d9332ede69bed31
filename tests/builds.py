"""What several test files share: aligned demo faces with their landmarks, and small builds of them."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.databases.roots import raw_root
from occsynth.faces.align import Alignment, align_image, align_points, resize_alignment, similarity_alignment
from occsynth.faces.landmarks import detect_landmarks
from occsynth.faces.regions import five_points
from occsynth.manifest import Manifest, open_manifest
from occsynth.modes import expand
from occsynth.modes.face import Face
from occsynth.pixels.images import Pixels
from occsynth.pixels.sources import read_source

ROOT = Path(__file__).parents[1]
DEMO_ROOT = raw_root("demo", None)

STEMS = ("s001_anger", "s009_surprise", "s017_neutral", "s023_happiness", "s031_fear")
"""Five people of the demo database, with five expressions."""

OTHER_CPU = {"OPENCV_CPU_DISABLE": "AVX2,AVX,FP16,FMA3", "OPENCV_IPP": "disabled"}
"""Environment in which OpenCV computes as on another x86-64 CPU."""


@dataclass(frozen=True, slots=True, eq=False)
class AlignedFace:
    """An aligned demo face; `points_xy` are `(478, 2)` mesh points in its pixels."""

    stem: str
    pixels: Pixels
    points_xy: npt.NDArray[np.float32]
    alignment: Alignment

    @property
    def face(self) -> Face:
        return Face.with_points(self.pixels, self.points_xy)


def demo_source(stem: str) -> str:
    """The path of a demo face under the raw root."""
    return f"images/{stem.partition('_')[0]}/{stem}.jpg"


@cache
def _found(stem: str) -> tuple[Pixels, npt.NDArray[np.float32]]:
    pixels = read_source(DEMO_ROOT, demo_source(stem)).pixels
    landmarks = detect_landmarks(pixels)
    assert landmarks is not None
    return pixels, landmarks.points_xy


@cache
def demo_face(stem: str, size_px: int = 96, align: str = "similarity") -> AlignedFace:
    """A demo face as a build aligns it; found once per test process. Its arrays must not be written to."""
    pixels, points_xy = _found(stem)
    wh = (pixels.shape[1], pixels.shape[0])
    if align == "similarity":
        alignment = similarity_alignment(five_points(points_xy), wh, size_px)
    else:
        alignment = resize_alignment(wh, size_px)
    aligned = align_image(pixels, alignment, size_px)
    aligned.flags.writeable = False
    return AlignedFace(stem, aligned, align_points(points_xy, alignment), alignment)


def build_demo(out: Path, modes: str = "r16", stems: tuple[str, ...] = STEMS, **changes: Any) -> list[Manifest]:
    """Builds some demo faces under `out`; returns one manifest per mode."""
    subset = out / "few.txt"
    out.mkdir(parents=True, exist_ok=True)
    subset.write_text("\n".join(stems))
    options = BuildOptions(db="demo", modes=tuple(expand(modes)), out=out, workers=1, subset=subset)
    return [open_manifest(path) for path in build(replace(options, **changes)).manifests]


def files_under(root: Path) -> dict[str, bytes]:
    """Every image and manifest file under a build root, by relative path."""
    found = (path for folder in ("data", "manifests") for path in sorted((root / folder).rglob("*")))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found if path.is_file()}


def run_python(code: str, *arguments: str, **environment: str) -> str:
    """What another Python process prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
