"""How good a table of predictions is: accuracy, recalls, F1, calibration, confusions; on plain arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, f1_score, log_loss

from occfer.errors import ReportError

ECE_BINS = 15

# (N,) positions in the vocabulary of classes.
ClassIndices = npt.NDArray[np.int64]
# (N, classes); each line sums to 1.
Probabilities = npt.NDArray[np.float64]
# (N,): whether each of N answers is right.
RightOrWrong = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """What is reported of N answers over C classes.

    Attributes:
        n, correct: the number of answers, and of right answers.
        accuracy: `correct / n`.
        uar: unweighted average recall: the mean of `recall` over the classes that occur.
        macro_f1: the mean F1 over the classes that occur.
        recall: `(C,)` float64; NaN for a class that does not occur.
        ece: expected calibration error, see `reliability`.
        loss: mean cross-entropy, natural logarithm.
        confusion: `(C, C)` int64 counts: first index the truth, second the answer.
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


def measure(truth: ClassIndices, probabilities: Probabilities) -> Metrics:
    """Every metric of some answers. An answer is the first class with the highest probability.

    Args:
        truth: `(N,)` indices of classes.
        probabilities: `(N, C)`, each line sums to 1.

    Raises:
        ReportError: there are no answers, or the shapes or values do not fit.

    >>> found = measure(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> found.correct, found.uar, found.confusion.tolist()
    (2, 0.75, [[1, 1], [0, 1]])
    """
    check(truth, probabilities)
    classes = np.arange(probabilities.shape[1])
    answers = probabilities.argmax(axis=1)
    confusion = confusion_matrix(truth, answers, labels=classes)
    occurrences = confusion.sum(axis=1)
    # NaN, not 0, where a class does not occur: nanmean then leaves it out of the average
    recall = np.divide(confusion.diagonal(), occurrences, out=np.full(len(classes), np.nan), where=occurrences > 0)
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
        edges: `(B + 1,)` edges of the bins, from 0 to 1.
        n: `(B,)` int64, the number of answers in each bin.
        confidence, accuracy: `(B,)` float64, their means in each bin; NaN in an empty one.
        bin_of: `(N,)`, the bin of each answer.
        ece: the mean of |accuracy - confidence| over the answers.
    """

    edges: npt.NDArray[np.float64]
    n: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    bin_of: npt.NDArray[np.int64]
    ece: float


def reliability(truth: ClassIndices, probabilities: Probabilities, bins: int = ECE_BINS) -> Reliability:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599, Eq. 3) with the bins that it is computed from.

    The confidence of an answer is its probability. Bins are equally wide and open below: bin b holds confidences in
    (b / bins, (b + 1) / bins].

    Args:
        truth: `(N,)` indices of classes.
        probabilities: `(N, C)`, each line sums to 1.
        bins: number of bins; the usual 15 by default.

    Raises:
        ReportError: as for `measure`.
    """
    check(truth, probabilities)
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    # clipped, because probabilities that were read with nine digits can add up to a little more than 1
    bin_of = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    summed = np.bincount(bin_of, weights=confidence, minlength=bins)
    hits = np.bincount(bin_of, weights=right, minlength=bins)
    empty = np.full(bins, np.nan)
    return Reliability(
        edges=edges,
        n=count.astype(np.int64),
        confidence=np.divide(summed, count, out=empty.copy(), where=count > 0),
        accuracy=np.divide(hits, count, out=empty.copy(), where=count > 0),
        bin_of=bin_of.astype(np.int64),
        ece=float(np.abs(hits - summed).sum() / len(truth)),
    )


def check(truth: ClassIndices, probabilities: Probabilities) -> None:
    """Raises ReportError unless there are N truths in [0, C) and `(N, C)` finite probabilities that sum to 1."""
    if probabilities.ndim != 2 or truth.shape != probabilities.shape[:1]:
        raise ReportError(
            f"{truth.shape} truths and {probabilities.shape} probabilities do not fit; the shapes must be (N,) and "
            "(N, classes)"
        )
    if not len(truth):
        raise ReportError("there are no predictions, so there is nothing to measure")
    if not np.isfinite(probabilities).all() or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-4:
        first = int(np.argmax(~np.isclose(probabilities.sum(axis=1), 1, atol=1e-4)))
        raise ReportError(
            f"prediction {first} (counted from 0): its probabilities {probabilities[first]} do not sum to 1"
        )
    if truth.min() < 0 or truth.max() >= probabilities.shape[1]:
        raise ReportError(
            f"truths run from {truth.min()} to {truth.max()}, classes from 0 to {len(probabilities[0]) - 1}"
        )
