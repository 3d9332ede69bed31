"""From the predictions of many runs to the cells of a table: pooled, with intervals and paired tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from occfer.jobs.graph import GraphReport, Job
from occfer.method_table import METHOD_TABLE
from occfer.metrics.predictions import read_predictions
from occfer.metrics.significance import holm
from occfer.protocols.plan import Plan, Planner, Protocol, TestedOn
from occfer.tables.cells import AGAINST, Answers, make_cell, paired_test
from occfer.tables.paper import paper_figure
from occfer.tables.paper_rows import CONTROL, REFERENCES
from occfer.tables.result_table import AnyCell, Cell, Missing, PairedTest, TableRow


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
        found = METHOD_TABLE.get(row)
        return TableRow(
            key=row,
            title=row if found is None else found.title,
            cells=cells,
            reconstruction=found is not None and found.reconstruction,
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
            found = reason or ("not available" if row not in METHOD_TABLE else self._gather(row, tested))
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
