"""From the predictions of many runs to the cells of a table: pooled, with intervals and paired tests."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occfer.baselines import Baseline
from occfer.metrics import measure
from occfer.predictions import Predictions, pooled, read_predictions
from occfer.protocols.jobs import GraphReport, Job
from occfer.protocols.paper import paper_figure
from occfer.protocols.protocol import Plan, Planner, Protocol, TestedOn
from occfer.protocols.request import CONTROL, REFERENCES
from occfer.protocols.result_table import AnyCell, Cell, Missing, PairedTest, Seeds, TableRow
from occfer.rows import ROWS
from occfer.statistics import Interval, holm, interval, mcnemar, spread

AGAINST = ("resnet", CONTROL)

Right = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a row answered in one column.

    Attributes:
        parts: seed to fold to predictions; every seed has the same folds, of which there is at least one.
        runs: the folders that they came from.
        note: `8 of 10 folds` where some are missing, else empty.
    """

    parts: Mapping[int, Mapping[int | None, Predictions]]
    runs: tuple[Path, ...]
    note: str = ""

    def pooled(self) -> dict[int, Predictions]:
        """Seed to the answers of all folds."""
        return {seed: pooled(list(folds.values())) for seed, folds in self.parts.items()}


def gather(planner: Planner, plan: Plan, row: str, tested: TestedOn, report: GraphReport) -> Answers | str:
    """A row's answers in a column, or why there are none."""
    known = planner.protocol.sets[tested.training]
    jobs = {(cast.seed, cast.fold): plan.result(cast, tested) for cast in planner.casts(tested.training, [row])}
    done = {place: job for place, job in jobs.items() if job is not None and job.done}
    seeds = sorted({seed for seed, _ in jobs})
    with_answers = [seed for seed in seeds if any((seed, fold) in done for fold in known.folds)]
    folds = [fold for fold in known.folds if all((seed, fold) in done for seed in with_answers)]
    if not with_answers or not folds:
        return _why(list(jobs.values()), report)
    used = {(seed, fold): done[seed, fold] for seed in with_answers for fold in folds}
    parts = {
        seed: {fold: read_predictions(used[seed, fold].folder / "predictions.csv") for fold in folds}
        for seed in with_answers
    }
    notes = [
        f"{len(have)} of {len(want)} {what}"
        for have, want, what in ((folds, known.folds, "folds"), (with_answers, seeds, "seeds"))
        if len(have) < len(want)
    ]
    return Answers(parts, tuple(job.folder for job in used.values()), ", ".join(notes))


def _why(jobs: Sequence[Job | None], report: GraphReport) -> str:
    keys = {job.key for job in jobs if job is not None}
    if keys & set(report.failed):
        return "failed"
    return "blocked" if keys & set(report.blocked) else "not run"


def make_cell(answers: Answers, paper: float | None, relative_to: Path) -> Cell:
    """Everything that is reported of a row's answers in a column, but for the paired tests.

    Accuracy is pooled over folds and averaged over seeds. The interval is drawn by person where several answers are of
    one, those of the seeds among them, else it is Wilson's.
    """
    by_seed = answers.pooled()
    measures = [measure(part.truth, part.probabilities) for part in by_seed.values()]
    accuracies = tuple(found.accuracy for found in measures)
    over_seeds = spread(accuracies)
    first = next(iter(answers.parts.values()))
    return Cell(
        n=measures[0].n,
        correct=sum(found.correct for found in measures),
        accuracy=over_seeds.mean,
        interval=interval_of(list(by_seed.values())),
        uar=spread([found.uar for found in measures]).mean,
        macro_f1=spread([found.macro_f1 for found in measures]).mean,
        ece=spread([found.ece for found in measures]).mean,
        seeds=Seeds(accuracies, over_seeds.mean, over_seeds.sd),
        folds=None if list(first) == [None] else spread(_fold_accuracies(answers)),
        paper=paper,
        runs=tuple(os.path.relpath(folder, relative_to) for folder in answers.runs),
        note=answers.note,
    )


def interval_of(parts: Sequence[Predictions]) -> Interval:
    """The 95 % interval of the mean accuracy of several seeds' answers to the same pairs."""
    pairs = [pair for part in parts for pair in part.pairs]
    known = all(pair.subject for pair in pairs)
    right = np.concatenate([part.right for part in parts])
    return interval(right, [pair.person for pair in pairs], what="subjects" if known else "faces")


def _fold_accuracies(answers: Answers) -> list[float]:
    """Each fold's accuracy, the mean over the seeds."""
    folds = next(iter(answers.parts.values()))
    return [spread([float(part[fold].right.mean()) for part in answers.parts.values()]).mean for fold in folds]


