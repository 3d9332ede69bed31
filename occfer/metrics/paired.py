"""Two tables of predictions on the same pairs: accuracies, difference and test, over all pairs and in groups."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from occfer.errors import ReportError
from occfer.metrics.accuracy import AccuracyEstimate, estimate, persons_of
from occfer.metrics.groups import Group, groups_of
from occfer.metrics.intervals import Interval, paired_interval
from occfer.metrics.predictions import Predictions
from occfer.metrics.significance import MCNEMAR, TestName, holm, paired_outcome

ALL = "all"


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """Methods a and b on the pairs of one group.

    Attributes:
        by, label: see `occfer.metrics.groups.Group`; `all` and `all` for all pairs.
        n: number of pairs.
        a, b: the accuracy of each.
        difference: accuracy a minus accuracy b.
        interval: the 95 % interval of the difference.
        only_a, only_b: number of pairs that only one of the two got right.
        p: p-value of `occfer.metrics.significance.paired_outcome`.
        p_holm: the same, adjusted over all groups that are shown together (Holm 1979); of all pairs, `p` itself.
        test: which test it is, such as `exact sign flips by subject`; earlier versions did not say.
    """

    by: str
    label: str
    n: int
    a: AccuracyEstimate
    b: AccuracyEstimate
    difference: float
    interval: Interval
    only_a: int
    only_b: int
    p: float
    p_holm: float
    test: TestName = MCNEMAR

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class CommonPredictions:
    """Two tables cut to the pairs that both hold, in the same order.

    Attributes:
        a, b: the answers of each to the same N pairs.
        only_in_a, only_in_b: number of pairs that were left out because the other table lacks them.
    """

    a: Predictions
    b: Predictions
    only_in_a: int
    only_in_b: int


def common_pairs(a: Predictions, b: Predictions) -> CommonPredictions:
    """Cuts two tables to the pairs that both hold.

    Raises:
        ReportError: they have no pair in common, or they disagree about a pair's truth.
    """
    index_in_b = {pair.key: index for index, pair in enumerate(b.pairs)}
    shared = [(index, index_in_b[pair.key]) for index, pair in enumerate(a.pairs) if pair.key in index_in_b]
    if not shared:
        raise ReportError(
            f"the runs have no pair in common: {_counted(a)} and {_counted(b)}; test both on one manifest"
        )
    for index_a, index_b in shared:
        one, other = a.pairs[index_a], b.pairs[index_b]
        if one.truth != other.truth:
            raise ReportError(f"pair '{one.pair_id}' is {one.truth} in one run and {other.truth} in the other")
    indices_a, indices_b = ([both[side] for both in shared] for side in (0, 1))
    only_in_a, only_in_b = len(a.pairs) - len(shared), len(b.pairs) - len(shared)
    return CommonPredictions(a.at(indices_a), b.at(indices_b), only_in_a, only_in_b)


def _counted(predictions: Predictions) -> str:
    return f"{len(predictions.pairs)} of {', '.join(predictions.tested_on)}"


def compare_answers(common: CommonPredictions) -> list[GroupComparison]:
    """Compares two methods on all pairs, then on every group of pairs, with p-values as by `adjusted_groups`.

    The groups are those of the first table: a pair's mode, category and coverage come from the manifest, so both tables
    agree on them.
    """
    everyone = Group(ALL, ALL, np.ones(len(common.a.pairs), dtype=np.bool_))
    groups = [_compare(common, group) for group in groups_of(common.a.pairs)]
    return [_compare(common, everyone), *adjusted_groups(groups)]


def _compare(common: CommonPredictions, group: Group) -> GroupComparison:
    pairs = [pair for pair, member in zip(common.a.pairs, group.members, strict=True) if member]
    right_a, right_b = common.a.right[group.members], common.b.right[group.members]
    persons, what = persons_of(pairs)
    test = paired_outcome(right_a, right_b, persons, what)
    return GroupComparison(
        by=group.by,
        label=group.label,
        n=len(pairs),
        a=estimate(right_a, persons, what),
        b=estimate(right_b, persons, what),
        difference=float(right_a.mean() - right_b.mean()),
        interval=paired_interval(right_a, right_b, persons, what=what),
        only_a=test.only_a,
        only_b=test.only_b,
        p=test.p_value,
        p_holm=test.p_value,
        test=test.how,
    )


def adjusted_groups(comparisons: Sequence[GroupComparison]) -> list[GroupComparison]:
    """The same comparisons, with p-values adjusted over all of them after Holm.

    Groups by mode, category and coverage stand in one table, and whoever looks for differences looks through all of
    it; so they are one family [decided], although each pair is in several of them: Holm's bound holds for dependent
    tests. The test on all pairs is the first question and is not adjusted.
    """
    adjusted = holm([each.p for each in comparisons])
    return [replace(each, p_holm=p) for each, p in zip(comparisons, adjusted, strict=True)]


def tests_of(comparisons: Sequence[GroupComparison]) -> str:
    """Which tests made the p-values of some comparisons, in words."""
    return " or ".join(sorted({each.test for each in comparisons}))
