"""How much of a network's heat lies on what hides a face, against how much of the face that hides.

The face is the whole picture that the network sees: heat that is spread evenly over it has the same share inside an
occluder as the occluder has of the picture, so the difference of the two shares is 0 for a network that looks
everywhere alike.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from occfer.data.arrays import Float32Array
from occfer.errors import ReportError
from occfer.files import write_csv
from occfer.metrics.accuracy import persons_of
from occfer.metrics.bounds import Values
from occfer.metrics.groups import Group, groups_of
from occfer.metrics.means import MeanEstimate, mean_estimate
from occfer.metrics.paired import ALL
from occfer.metrics.predictions import PAIR_COLUMNS, PredictedPair, finite_number, pair_of, refuse_many_groups
from occfer.metrics.significance import shown_p
from occsynth.escapes import from_csv
from occsynth.reading import read_cells

COVERED = 128
"""Pixels of at least this value of the mask lie inside the occluder, as in the manifest's columns of coverage."""
COLUMNS = (*PAIR_COLUMNS, "answer", "explained", "probability", "share_of_face", "share_of_heat")
DIGITS = ".9g"


@dataclass(frozen=True, slots=True)
class HeatedPair:
    """A pair whose occluded face was explained.

    Attributes:
        pair: with its true expression.
        answer: the network's.
        explained: the class whose heat it is.
        probability: of that class.
        share_of_face: of the picture's pixels, those inside the occluder; None where there is no mask, or where the
            occluder hides nothing.
        share_of_heat: of the picture's heat, that inside the occluder; None there too, and where no heat is left.
    """

    pair: PredictedPair
    answer: str
    explained: str
    probability: float
    share_of_face: float | None
    share_of_heat: float | None

    @property
    def cold(self) -> bool:
        """Whether the occluder is known, and no heat is."""
        return self.share_of_face is not None and self.share_of_heat is None


def shares(heat: Float32Array, mask: npt.NDArray[np.uint8]) -> tuple[float | None, float | None]:
    """The occluder's share of a face, and the heat's share inside it; see `HeatedPair`.

    Args:
        heat: `(S, S)`, not negative, as large as the picture.
        mask: `(S, S)`, the manifest's.
    """
    inside = mask >= COVERED
    if not inside.any():
        return None, None
    total = float(heat.sum(dtype=np.float64))
    share_of_face = rounded(float(inside.mean()))
    return share_of_face, rounded(float(heat[inside].sum(dtype=np.float64)) / total) if total > 0 else None


def rounded(value: float) -> float:
    """The number that the table holds, so that figures of a call are those of its file."""
    return float(f"{value:{DIGITS}}")


