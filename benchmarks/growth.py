"""(e) Time and peak memory of builds of growing size: time must grow linearly, memory must not grow.

One worker, landmarks included.
"""

import shutil

from benchmarks.child import BuildCost, build_in_child
from benchmarks.faces import make_faces
from benchmarks.measure import Finding, scratch

COUNTS = (1000, 4000, 16000)
SIZE_PX = 96
GOAL = 1.15
"""Largest allowed ratio of the time per image, and of the peak memory, to those of the smallest build."""


def measure(counts: tuple[int, ...] = COUNTS) -> list[Finding]:
    """Two findings for each larger build: time per image and peak memory, against the smallest one."""
    built: dict[int, BuildCost] = {}
    with scratch() as top:
        for count in counts:
            folder = top / str(count)
            built[count] = build_in_child(make_faces(folder / "raw", count), folder / "out", 1, SIZE_PX)
            shutil.rmtree(folder)
    times_ms = {count: 1000 * each.seconds / count for count, each in built.items()}
    peaks_mb = {count: each.peak_mb for count, each in built.items()}
    return [
        _grown(what, unit, values, count, counts[0])
        for count in counts[1:]
        for what, unit, values in (("time per image", "ms", times_ms), ("peak memory", "MB", peaks_mb))
    ]


def _grown(what: str, unit: str, values: dict[int, float], count: int, first: int) -> Finding:
    title = f"{what}, {count:,} images against {first:,}"
    ratio = values[count] / values[first]
    return Finding("e", title, values[count], values[first], unit, (ratio,), GOAL, at_most=True)
