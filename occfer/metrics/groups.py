"""Pairs in groups: by mode, by what hides the face, by how much of the face, the eyes and the mouth is hidden."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from occfer.metrics.predictions import PredictedPair

MODE_ORDER = ("eyes", "mouth", "r8", "r16", "r24", "random", "real")
CATEGORY_ORDER = ("food", "hand", "drink", "black", "mean", "noise")
# Hidden shares: nothing, then quarters, open below. Few occluders hide half of a face, so its steps are finer.
COVERAGE_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
FACE_EDGES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
# Where modes have a share of the face in their name, it varies evenly: these bins have such shares in their middle.
EVEN_FACE_EDGES = (0.0, *(tens / 100 + 0.05 for tens in range(0, 100, 10)), 1.0)
MODE_WITH_SHARE = re.compile("(upper|lower|left|right|cover)-[1-9][0-9]?")

# (N,): whether each of N pairs belongs to a group.
Membership = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Some of N pairs.

    Attributes:
        by: the grouping, a key of `GROUPINGS`.
        label: which group of that grouping.
        members: `(N,)`, which pairs belong to it.
    """

    by: str
    label: str
    members: Membership


@dataclass(frozen=True, slots=True, eq=False)
class CoverageBin:
    """Pairs of which a similar share is hidden: it lies in (above, to]; where `to` is 0, nothing is hidden.

    Attributes:
        above, to: in [0, 1].
        members: `(N,)`, which pairs belong to it.
    """

    above: float
    to: float
    members: Membership

    @property
    def label(self) -> str:
        """`none`, `to 25 %`, `25 to 50 %`."""
        if self.to == 0:
            return "none"
        low, high = (f"{100 * edge:.0f}" for edge in (self.above, self.to))
        return f"to {high} %" if self.above == 0 else f"{low} to {high} %"


def groups_of(pairs: Sequence[PredictedPair]) -> list[Group]:
    """Every group that has members, in the order of `GROUPINGS`.

    A pair whose coverage is not known belongs to no bin of it.
    """
    return [
        Group(by, label, members)
        for by, divide in GROUPINGS.items()
        for label, members in divide(pairs)
        if members.any()
    ]


def by_value(pairs: Sequence[PredictedPair], name: str, order: Sequence[str] = ()) -> Iterator[tuple[str, Membership]]:
    """Each value of a field of `PredictedPair` with its pairs: those of `order` first, the others by name and number,
    "" last.
    """
    values = [str(getattr(pair, name)) for pair in pairs]

    def place(value: str) -> tuple[bool, int, list[tuple[str, int]]]:
        return (not value, order.index(value) if value in order else len(order), by_numbers(value))

    for value in sorted(set(values), key=place):
        yield value, np.array([each == value for each in values], dtype=np.bool_)


def by_numbers(text: str) -> list[tuple[str, int]]:
    """A sort key that puts `upper-5` before `upper-40`."""
    return [("", int(piece)) if piece.isdecimal() else (piece, 0) for piece in re.split(r"(\d+)", text)]


def coverage_bins(
    pairs: Sequence[PredictedPair], region: str, edges: Sequence[float] = COVERAGE_EDGES
) -> Iterator[CoverageBin]:
    """The bins of a region's hidden share that have members; `region` is `face`, `eyes` or `mouth`."""
    known: Sequence[float | None] = [getattr(pair, f"coverage_{region}") for pair in pairs]
    covered = np.array([np.nan if value is None else value for value in known], dtype=np.float64)
    for above, to in zip((0.0, *edges), edges, strict=False):
        members = (covered > above) & (covered <= to) if to else covered == 0
        if members.any():
            yield CoverageBin(above, to, members)


def templates_seen(pairs: Sequence[PredictedPair]) -> Iterator[tuple[str, Membership]]:
    """The pairs whose template was seen in training as `seen`, and those whose was not as `unseen`; perhaps none."""
    for label, wanted in (("seen", True), ("unseen", False)):
        yield label, np.array([pair.template_seen is wanted for pair in pairs], dtype=np.bool_)


def _modes(pairs: Sequence[PredictedPair]) -> Iterator[tuple[str, Membership]]:
    yield from by_value(pairs, "mode", MODE_ORDER)


def _categories(pairs: Sequence[PredictedPair]) -> Iterator[tuple[str, Membership]]:
    for value, members in by_value(pairs, "category", CATEGORY_ORDER):
        yield value or "unknown", members


# Divides pairs into labelled groups.
Divide = Callable[[Sequence[PredictedPair]], Iterator[tuple[str, Membership]]]


def _coverage(region: str, edges: Sequence[float]) -> Divide:
    def divide(pairs: Sequence[PredictedPair]) -> Iterator[tuple[str, Membership]]:
        for each in coverage_bins(pairs, region, edges):
            yield each.label, each.members

    return divide


def _face(pairs: Sequence[PredictedPair]) -> Iterator[tuple[str, Membership]]:
    even = any(MODE_WITH_SHARE.fullmatch(pair.mode) for pair in pairs)
    yield from _coverage("face", EVEN_FACE_EDGES if even else FACE_EDGES)(pairs)


GROUPINGS: dict[str, Divide] = {
    "mode": _modes,
    "category": _categories,
    "coverage of the eyes": _coverage("eyes", COVERAGE_EDGES),
    "coverage of the mouth": _coverage("mouth", COVERAGE_EDGES),
    "coverage of the face": _face,
}
