"""Answers in groups: by mode, by what hides the face, by how much of the face, the eyes and the mouth is hidden."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from occfer.metrics.predictions import Answered

MODE_ORDER = ("eyes", "mouth", "r8", "r16", "r24", "random", "real")
CATEGORY_ORDER = ("food", "hand", "drink", "black", "mean", "noise")
# Hidden shares: nothing, then quarters, open below. Few occluders hide half of a face, so its steps are finer.
COVERAGE_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
FACE_EDGES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)

Members = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Some of N pairs.

    Attributes:
        by: the grouping, a key of `GROUPINGS`.
        label: which group of it.
        members: `(N,)`, who is in it.
    """

    by: str
    label: str
    members: Members


@dataclass(frozen=True, slots=True, eq=False)
class CoverageBin:
    """Pairs of which about as much is hidden: the share lies in (above, to]; `to` 0 means that nothing is.

    Attributes:
        above, to: in [0, 1].
        members: `(N,)`.
    """

    above: float
    to: float
    members: Members

    @property
    def label(self) -> str:
        """`none`, `to 25 %`, `25 to 50 %`."""
        if self.to == 0:
            return "none"
        low, high = (f"{100 * edge:.0f}" for edge in (self.above, self.to))
        return f"to {high} %" if self.above == 0 else f"{low} to {high} %"


def groups_of(pairs: Sequence[Answered]) -> list[Group]:
    """Every group that has members, in the order of `GROUPINGS`; a pair of unknown coverage is in none of its bins."""
    return [
        Group(by, label, members)
        for by, divide in GROUPINGS.items()
        for label, members in divide(pairs)
        if members.any()
    ]


def by_value(pairs: Sequence[Answered], name: str, order: Sequence[str] = ()) -> Iterator[tuple[str, Members]]:
    """Each value of a field of `Answered` with its pairs: those of `order` first, then by name; empty values last."""
    values = [str(getattr(pair, name)) for pair in pairs]

    def place(value: str) -> tuple[bool, int, str]:
        return (not value, order.index(value) if value in order else len(order), value)

    for value in sorted(set(values), key=place):
        yield value, np.array([each == value for each in values], dtype=np.bool_)


def coverage_bins(
    pairs: Sequence[Answered], region: str, edges: Sequence[float] = COVERAGE_EDGES
) -> Iterator[CoverageBin]:
    """The bins of a region's hidden share that have members; `region` is `face`, `eyes` or `mouth`."""
    known: Sequence[float | None] = [getattr(pair, f"coverage_{region}") for pair in pairs]
    covered = np.array([np.nan if value is None else value for value in known], dtype=np.float64)
    for above, to in zip((0.0, *edges), edges, strict=False):
        members = (covered > above) & (covered <= to) if to else covered == 0
        if members.any():
            yield CoverageBin(above, to, members)


def _modes(pairs: Sequence[Answered]) -> Iterator[tuple[str, Members]]:
    yield from by_value(pairs, "mode", MODE_ORDER)


def _categories(pairs: Sequence[Answered]) -> Iterator[tuple[str, Members]]:
    for value, members in by_value(pairs, "category", CATEGORY_ORDER):
        yield value or "unknown", members


def _coverage(region: str, edges: Sequence[float]) -> Callable[[Sequence[Answered]], Iterator[tuple[str, Members]]]:
    def divide(pairs: Sequence[Answered]) -> Iterator[tuple[str, Members]]:
        for each in coverage_bins(pairs, region, edges):
            yield each.label, each.members

    return divide


GROUPINGS: dict[str, Callable[[Sequence[Answered]], Iterator[tuple[str, Members]]]] = {
    "mode": _modes,
    "category": _categories,
    "coverage of the eyes": _coverage("eyes", COVERAGE_EDGES),
    "coverage of the mouth": _coverage("mouth", COVERAGE_EDGES),
    "coverage of the face": _coverage("face", FACE_EDGES),
}
