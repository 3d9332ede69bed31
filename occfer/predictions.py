"""predictions.csv: what a model says about each test pair."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occfer.data import Sample

KEY_COLUMNS = ("pair_id", "database", "mode", "truth")


def write_predictions(
    path: Path, samples: Sequence[Sample], classes: Sequence[str], probabilities: npt.NDArray[np.float64]
) -> None:
    """Writes `pair_id, database, mode, truth, p_<class>...`, one row a sample, atomically.

    Args:
        path: where.
        samples: what was predicted.
        classes: the vocabulary.
        probabilities: `(len(samples), len(classes))`, rows sum to 1; written with nine digits.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*KEY_COLUMNS, *(f"p_{name}" for name in classes)))
        for sample, row in zip(samples, probabilities, strict=True):
            cells = (f"{value:.9g}" for value in row)
            writer.writerow((sample.pair_id, sample.database, sample.mode, sample.expression, *cells))
    part.replace(path)