def paired_test(row: Answers, other: Answers) -> PairedTest | None:
    """Two rows on the images that both were tested on, seed by seed; None where they share none. Holm comes later.

    Over the seeds: p = min(1, 2 x the median of their p-values), the counts summed.
    """
    found = []
    ours, theirs = row.pooled(), other.pooled()
    for seed in sorted(set(ours) & set(theirs)):
        a, b = _on_common(ours[seed], theirs[seed])
        if len(a):
            found.append(mcnemar(a, b))
    if not found:
        return None
    p_values = [test.p_value for test in found]
    p = combined(p_values)
    return PairedTest(p, p, sum(test.only_a for test in found), sum(test.only_b for test in found))


def combined(p_values: Sequence[float]) -> float:
    """One p-value of several on the same question, however they depend on each other: twice their median."""
    return p_values[0] if len(p_values) == 1 else min(1.0, 2 * float(np.median(p_values)))


def _on_common(ours: Predictions, theirs: Predictions) -> tuple[Right, Right]:
    a, b = (
        {pair.key: bool(right) for pair, right in zip(part.pairs, part.right, strict=True)} for part in (ours, theirs)
    )
    common = sorted(set(a) & set(b))
    return np.array([a[key] for key in common], dtype=bool), np.array([b[key] for key in common], dtype=bool)


@dataclass(frozen=True, slots=True, eq=False)
class Assembler:
    """Makes the rows of a table.

    Attributes:
        table: its key, for the paper's figures.
        planner, plan, report: what was run.
        folder: of the table's file, to which run folders are relative.
        not_trained: rows that were only shown to run; they take part in no test.
    """

    table: str
    planner: Planner
    plan: Plan
    report: GraphReport
    folder: Path
    not_trained: frozenset[str] = frozenset()

    @property
    def protocol(self) -> Protocol:
        """What was to be done."""
        return self.planner.protocol

    def rows(self) -> tuple[TableRow, ...]:
        """Every row of the protocol, with a cell for each column."""
        columns = {tested.column.key: self._column(tested) for tested in self.protocol.columns}
        return tuple(
            self._row(row, {key: column[row] for key, column in columns.items()}) for row in self.protocol.rows
        )

    def _row(self, row: str, cells: Mapping[str, AnyCell]) -> TableRow:
        found = ROWS.get(row)
        return TableRow(
            key=row,
            title=row if found is None else found.title,
            cells=cells,
            reconstruction=isinstance(found, Baseline) and found.reconstruction,
            not_trained=row in self.not_trained,
            reference=row == CONTROL or row in REFERENCES,
        )

    def _column(self, tested: TestedOn) -> dict[str, AnyCell]:
        key = tested.column.key
        reason = self.protocol.absent.get(key)
        answers: dict[str, Answers] = {}
        cells: dict[str, AnyCell] = {}
        for row in self.protocol.rows:
            paper = self._paper(key, row)
            found = reason or ("not available" if row not in ROWS else self._gather(row, tested))
            if isinstance(found, str):
                cells[row] = Missing(found if reason is None else "no data", paper)
            else:
                answers[row] = found
                cells[row] = make_cell(found, paper, self.folder)
        for row, tests in self._tests(tested, answers).items():
            cell = cells[row]
            if isinstance(cell, Cell):
                cells[row] = replace(cell, tests=tests)
        return cells

    def _gather(self, row: str, tested: TestedOn) -> Answers | str:
        if not tested.takes(row, self.protocol.sets[tested.training]):
            return "no clean images"
        return gather(self.planner, self.plan, row, tested, self.report)

    def _paper(self, column: str, row: str) -> float | None:
        return paper_figure(self.table, column, row)

    def _tests(self, tested: TestedOn, answers: Mapping[str, Answers]) -> dict[str, dict[str, PairedTest]]:
        """Each row against `resnet` and `resnet-long`, adjusted over the rows of the column."""
        tests: dict[str, dict[str, PairedTest]] = {row: {} for row in answers}
        for other in AGAINST if answers else ():
            reference = answers.get(other) or self._unlisted(other, tested)
            if reference is None:
                continue
            found = {
                row: test
                for row in answers
                if row != other and row not in REFERENCES and row not in self.not_trained
                if (test := paired_test(answers[row], reference)) is not None
            }
            for (row, test), p_holm in zip(found.items(), holm([test.p for test in found.values()]), strict=True):
                tests[row][other] = replace(test, p_holm=p_holm)
        return tests

    def _unlisted(self, row: str, tested: TestedOn) -> Answers | None:
        """The answers of a row that only others needed."""
        if row in self.protocol.rows:
            return None
        found = self._gather(row, tested)
        return None if isinstance(found, str) else found
