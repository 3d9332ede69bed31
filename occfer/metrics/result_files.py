"""The two files of a result: predictions.csv, and metrics.json, which seals it and is written last."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occfer.errors import CheckpointError, ReportError
from occfer.files import read_sealed, write_sealed
from occfer.metrics.predictions import Predictions, read_predictions, write_predictions
from occsynth.reading import record_of

PREDICTIONS, METRICS = "predictions.csv", "metrics.json"
MAKE_AGAIN = "make the result again: a run does so with --resume"


@dataclass(frozen=True, slots=True)
class _Counts:
    """What metrics.json says of predictions.csv; files that others have made may say nothing."""

    n: int | None = None
    correct: int | None = None


def write_result(folder: Path, predictions: Predictions, summary: Mapping[str, Any]) -> None:
    """Writes both files, each atomically.

    Args:
        folder: exists.
        predictions: for every tested pair.
        summary: the content of metrics.json.
    """
    write_predictions(folder / PREDICTIONS, predictions)
    write_sealed(folder / METRICS, summary, [folder / PREDICTIONS])


def read_summary(folder: Path) -> dict[str, Any]:
    """The content of metrics.json, after both files were compared with its checksums.

    Raises:
        ReportError: a file is missing or damaged.
    """
    try:
        return read_sealed(folder / METRICS)
    except CheckpointError as error:
        raise ReportError(f"{error}; {MAKE_AGAIN}") from error


def read_result(folder: Path) -> Predictions:
    """The predictions in a folder, which must be those that its metrics.json was made from.

    Raises:
        ReportError: a file is missing or damaged, or the two do not belong together.
    """
    counts = record_of(_Counts, read_summary(folder), str(folder / METRICS), ReportError)
    predictions = read_predictions(folder / PREDICTIONS)
    found = _Counts(len(predictions.pairs), int(predictions.right.sum()))
    for name in ("n", "correct"):
        told, counted = getattr(counts, name), getattr(found, name)
        if told not in (None, counted):
            raise ReportError(
                f"{folder / PREDICTIONS} does not fit {METRICS}: {name} is {counted} in the first and {told} in the "
                f"second; {MAKE_AGAIN}"
            )
    return predictions
