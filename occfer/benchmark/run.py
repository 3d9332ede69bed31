"""Putting a suite to a contestant: every column is asked once, measured, and kept, so that a killed run goes on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from occfer.benchmark.contestant import Contestant, OnAsked, Question
from occfer.benchmark.eval_results import write_eval_results
from occfer.benchmark.result import (
    BenchmarkResult,
    ColumnKind,
    ColumnResult,
    MeanResult,
    Provenance,
    TestedContestant,
    write_benchmark,
)
from occfer.benchmark.suites import AskedColumn, ReadySuite
from occfer.data.arrays import Float64Array
from occfer.errors import DataError, ReportError
from occfer.evaluation.result_folders import claimed_results
from occfer.events import OnStep, ignore
from occfer.files import digest
from occfer.metrics.accuracy import accuracy_interval, accuracy_of, persons_of
from occfer.metrics.intervals import paired_interval
from occfer.metrics.predictions import Predictions, make_predictions
from occfer.metrics.result_files import METRICS, read_result, read_summary, write_result
from occfer.metrics.summary import summarise
from occfer.runs.environment import versions
from occsynth.reading import record_of

MAKER = "occfer benchmark"
_COLUMNS = "columns"
_MOST_ROUNDING = 1e-3
"""How far from 1 the probabilities of others' models may add up: float16 has three digits."""


@dataclass(frozen=True, slots=True, eq=False)
class _Answered:
    """The answers to one question, and what the user should know about them."""

    column: AskedColumn
    predictions: Predictions
    notes: tuple[str, ...]


def run_benchmark(
    suite: ReadySuite, contestant: Contestant, out: Path, *, overwrite: bool = False, on_step: OnStep | None = None
) -> BenchmarkResult:
    """Tests a contestant on a suite, and writes benchmark.json, results.json and the answers to each column.

    Columns that the same contestant has answered before, as `out` shows, are not asked again.

    Args:
        suite: see `occfer.benchmark.suites.ready_suite`.
        contestant: what answers.
        out: folder for the results.
        overwrite: whether they may be written among files of the user's.
        on_step: called with the events `predict` and `note` of `occfer.events`.

    Raises:
        DataError: the contestant's answers are no probabilities.
        ReportError: `out` holds a run or files of the user's, or another process works in it.
    """
    report = on_step or ignore
    asked = [suite.clean, *suite.columns, *filter(None, [suite.real])]
    with claimed_results(out, MAKER, "-o", lambda _folder: False, overwrite=overwrite):
        facts = contestant.facts
        provenance = contestant.provenance(tuple(column.question for column in suite.columns))
        rows = sum(len(column.question.samples) for column in asked)
        answered: list[_Answered] = []
        done = 0
        for column in asked:
            answered.append(_answered(suite, contestant, column, out, partial(_tell, report, done, rows)))
            done += len(column.question.samples)
        result = replace(_result(suite, facts, answered), provenance=provenance)
        write_eval_results(out, result, suite.hub)
        write_benchmark(out, result)
    return result


def _tell(report: OnStep, before: int, rows: int, asked: int) -> None:
    report({"event": "predict", "done": before + asked, "rows": rows})


def _answered(
    suite: ReadySuite, contestant: Contestant, column: AskedColumn, out: Path, on_asked: OnAsked
) -> _Answered:
    """The answers to a column: those that are there, else the contestant's, which are kept."""
    facts, question = contestant.facts, column.question
    folder = out / _COLUMNS / question.column
    key = digest([suite.facts.digest, question.column, column.sha256, facts.kind, facts.sha256, facts.classes])
    kept = _kept(folder, key, column) if facts.sha256 else None
    if kept is not None:
        on_asked(len(question.samples))
        return kept
    answers = contestant.answer(question, on_asked)
    predictions, unknown = _predictions(facts, question, answers.probabilities)
    notes = (*answers.notes, *unknown)
    folder.mkdir(parents=True, exist_ok=True)
    about = {"key": key, "contestant": facts.name, "column": question.column, "notes": list(notes)}
    write_result(folder, predictions, about | summarise(predictions))
    return _Answered(column, predictions, notes)


