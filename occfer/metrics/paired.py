"""Two tables of predictions on the same pairs: accuracies, difference and test, over all pairs and in groups."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from occfer.errors import ReportError
from occfer.metrics.groups import Group, groups_of
from occfer.metrics.predictions import Answered, Predictions
from occfer.metrics.statistics import Interval, Right, holm, interval, mcnemar, paired_interval

ALL = "all"


@dataclass(frozen=True, slots=True)
class Share:
    """An accuracy.

    Attributes:
        correct: right answers.
        accuracy: their share.
        interval: 95 %.
    """

    correct: int
    accuracy: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class PairedRow:
    """Methods a and b on the pairs of one group.

    Attributes:
        by, label: see `occfer.metrics.groups.Group`; `all` and `all` for all pairs.
        n: pairs.
        a, b: what each got right.
        difference: accuracy a minus accuracy b.
        interval: of the difference, 95 %.
        only_a, only_b: pairs that one alone got right.
        p: of the exact McNemar test.
        p_holm: adjusted over the groups of the same grouping (Holm 1979).
    """

    by: str
    label: str
    n: int
    a: Share
    b: Share
    difference: float
    interval: Interval
    only_a: int
    only_b: int
    p: float
    p_holm: float

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "PairedRow":
        """The inverse of `to_json`; raises KeyError or TypeError for anything else."""
        shares = {name: share_of_json(content[name]) for name in ("a", "b")}
        return cls(**content | shares | {"interval": Interval(**content["interval"])})


@dataclass(frozen=True, slots=True, eq=False)
class Common:
    """Two tables cut to the pairs that both hold, in the same order.

    Attributes:
        a, b: N answers each.
        only_in_a, only_in_b: pairs that were left out.
    """

    a: Predictions
    b: Predictions
    only_in_a: int
    only_in_b: int


def common_pairs(a: Predictions, b: Predictions) -> Common:
    """The pairs that both tables hold.

    Raises:
        ReportError: there are none, or the tables do not agree on a pair's truth.
    """
    place = {pair.key: index for index, pair in enumerate(b.pairs)}
    rows = [(index, place[pair.key]) for index, pair in enumerate(a.pairs) if pair.key in place]
    if not rows:
        raise ReportError(f"the runs have no pair in common: {_tested(a)} and {_tested(b)}; test both on one manifest")
    for first, second in rows:
        one, other = a.pairs[first], b.pairs[second]
        if one.truth != other.truth:
            raise ReportError(f"pair '{one.pair_id}' is {one.truth} in one run and {other.truth} in the other")
    ours, theirs = ([row[side] for row in rows] for side in (0, 1))
    return Common(_rows(a, ours), _rows(b, theirs), len(a.pairs) - len(rows), len(b.pairs) - len(rows))


def _rows(predictions: Predictions, rows: Sequence[int]) -> Predictions:
    pairs = tuple(predictions.pairs[row] for row in rows)
    return Predictions(predictions.classes, pairs, predictions.probabilities[list(rows)])


def _tested(predictions: Predictions) -> str:
    tested = sorted({f"{pair.database} ({pair.mode})" for pair in predictions.pairs})
    return f"{len(predictions.pairs)} of {', '.join(tested)}"


def compare_answers(common: Common) -> list[PairedRow]:
    """All pairs, then every group of them that has members.

    The groups are those of the first table; what they say about a pair is the manifest's, not a model's.
    """
    everyone = Group(ALL, ALL, np.ones(len(common.a.pairs), dtype=np.bool_))
    rows = [_row(common, group) for group in (everyone, *groups_of(common.a.pairs))]
    return [row for by in dict.fromkeys(row.by for row in rows) for row in _adjusted([r for r in rows if r.by == by])]


def _row(common: Common, group: Group) -> PairedRow:
    pairs = [pair for pair, member in zip(common.a.pairs, group.members, strict=True) if member]
    right_a, right_b = common.a.right[group.members], common.b.right[group.members]
    persons, what = persons_of(pairs)
    test = mcnemar(right_a, right_b)
    return PairedRow(
        by=group.by,
        label=group.label,
        n=len(pairs),
        a=_share(right_a, persons, what),
        b=_share(right_b, persons, what),
        difference=float(right_a.mean() - right_b.mean()),
        interval=paired_interval(right_a, right_b, persons, what=what),
        only_a=test.only_a,
        only_b=test.only_b,
        p=test.p_value,
        p_holm=test.p_value,
    )


def share_of_json(content: dict[str, Any]) -> Share:
    """A share from its fields as JSON values; raises KeyError or TypeError for anything else."""
    return Share(**content | {"interval": Interval(**content["interval"])})


def share_of(part: Predictions) -> Share:
    """The accuracy of some answers, at least one."""
    return _share(part.right, *persons_of(part.pairs))


def _share(right: Right, persons: Sequence[str], what: str) -> Share:
    return Share(int(right.sum()), float(right.mean()), interval(right, persons, what=what))


def _adjusted(rows: Sequence[PairedRow]) -> list[PairedRow]:
    return [replace(row, p_holm=p) for row, p in zip(rows, holm([row.p for row in rows]), strict=True)]


def persons_of(pairs: Sequence[Answered]) -> tuple[list[str], str]:
    """Whose face each pair shows, and what an interval calls them."""
    known = all(pair.subject for pair in pairs)
    return [pair.person for pair in pairs], "subjects" if known else "faces"
