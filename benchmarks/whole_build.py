"""(b) A whole build with cached landmarks against a bare loop that writes the same files, on one core at 224 px.

The build scans, aligns, draws, renders, hashes, writes clean face, occluded face and mask as PNG, and makes the
manifest; what it does only once, such as decoding templates, is timed too. The bare loop only reads the source and
writes three PNG files of the same pixels, which it has in memory (in a large build, those of the first rows again and
again). Build and loop take turns.
"""

import shutil
import time
from pathlib import Path

import cv2

from benchmarks.faces import SIDE_PX, make_faces
from benchmarks.measure import Finding, rates, scratch
from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.manifest import Row, open_manifest

MODES = ("random", "r16", "eyes")
GOAL = 0.6
_KEPT = 280  # rows whose images the bare loop holds in memory


def timed_build(raw: Path, out: Path, cache: Path | None, mode: str) -> tuple[float, Path]:
    """Seconds that a build in an empty folder takes with these cached landmarks, and its manifest."""
    if cache is not None:
        shutil.copytree(cache, out / "cache")
    options = BuildOptions(db="folder", modes=(mode,), root=raw, size_px=SIDE_PX, out=out, workers=1)
    start = time.perf_counter()
    report = build(options)
    return time.perf_counter() - start, report.manifests[0]


def bare_loop(raw: Path, manifest: Path) -> float:
    """Seconds that it takes to read every source and to write the same three files beside the build's."""
    built = open_manifest(manifest)
    rows = list(built.rows())
    images = [[cv2.imread(str(built.file(name)), cv2.IMREAD_UNCHANGED) for name in _three(row)] for row in rows[:_KEPT]]
    targets = [[str(built.root / "bare" / name) for name in _three(row)] for row in rows]
    for folder in {Path(path).parent for paths in targets for path in paths}:
        folder.mkdir(parents=True)
    start = time.perf_counter()
    for number, (row, paths) in enumerate(zip(rows, targets, strict=True)):
        cv2.imread(str(raw / row.source))
        for image, path in zip(images[number % _KEPT], paths, strict=True):
            if image is None or not cv2.imwrite(path, image):
                raise RuntimeError(f"{path} was not written")
    return time.perf_counter() - start


def _three(row: Row) -> tuple[str, str, str]:
    return row.clean, row.occluded, row.mask


def measure(images: int = 1120, repeats: int = 3, modes: tuple[str, ...] = MODES) -> list[Finding]:
    """One finding per mode; each has the same goal."""
    findings = []
    with scratch() as folder:
        raw = make_faces(folder / "raw", images)
        timed_build(raw, folder / "first", None, modes[0])
        for mode in modes:
            ours, bare = [], []
            for number in range(repeats):
                out = folder / f"{mode}{number}"
                seconds, manifest = timed_build(raw, out, folder / "first/cache", mode)
                ours.append(seconds)
                bare.append(bare_loop(raw, manifest))
                shutil.rmtree(out)
            what = f"a whole build of {images:,} faces, mode {mode}, landmarks cached, against a bare loop"
            findings.append(rates("b", what, ours, bare, images, GOAL))
    return findings
