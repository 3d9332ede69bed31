"""How good a table of predictions is: accuracy, recalls, F1, calibration, confusions; on plain arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, f1_score, log_loss

from occfer.errors import ReportError

ECE_BINS = 15

Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """What is reported of N answers over C classes.

    Attributes:
        n, correct: answers, and how many are right.
        accuracy: `correct / n`.
        uar: unweighted average recall: the mean of `recall` over the classes that have rows.
        macro_f1: the mean F1 over the classes that have rows.
        recall: `(C,)` float64; NaN for a class without rows.
        ece: expected calibration error, see `reliability`.
        loss: mean cross-entropy, natural logarithm.
        confusion: `(C, C)` int64 counts: rows are the truth, columns the answer.
    """

    n: int
    correct: int
    accuracy: float
    uar: float
    macro_f1: float
    recall: npt.NDArray[np.float64]
    ece: float
    loss: float
    confusion: npt.NDArray[np.int64]


def measure(truth: Labels, probabilities: Probabilities) -> Metrics:
    """Every metric of some answers; the answer is the first class of the highest probability.

    Args:
        truth: `(N,)` indices of classes.
        probabilities: `(N, C)`, rows sum to 1.

    Raises:
        ReportError: no rows, or the shapes or the values do not fit.
    """
    check(truth, probabilities)
    classes = np.arange(probabilities.shape[1])
    answers = probabilities.argmax(axis=1)
    confusion = confusion_matrix(truth, answers, labels=classes)
    rows = confusion.sum(axis=1)
    recall = np.divide(confusion.diagonal(), rows, out=np.full(len(classes), np.nan), where=rows > 0)
    correct = int(confusion.trace())
    return Metrics(
        n=len(truth),
        correct=correct,
        accuracy=correct / len(truth),
        uar=float(np.nanmean(recall)),
        macro_f1=float(f1_score(truth, answers, labels=np.unique(truth), average="macro", zero_division=0)),
        recall=recall,
        ece=reliability(truth, probabilities).ece,
        loss=float(log_loss(truth, probabilities, labels=classes)),
        confusion=np.asarray(confusion, dtype=np.int64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Confidence against accuracy in bins of confidence.

    Attributes:
        edges: `(B + 1,)` of the bins, from 0 to 1.
        n: `(B,)` int64, answers in each.
        confidence, accuracy: `(B,)` float64, their means; NaN in an empty bin.
        ece: the mean of |accuracy - confidence| over the answers.
    """

    edges: npt.NDArray[np.float64]
    n: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    ece: float


def reliability(truth: Labels, probabilities: Probabilities, bins: int = ECE_BINS) -> Reliability:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599, Eq. 3) with what it is made of.

    The confidence of an answer is its probability. Bins are equally wide and open below: bin b holds confidences in
    (b / bins, (b + 1) / bins].

    Args:
        truth: `(N,)` indices of classes.
        probabilities: `(N, C)`, rows sum to 1.
        bins: how many; the usual 15 by default.
    """
    check(truth, probabilities)
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    # probabilities come from a table of nine digits and may sum to a hair above 1
    member = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(member, minlength=bins)
    summed = np.bincount(member, weights=confidence, minlength=bins)
    hits = np.bincount(member, weights=right, minlength=bins)
    empty = np.full(bins, np.nan)
    return Reliability(
        edges=edges,
        n=count.astype(np.int64),
        confidence=np.divide(summed, count, out=empty.copy(), where=count > 0),
        accuracy=np.divide(hits, count, out=empty.copy(), where=count > 0),
        ece=float(np.abs(hits - summed).sum() / len(truth)),
    )


def check(truth: Labels, probabilities: Probabilities) -> None:
    """Raises ReportError unless there are N truths in [0, C) and `(N, C)` finite probabilities that sum to 1."""
    if probabilities.ndim != 2 or truth.shape != probabilities.shape[:1]:
        raise ReportError(
            f"{truth.shape} truths and {probabilities.shape} probabilities do not fit; (N,) and (N, classes) are needed"
        )
    if not len(truth):
        raise ReportError("no predictions, so nothing to measure")
    if not np.isfinite(probabilities).all() or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-4:
        row = int(np.argmax(~np.isclose(probabilities.sum(axis=1), 1, atol=1e-4)))
        raise ReportError(f"prediction {row} (from 0): its probabilities {probabilities[row]} do not sum to 1")
    if truth.min() < 0 or truth.max() >= probabilities.shape[1]:
        raise ReportError(
            f"truths run from {truth.min()} to {truth.max()}, classes from 0 to {len(probabilities[0]) - 1}"
        )
