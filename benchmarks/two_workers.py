"""(d) Two workers against one, for a build with landmarks at 224 px; runs with one and with two workers take turns."""

from benchmarks.child import build_in_child
from benchmarks.faces import SIDE_PX, make_faces
from benchmarks.measure import Finding, rates, scratch

GOAL = 1.7


def measure(images: int = 1400, repeats: int = 3) -> list[Finding]:
    """One finding: the rate of two workers against that of one, including the start of the workers."""
    one: list[float] = []
    two: list[float] = []
    with scratch() as folder:
        raw = make_faces(folder / "raw", images)
        for number in range(repeats):
            for seconds, workers in ((one, 1), (two, 2)):
                seconds.append(build_in_child(raw, folder / f"{workers}-{number}", workers, SIDE_PX).seconds)
    return [rates("d", f"a build of {images:,} faces with landmarks, two workers against one", two, one, images, GOAL)]