@dataclass(frozen=True, slots=True)
class HeatGroup:
    """The shares of a group of pairs.

    Attributes:
        by, label: see `occfer.metrics.groups.Group`; `all` and `all` for all pairs.
        n: pairs that both shares are known of; the rest follows from them.
        cold: pairs that were left out, because nothing on the face speaks for the class.
        share_of_heat, share_of_face: their means; None without such pairs.
        difference: the mean of share of heat minus share of face, with its interval; None without such pairs.
    """

    by: str
    label: str
    n: int
    cold: int
    share_of_heat: float | None
    share_of_face: float | None
    difference: MeanEstimate | None

    @property
    def ratio(self) -> float | None:
        """The mean share of heat by the mean share of face: 1 for heat that is spread evenly."""
        if self.share_of_heat is None or not self.share_of_face:
            return None
        return self.share_of_heat / self.share_of_face

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values, and the ratio."""
        return asdict(self) | {"ratio": self.ratio}


def heat_groups(pairs: Sequence[HeatedPair]) -> list[HeatGroup]:
    """The shares of all pairs, then of every group that has pairs with shares."""
    plain = [each.pair for each in pairs]
    groups = [Group(ALL, ALL, np.ones(len(pairs), dtype=np.bool_)), *groups_of(plain)]
    found = [
        _group(group, [each for each, member in zip(pairs, group.members, strict=True) if member]) for group in groups
    ]
    return [found[0], *(each for each in found[1:] if each.n or each.cold)]


def _group(group: Group, pairs: Sequence[HeatedPair]) -> HeatGroup:
    known = [(each.pair, each.share_of_heat, each.share_of_face) for each in pairs if each.share_of_heat is not None]
    cold = sum(each.cold for each in pairs)
    if not known:
        return HeatGroup(group.by, group.label, 0, cold, None, None, None)
    heat, face = (np.array([each[side] for each in known], dtype=np.float64) for side in (1, 2))
    difference = _estimate(heat - face, [pair for pair, _, _ in known])
    return HeatGroup(group.by, group.label, len(known), cold, _mean(heat), _mean(face), difference)


def _mean(values: Values) -> float:
    return math.fsum(values) / len(values)


def _estimate(values: Values, pairs: Sequence[PredictedPair]) -> MeanEstimate:
    return mean_estimate(values, *persons_of(pairs))


@dataclass(frozen=True, slots=True)
class HeatComparison:
    """The heat of methods a and b on the same faces.

    Attributes:
        share_of_face: the mean share that the occluder has of these faces.
        a, b: the mean share of heat inside the occluder.
        difference: the mean of a minus b, with its interval and test.
        left_out: pairs that both explained, and one of them without any heat.
    """

    share_of_face: float
    a: float
    b: float
    difference: MeanEstimate
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def compare_heat(a: Sequence[HeatedPair], b: Sequence[HeatedPair]) -> HeatComparison | None:
    """Compares the heat of two networks on the pairs that both explained; None if there are none with two shares."""
    theirs = {each.pair.key: each for each in b}
    both = [(each, theirs[each.pair.key]) for each in a if each.pair.key in theirs and each.share_of_face is not None]
    known = [(one.pair, one.share_of_heat, other.share_of_heat, one.share_of_face) for one, other in both]
    known = [each for each in known if each[1] is not None and each[2] is not None]
    if not known:
        return None
    heat_a, heat_b, face = (np.array([each[side] for each in known], dtype=np.float64) for side in (1, 2, 3))
    difference = _estimate(heat_a - heat_b, [each[0] for each in known])
    return HeatComparison(_mean(face), _mean(heat_a), _mean(heat_b), difference, len(both) - len(known))


def share_lines(total: HeatGroup, without_occluder: int) -> list[str]:
    """The shares of all pairs in sentences, with what was left out."""
    lines = []
    if total.difference is None or total.share_of_heat is None or total.share_of_face is None:
        lines.append("no shares: none of the pairs has both an occluder and heat")
    else:
        times = "" if total.ratio is None else f", {total.ratio:.2f} times as much"
        lines.append(
            f"{100 * total.share_of_heat:.1f} % of the heat lies inside the occluder, which has "
            f"{100 * total.share_of_face:.1f} % of the face{times}"
        )
        lines.append(f"difference {_shown(total.difference)}, n = {total.n}")
    lines.append(f"left out: {total.cold} without any heat, {without_occluder} without an occluder")
    return lines


def comparison_lines(what: str, found: HeatComparison) -> list[str]:
    """A comparison in sentences; `what` is explained, such as `answer`."""
    face = f"the occluder has {100 * found.share_of_face:.1f} % of the face"
    lines = [
        f"heat of the {what} inside the occluder: A {100 * found.a:.1f} %, B {100 * found.b:.1f} %; {face}",
        f"A - B of the heat: {_shown(found.difference)}, p = {shown_p(found.difference.p)}, n = {found.difference.n}",
    ]
    if found.left_out:
        lines.append(f"left out: {found.left_out} without any heat of A or of B")
    return lines


def _shown(estimate: MeanEstimate) -> str:
    """`+0.031, 95 % interval +0.010 to +0.052 (Student's t over 28 subjects)`."""
    between = estimate.interval
    return f"{estimate.mean:+.3f}, 95 % interval {between.low:+.3f} to {between.high:+.3f} ({between.how})"


def write_heat(path: Path, pairs: Sequence[HeatedPair]) -> None:
    """Writes the table atomically, a line per pair."""
    write_csv(path, COLUMNS, map(_cells, pairs))


def _cells(each: HeatedPair) -> tuple[object, ...]:
    numbers = (each.probability, each.share_of_face, each.share_of_heat)
    texts = ("" if value is None else f"{value:{DIGITS}}" for value in numbers)
    return (*(getattr(each.pair, name) for name in PAIR_COLUMNS), each.answer, each.explained, *texts)


def read_heat(path: Path, classes: tuple[str, ...]) -> tuple[HeatedPair, ...]:
    """The inverse of `write_heat`.

    Raises:
        ReportError: the file is missing, is not such a table, has no rows, or a cell is impossible; the message names
            the line.
    """
    lines = read_cells(path, ReportError)
    _, first = next(lines, (0, []))
    if tuple(map(from_csv, first)) != COLUMNS:
        raise ReportError(f"{path} is not a table of heat: its columns are {', '.join(first[:9])[:200]} ...")
    pairs = []
    for number, cells in lines:
        where = f"{path}, line {number}"
        if len(cells) != len(COLUMNS):
            raise ReportError(f"{where}: {len(cells)} cells instead of {len(COLUMNS)}")
        pairs.append(_pair_of([from_csv(cell) for cell in cells], classes, where))
    if not pairs:
        raise ReportError(f"{path} holds no pairs")
    if len({each.pair.key for each in pairs}) < len(pairs):
        raise ReportError(f"{path} holds a pair twice")
    refuse_many_groups(path, [each.pair for each in pairs])
    return tuple(pairs)


def _pair_of(texts: list[str], classes: tuple[str, ...], where: str) -> HeatedPair:
    width = len(PAIR_COLUMNS)
    answer, explained, *numbers = texts[width:]
    for word in (answer, explained):
        if word not in classes:
            raise ReportError(f"{where}: '{word[:80]}' is not one of the classes {', '.join(classes)[:200]}")
    probability, of_face, of_heat = (_share(text, where) for text in numbers)
    if probability is None or (of_face is None and of_heat is not None):
        raise ReportError(f"{where}: a probability or a share of the face is missing")
    return HeatedPair(pair_of(texts[:width], classes, where), answer, explained, probability, of_face, of_heat)


def _share(text: str, where: str) -> float | None:
    if not text:
        return None
    value = finite_number(text, f"{where}: a share")
    if not 0 <= value <= 1:
        raise ReportError(f"{where}: {value:g} is no share")
    return value
