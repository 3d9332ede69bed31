"""predictions.csv: a model's answer to each tested pair, and the few facts about the pair that reports need.

Columns: `pair_id, database, mode, subject, fold, category, coverage_face, coverage_eyes, coverage_mouth, truth`, where
it is known `template_seen` (yes or no), then `p_<class>` for every class. Database, mode and pair_id together identify
a pair; a cell without a value is empty.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from occfer.data.manifests import Sample
from occfer.data.vocabulary import LONGEST_WORD, MOST_CLASSES
from occfer.errors import ReportError
from occfer.files import write_csv
from occfer.metrics.measures import ClassIndices, Probabilities, RightOrWrong
from occsynth.escapes import from_csv
from occsynth.reading import read_cells


@dataclass(frozen=True, slots=True)
class PredictedPair:
    """A pair that a model answered; the fields are those of `occfer.data.manifests.Sample`, `truth` its expression.

    `template_seen` says whether the template that hides it was seen in training, see `occfer.data.seen_templates`.
    """

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
    template_seen: bool | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies a pair among several manifests: database, mode, pair_id."""
        return (self.database, self.mode, self.pair_id)

    @property
    def person(self) -> str:
        """Whose face it is. Where the subject is not known, each clean face counts as a person."""
        return f"{self.database}/{self.subject or self.pair_id}"


SEEN = "template_seen"
PAIR_COLUMNS = tuple(field.name for field in fields(PredictedPair) if field.name != SEEN)
_SEEN_WORDS = {True: "yes", False: "no", None: ""}
PROBABILITY = "p_"
GROUPED_BY = ("database", "mode", "category")
MOST_GROUPS = 200
"""Of pairs by one column: tables and figures show each of them."""
MOST_ROUNDING = 1e-6
"""How far from 1 the sum of probabilities with nine digits may be."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's answers to some pairs.

    Attributes:
        classes: the vocabulary.
        pairs: the N pairs.
        probabilities: `(N, len(classes))` float64, each line sums to 1.
    """

    classes: tuple[str, ...]
    pairs: tuple[PredictedPair, ...]
    probabilities: Probabilities

    @cached_property
    def truth(self) -> ClassIndices:
        """`(N,)` indices into `classes`."""
        index_of = {word: index for index, word in enumerate(self.classes)}
        return np.array([index_of[pair.truth] for pair in self.pairs], dtype=np.int64)

    @cached_property
    def right(self) -> RightOrWrong:
        """`(N,)`, whether each answer (the first class with the highest probability) is the truth."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.truth)

    @property
    def tested_on(self) -> list[str]:
        """Every database with its mode, sorted: `demo (r16)`."""
        return sorted({f"{pair.database} ({pair.mode})" for pair in self.pairs})

    def where(self, members: RightOrWrong) -> "Predictions":
        """The answers to the pairs for which `members`, `(N,)` bool, is true."""
        return self.at(np.flatnonzero(members).tolist())

    def at(self, indices: Sequence[int]) -> "Predictions":
        """The answers at some positions, in that order."""
        pairs = tuple(self.pairs[index] for index in indices)
        return Predictions(self.classes, pairs, self.probabilities[list(indices)])


def make_predictions(
    samples: Sequence[Sample],
    classes: Sequence[str],
    probabilities: Probabilities,
    templates_seen: Sequence[bool | None] | None = None,
) -> Predictions:
    """The answers to samples of manifests.

    Probabilities are rounded to the nine digits that `write_predictions` writes, so that metrics of a run equal those
    of its predictions.csv.

    Args:
        samples: the N samples.
        classes: the vocabulary.
        probabilities: `(N, len(classes))`, each line sums to 1.
        templates_seen: N values, see `PredictedPair`; None where nobody knows.
    """
    rounded = [[float(f"{value:.9g}") for value in line] for line in probabilities.tolist()]
    known = templates_seen or [None] * len(samples)
    pairs = tuple(predicted_pair(sample, seen) for sample, seen in zip(samples, known, strict=True))
    return Predictions(tuple(classes), pairs, np.array(rounded, dtype=np.float64).reshape(len(pairs), len(classes)))


def predicted_pair(sample: Sample, template_seen: bool | None = None) -> PredictedPair:
    """A sample as a pair that was answered."""
    same = {name: getattr(sample, name) for name in PAIR_COLUMNS if name != "truth"}
    return PredictedPair(truth=sample.expression, template_seen=template_seen, **same)


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """The answers of several models, such as those of ten folds, as one table.

    Raises:
        ReportError: there are no parts, they have different classes, or a pair is in two of them.
    """
    made = one_after_the_other(parts)
    if len({pair.key for pair in made.pairs}) < len(made.pairs):
        raise ReportError("predictions that share a pair cannot be pooled: each pair is tested once")
    return made


def one_after_the_other(parts: Sequence[Predictions]) -> Predictions:
    """The answers of several models in one table, in which pairs may repeat, as those of several seeds do.

    Raises:
        ReportError: there are no parts, or they have different classes.
    """
    if not parts:
        raise ReportError("there are no predictions to pool")
    classes = parts[0].classes
    for part in parts:
        if part.classes != classes:
            raise ReportError(
                f"predictions over {', '.join(classes)} and over {', '.join(part.classes)} cannot be pooled"
            )
    pairs = tuple(pair for part in parts for pair in part.pairs)
    return Predictions(classes, pairs, np.concatenate([part.probabilities for part in parts]))


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Writes the table atomically, one row per pair; probabilities with nine digits."""
    known = any(pair.template_seen is not None for pair in predictions.pairs)
    columns = (*PAIR_COLUMNS, *((SEEN,) if known else ()))
    header = (*columns, *(f"{PROBABILITY}{name}" for name in predictions.classes))
    answers = zip(predictions.pairs, predictions.probabilities, strict=True)
    write_csv(path, header, (_cells(pair, columns, probabilities) for pair, probabilities in answers))


