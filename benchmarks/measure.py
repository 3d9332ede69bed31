"""What the benchmarks share: findings with their spread, one core, a scratch folder, a description of the machine."""

import os
import platform
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison, measured several times in one run.

    Attributes:
        letter: letter of the benchmark.
        what: what is compared with what.
        ours, reference: medians over the repeats, in `unit`.
        unit: such as `images/s`.
        ratios: ratio of ours to the reference in each repeat.
        goal: the ratio to reach, or None if the finding is only for information.
        at_most: whether the goal is an upper bound.
    """

    letter: str
    what: str
    ours: float
    reference: float
    unit: str
    ratios: tuple[float, ...]
    goal: float | None = None
    at_most: bool = False

    @property
    def ratio(self) -> float:
        """Median over the repeats."""
        return statistics.median(self.ratios)

    @property
    def verdict(self) -> str:
        """`reached` or `not reached`; empty without a goal."""
        if self.goal is None:
            return ""
        reached = self.ratio <= self.goal if self.at_most else self.ratio >= self.goal
        return "reached" if reached else "not reached"

    def cells(self) -> tuple[str, ...]:
        """The cells of its line in the report's table."""
        bound = "" if self.goal is None else f"{'at most' if self.at_most else 'at least'} {self.goal:g}"
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}, n = {len(self.ratios)}"
        numbers = (f"{self.ours:,.4g} {self.unit}", f"{self.reference:,.4g} {self.unit}", f"**{self.ratio:.2f}**")
        return (f"({self.letter})", self.what, *numbers, spread, bound, self.verdict)


COLUMNS = ("", "what", "ours", "reference", "ratio", "lowest to highest", "goal", "")


def rates(
    letter: str,
    what: str,
    ours_s: Sequence[float],
    reference_s: Sequence[float],
    images: int,
    goal: float | None = None,
) -> Finding:
    """A finding from the seconds that each repeat took for a number of images; a higher ratio is better."""
    ratios = tuple(theirs / own for own, theirs in zip(ours_s, reference_s, strict=True))
    ours, reference = images / statistics.median(ours_s), images / statistics.median(reference_s)
    return Finding(letter, what, ours, reference, "images/s", ratios, goal)


def one_core() -> None:
    """Keeps this process and its children on one core, and OpenCV on one thread."""
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is deleted afterwards: in memory if 4 GB are free there, so that no disk is timed, else on disk."""
    memory = Path("/dev") / "shm"
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4e9
    with tempfile.TemporaryDirectory(dir=memory if roomy else None) as name:
        yield Path(name)


def machine() -> str:
    """The machine in words: cores, processor, Python and OpenCV."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model} (x86-64, shared), Python {platform.python_version()}, OpenCV {cv2.__version__}"
