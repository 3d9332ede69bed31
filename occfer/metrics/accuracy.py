"""Accuracy, recall and UAR with their intervals, which know where several answers are about one person."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from occfer.metrics.intervals import METHOD, Interval, counted, interval, mean_recall_interval
from occfer.metrics.measures import RightOrWrong
from occfer.metrics.predictions import PredictedPair, Predictions


@dataclass(frozen=True, slots=True)
class AccuracyEstimate:
    """An accuracy on some pairs; `dataclasses.asdict` makes it JSON values.

    Attributes:
        correct: number of right answers.
        accuracy: their share of all answers.
        interval: its 95 % interval.
    """

    correct: int
    accuracy: float
    interval: Interval


def estimate(right: RightOrWrong, persons: Sequence[str], what: str) -> AccuracyEstimate:
    """The accuracy of at least one answer.

    Args:
        right: `(N,)`, whether each answer is right.
        persons, what: see `persons_of`.
    """
    return AccuracyEstimate(int(right.sum()), float(right.mean()), interval(right, persons, what=what))


def accuracy_of(predictions: Predictions) -> AccuracyEstimate:
    """The accuracy of some predictions, of which there is at least one."""
    return estimate(predictions.right, *persons_of(predictions.pairs))


def accuracy_interval(parts: Sequence[Predictions]) -> Interval:
    """The 95 % interval of the accuracy of predictions, or of the mean accuracy of several seeds on the same pairs.

    The seeds' answers about one face count as several answers about one person, not as several faces.

    Raises:
        ReportError: there are no predictions.
    """
    persons, what = persons_of([pair for part in parts for pair in part.pairs])
    return interval(np.concatenate([part.right for part in parts]), persons, what=what)


def uar_interval(parts: Sequence[Predictions]) -> Interval:
    """The 95 % interval of the UAR of predictions, or of the mean UAR of several seeds on the same pairs.

    Raises:
        ReportError: there are no predictions.
    """
    persons, what = persons_of([pair for part in parts for pair in part.pairs])
    right, truth = (np.concatenate([getattr(part, name) for part in parts]) for name in ("right", "truth"))
    return mean_recall_interval(right, truth, persons, what=what)


def recall_intervals(predictions: Predictions) -> dict[str, Interval | None]:
    """The 95 % interval of each class's recall; None for a class that does not occur."""
    members = {name: predictions.truth == index for index, name in enumerate(predictions.classes)}
    return {
        name: accuracy_interval([predictions.where(each)]) if each.any() else None for name, each in members.items()
    }


def basis_line(pairs: Sequence[PredictedPair]) -> str:
    """What intervals rest on, in one line: `n = 636, of 118 subjects; 95 % intervals: Wilson's for ...`."""
    persons, what = persons_of(pairs)
    return f"n = {len(pairs)}, of {counted(len(set(persons)), what)}; 95 % intervals: {METHOD}"


def persons_of(pairs: Sequence[PredictedPair]) -> tuple[list[str], str]:
    """Whose face each pair shows, and what an interval calls them: `subjects`, or `faces` where some are not known."""
    all_known = all(pair.subject for pair in pairs)
    return [pair.person for pair in pairs], "subjects" if all_known else "faces"