@dataclass(frozen=True, slots=True)
class _KeptFacts:
    """What is used of a column's metrics.json."""

    key: str = ""
    notes: tuple[str, ...] = ()


def _kept(folder: Path, key: str, column: AskedColumn) -> _Answered | None:
    """The answers that a folder holds, if they are to this question and undamaged."""
    try:
        facts = record_of(_KeptFacts, read_summary(folder), str(folder / METRICS), ReportError)
        if facts.key != key:
            return None
        return _Answered(column, read_result(folder), facts.notes)
    except ReportError:  # none there, or damaged: asked again
        return None


def _predictions(
    facts: TestedContestant, question: Question, probabilities: Float64Array
) -> tuple[Predictions, tuple[str, ...]]:
    """A contestant's answers as predictions, and a note about classes that it does not know.

    Raises:
        DataError: they are no probabilities of its classes for each face.
    """
    where = f"{facts.name}, column {question.column}"
    shape = (len(question.samples), len(facts.classes))
    if probabilities.shape != shape:
        raise DataError(f"{where}: answers of the shape {probabilities.shape} instead of {shape}: faces, classes")
    sums = probabilities.sum(axis=1, keepdims=True)
    if not np.isfinite(sums).all() or probabilities.min() < 0 or np.abs(sums - 1).max() > _MOST_ROUNDING:
        raise DataError(f"{where}: the answers are no probabilities: each face's must be at least 0 and add up to 1")
    shown = {sample.expression for sample in question.samples}
    unknown = tuple(sorted(shown.difference(facts.classes)))
    more = np.zeros((len(question.samples), len(unknown)))
    found = make_predictions(question.samples, (*facts.classes, *unknown), np.hstack([probabilities / sums, more]))
    note = f"it does not know {', '.join(unknown)}: every answer to such a face counts as wrong"
    return found, (note,) if unknown else ()


def _result(suite: ReadySuite, facts: TestedContestant, answered: Sequence[_Answered]) -> BenchmarkResult:
    """What the answers to all columns say; the first are to the clean faces."""
    clean = answered[0].predictions
    columns = answered[1 : 1 + len(suite.columns)]
    real = answered[1 + len(suite.columns) :]
    groups = dict.fromkeys(group for each in columns for group in each.column.groups)
    return BenchmarkResult(
        suite=suite.facts,
        contestant=facts,
        provenance=Provenance(),
        clean=_column(answered[0], "clean", clean),
        columns=tuple(_column(each, "occluded", clean) for each in columns),
        mean=_mean("all", columns),
        groups=tuple(_mean(group, [each for each in columns if group in each.column.groups]) for group in groups),
        real=_column(real[0], "real", clean) if real else None,
        notes=tuple(dict.fromkeys(note for each in answered for note in each.notes)),
        occsynth=versions()["occsynth"],
    )


def _column(answered: _Answered, kind: ColumnKind, clean: Predictions) -> ColumnResult:
    found, predictions = accuracy_of(answered.predictions), answered.predictions
    persons, what = persons_of(predictions.pairs)
    drop = None
    if kind == "occluded":  # the same faces in the same order, see `ready_suite`
        drop = paired_interval(clean.right, predictions.right, persons, what=what)
    return ColumnResult(
        name=answered.column.question.column,
        kind=kind,
        groups=answered.column.groups,
        n=len(predictions.pairs),
        correct=found.correct,
        accuracy=found.accuracy,
        interval=found.interval,
        subjects=len(set(persons)),
        drop=None if drop is None else float(clean.right.mean() - predictions.right.mean()),
        drop_interval=drop,
    )


def _mean(name: str, columns: Sequence[_Answered]) -> MeanResult:
    """Each column has the same faces, so the mean of the accuracies is that of all answers, of a few people each."""
    parts = [each.predictions for each in columns]
    accuracy = math.fsum(float(part.right.mean()) for part in parts) / len(parts)
    return MeanResult(name, len(parts), accuracy, accuracy_interval(parts))