def _cells(pair: PredictedPair, columns: Sequence[str], probabilities: npt.NDArray[np.float64]) -> tuple[object, ...]:
    facts = (_SEEN_WORDS[pair.template_seen] if name == SEEN else getattr(pair, name) for name in columns)
    return (*("" if value is None else value for value in facts), *(f"{value:.9g}" for value in probabilities))


def read_predictions(path: Path) -> Predictions:
    """The inverse of `write_predictions`.

    Raises:
        ReportError: the file is missing, is not such a table, or has no rows; or a cell is impossible, such as
            probabilities that do not sum to 1. The message names the line.
    """
    lines = read_cells(path, ReportError)
    _, first = next(lines, (0, []))
    header = [from_csv(cell) for cell in first]
    width = len(PAIR_COLUMNS) + (header[len(PAIR_COLUMNS) : len(PAIR_COLUMNS) + 1] == [SEEN])
    classes = tuple(name.removeprefix(PROBABILITY) for name in header[width:])
    named = all(name.startswith(PROBABILITY) for name in header[width:])
    if tuple(header[: len(PAIR_COLUMNS)]) != PAIR_COLUMNS or not named or not all(classes):
        raise ReportError(f"{path} is not a table of predictions: its columns are {', '.join(header[:9])[:200]} ...")
    if not classes or len(set(classes)) < len(classes):
        raise ReportError(f"{path} is not a table of predictions: it has no classes, or one of them twice")
    if len(classes) > MOST_CLASSES or max(map(len, classes)) > LONGEST_WORD:
        raise ReportError(f"{path} has more than {MOST_CLASSES} classes, or one of more than {LONGEST_WORD} letters")
    pairs: list[PredictedPair] = []
    probabilities: list[list[float]] = []
    for number, cells in lines:
        where = f"{path}, line {number}"
        if len(cells) != len(header):
            raise ReportError(f"{where}: {len(cells)} cells instead of {len(header)}")
        texts = [from_csv(cell) for cell in cells]
        pairs.append(pair_of(texts[:width], classes, where))
        probabilities.append(_probabilities_of(texts[width:], where))
    if not pairs:
        raise ReportError(f"{path} holds no predictions")
    refuse_many_groups(path, pairs)
    return Predictions(classes, tuple(pairs), np.array(probabilities, dtype=np.float64))


def refuse_many_groups(path: Path, pairs: Sequence[PredictedPair]) -> None:
    """Raises ReportError, naming the file, where pairs fall into more groups than a table or a figure can show."""
    for name in GROUPED_BY:
        words = {getattr(pair, name) for pair in pairs}
        if len(words) > MOST_GROUPS or max(map(len, words)) > LONGEST_WORD:
            raise ReportError(
                f"{path}: the column {name} has more than {MOST_GROUPS} words, or one of more than {LONGEST_WORD} "
                "letters"
            )


def pair_of(texts: Sequence[str], classes: tuple[str, ...], where: str) -> PredictedPair:
    """A pair from its cells, those of `PAIR_COLUMNS` and perhaps of `SEEN`; raises ReportError for impossible ones."""
    values: dict[str, Any] = dict(zip((*PAIR_COLUMNS, SEEN), texts, strict=False))
    seen = values.pop(SEEN, "")
    if seen not in _SEEN_WORDS.values():
        raise ReportError(f"{where}: {SEEN} is '{seen[:80]}', which is neither yes nor no")
    values[SEEN] = next(key for key, word in _SEEN_WORDS.items() if word == seen)
    if values["truth"] not in classes:
        raise ReportError(
            f"{where}: the truth '{values['truth'][:80]}' is not one of the classes {', '.join(classes)[:200]}"
        )
    fold = values["fold"]
    if fold and not (fold.isascii() and fold.isdecimal() and len(fold) < 10):
        raise ReportError(f"{where}: the fold '{fold[:80]}' is no whole number")
    values["fold"] = int(fold) if fold else None
    for name in ("coverage_face", "coverage_eyes", "coverage_mouth"):
        values[name] = finite_number(values[name], f"{where}: {name}") if values[name] else None
    return PredictedPair(**values)


def _probabilities_of(texts: list[str], where: str) -> list[float]:
    values = [finite_number(text, f"{where}: a probability") for text in texts]
    if min(values) < 0 or abs(sum(values) - 1) > MOST_ROUNDING:
        raise ReportError(f"{where}: the probabilities must sum to 1 and not be negative; they sum to {sum(values):g}")
    return values


def finite_number(text: str, what: str) -> float:
    """A number from a cell; raises ReportError, naming `what`, where it is none or not finite."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ReportError(f"{what} is '{text[:80]}', which is no finite number")
    return value
