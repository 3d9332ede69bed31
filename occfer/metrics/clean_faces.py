"""The occluded branch on the same faces without occlusion: its accuracy there, and the drop from clean to occluded."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from occfer.metrics.accuracy import accuracy_interval, persons_of
from occfer.metrics.intervals import Interval, paired_interval
from occfer.metrics.paired import common_pairs
from occfer.metrics.predictions import Predictions


@dataclass(frozen=True, slots=True)
class CleanFaces:
    """How a model that is tested on occluded faces answers to the same faces when nothing hides them.

    Attributes:
        n: number of pairs, of which both faces were answered.
        accuracy: on their clean faces, the mean over seeds.
        interval: its 95 % interval.
        drop: that accuracy minus the one on the occluded faces of the same pairs.
        drop_interval: the 95 % interval of the drop, which is of pairs.
    """

    n: int
    accuracy: float
    interval: Interval
    drop: float
    drop_interval: Interval

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def drop_line(facts: Mapping[str, Any]) -> str:
    """`drop from clean to occluded 0.120, 95 % interval 0.061 to 0.187, n = 280 pairs`, of `CleanFaces.to_json`."""
    shown = facts["drop_interval"]
    return (
        f"drop from clean to occluded {facts['drop']:.3f}, {100 * shown['level']:g} % interval {shown['low']:.3f} to "
        f"{shown['high']:.3f}, n = {facts['n']} pairs"
    )


def on_clean_faces(clean: Sequence[Predictions], occluded: Sequence[Predictions]) -> CleanFaces:
    """Compares answers to clean faces with those to the occluded faces of the same pairs.

    Args:
        clean, occluded: of each seed, in the same order; at least one.

    Raises:
        ReportError: a seed has no pair in both.
    """
    both = [common_pairs(a, b) for a, b in zip(clean, occluded, strict=True)]
    persons, what = persons_of([pair for each in both for pair in each.a.pairs])
    right_clean, right_occluded = (np.concatenate([getattr(each, side).right for each in both]) for side in ("a", "b"))
    return CleanFaces(
        n=len(both[0].a.pairs),
        accuracy=float(right_clean.mean()),
        interval=accuracy_interval([each.a for each in both]),
        drop=float(right_clean.mean() - right_occluded.mean()),
        drop_interval=paired_interval(right_clean, right_occluded, persons, what=what),
    )
