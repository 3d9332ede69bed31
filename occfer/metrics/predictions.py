"""predictions.csv: what a model says about each tested pair, and the little about the pair that reports need.

Columns: `pair_id, database, mode, subject, fold, category, coverage_face, coverage_eyes, coverage_mouth, truth`, then
`p_<class>` for every class. Database, mode and pair_id together name a pair; a cell without a value is empty.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from occfer.data.manifests import Sample
from occfer.errors import ReportError
from occfer.files import write_csv


@dataclass(frozen=True, slots=True)
class Answered:
    """A pair that was predicted; see `occfer.data.manifests.Sample`."""

    pair_id: str
    database: str
    mode: str
    subject: str
    fold: int | None
    category: str
    coverage_face: float | None
    coverage_eyes: float | None
    coverage_mouth: float | None
    truth: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What names a pair over several manifests: database, mode, pair_id."""
        return (self.database, self.mode, self.pair_id)

    @property
    def person(self) -> str:
        """Whose face it is; where subjects are not known, each face is its own, whatever hides it."""
        return f"{self.database}/{self.subject or self.pair_id}"


KEY_COLUMNS = tuple(field.name for field in fields(Answered))
PROBABILITY = "p_"


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's answers to some pairs.

    Attributes:
        classes: the vocabulary.
        pairs: N of them.
        probabilities: `(N, len(classes))` float64, rows sum to 1.
    """

    classes: tuple[str, ...]
    pairs: tuple[Answered, ...]
    probabilities: npt.NDArray[np.float64]

    @cached_property
    def truth(self) -> npt.NDArray[np.int64]:
        """`(N,)` indices into `classes`."""
        words = {word: index for index, word in enumerate(self.classes)}
        return np.array([words[pair.truth] for pair in self.pairs], dtype=np.int64)

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """`(N,)`, whether each answer, the first class of the highest probability, is the truth."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.truth)

    def where(self, members: npt.NDArray[np.bool_]) -> "Predictions":
        """The answers to some of the pairs; `members` is `(N,)`."""
        pairs = tuple(pair for pair, member in zip(self.pairs, members, strict=True) if member)
        return Predictions(self.classes, pairs, self.probabilities[members])


def answers(samples: Sequence[Sample], classes: Sequence[str], probabilities: npt.NDArray[np.float64]) -> Predictions:
    """Answers to rows of manifests, rounded to the nine digits that are written: what is measured can be read again.

    Args:
        samples: N rows.
        classes: the vocabulary.
        probabilities: `(N, len(classes))`, rows sum to 1.
    """
    rounded = [[float(f"{value:.9g}") for value in row] for row in probabilities.tolist()]
    pairs = tuple(_tested(sample) for sample in samples)
    return Predictions(tuple(classes), pairs, np.array(rounded, dtype=np.float64).reshape(len(pairs), len(classes)))


def _tested(sample: Sample) -> Answered:
    return Answered(
        pair_id=sample.pair_id,
        database=sample.database,
        mode=sample.mode,
        subject=sample.subject,
        fold=sample.fold,
        category=sample.category,
        coverage_face=sample.coverage_face,
        coverage_eyes=sample.coverage_eyes,
        coverage_mouth=sample.coverage_mouth,
        truth=sample.expression,
    )


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """The answers of several models, such as those of ten folds, as one table.

    Raises:
        ReportError: no parts, they know other classes, or one pair is in two of them.
    """
    if not parts:
        raise ReportError("no predictions to pool")
    classes = parts[0].classes
    for part in parts:
        if part.classes != classes:
            raise ReportError(f"predictions over {', '.join(classes)} and over {', '.join(part.classes)} do not pool")
    pairs = tuple(pair for part in parts for pair in part.pairs)
    if len({pair.key for pair in pairs}) < len(pairs):
        raise ReportError("predictions that share a pair do not pool: each pair is tested once")
    return Predictions(classes, pairs, np.concatenate([part.probabilities for part in parts]))


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Writes the table atomically, one row a pair; probabilities with nine digits."""
    header = (*KEY_COLUMNS, *(f"{PROBABILITY}{name}" for name in predictions.classes))
    answers = zip(predictions.pairs, predictions.probabilities, strict=True)
    write_csv(path, header, (_cells(pair, probabilities) for pair, probabilities in answers))


def _cells(pair: Answered, probabilities: npt.NDArray[np.float64]) -> list[object]:
    known = (getattr(pair, name) for name in KEY_COLUMNS)
    return [*("" if value is None else value for value in known), *(f"{value:.9g}" for value in probabilities)]


def read_predictions(path: Path) -> Predictions:
    """The inverse of `write_predictions`.

    Raises:
        ReportError: missing, without rows, or not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            classes = tuple(name.removeprefix(PROBABILITY) for name in header[len(KEY_COLUMNS) :])
            if tuple(header[: len(KEY_COLUMNS)]) != KEY_COLUMNS or not classes:
                raise ReportError(f"{path} is no table of predictions: its columns are {', '.join(header[:9])} ...")
            pairs: list[Answered] = []
            rows: list[list[float]] = []
            for cells in reader:
                pairs.append(_parse(cells, classes, f"{path}, line {reader.line_num}"))
                rows.append([float(cell) for cell in cells[len(KEY_COLUMNS) :]])
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise ReportError(f"{path} cannot be read as predictions: {error}") from error
    if not pairs:
        raise ReportError(f"{path} holds no predictions")
    return Predictions(classes, tuple(pairs), np.array(rows, dtype=np.float64))


def _parse(cells: list[str], classes: tuple[str, ...], where: str) -> Answered:
    if len(cells) != len(KEY_COLUMNS) + len(classes):
        raise ReportError(f"{where}: {len(cells)} cells instead of {len(KEY_COLUMNS) + len(classes)}")
    values: dict[str, Any] = dict(zip(KEY_COLUMNS, cells, strict=False))
    if values["truth"] not in classes:
        raise ReportError(f"{where}: the truth '{values['truth']}' is none of the classes {', '.join(classes)}")
    values["fold"] = int(values["fold"]) if values["fold"] else None
    for name in ("coverage_face", "coverage_eyes", "coverage_mouth"):
        values[name] = float(values[name]) if values[name] else None
    return Answered(**values)
