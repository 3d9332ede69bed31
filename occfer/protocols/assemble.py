"""From the predictions of many runs to the lines of a table: pooled, with intervals and paired tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from occfer.jobs.graph import GraphReport, Job
from occfer.method_table import METHOD_TABLE
from occfer.metrics.clean_result import read_clean_result
from occfer.metrics.predictions import read_predictions
from occfer.protocols.plan import Plan, Planner
from occfer.protocols.protocol import Protocol, TestedOn
from occfer.tables.cells import MethodPredictions
from occfer.tables.columns import TESTED_AGAINST, ColumnEntry, make_column
from occfer.tables.lines import by_clean_landmarks, make_line
from occfer.tables.paper import paper_figure
from occfer.tables.result_table import AnyCell, TableLine


def gather(planner: Planner, plan: Plan, method: str, tested: TestedOn, report: GraphReport) -> MethodPredictions | str:
    """A method's predictions for a column, or in a word why there are none.

    Folds that only some seeds have finished are left out, so that every seed is tested on the same images; the note of
    the predictions then tells how many folds there are.
    """
    training_set = planner.protocol.sets[tested.training]
    jobs = {(run.seed, run.fold): plan.result(run, tested) for run in planner.runs(tested.training, [method])}
    done = {place: job for place, job in jobs.items() if job is not None and job.done}
    seeds = sorted({seed for seed, _ in jobs})
    with_results = [seed for seed in seeds if any((seed, fold) in done for fold in training_set.folds)]
    folds = [fold for fold in training_set.folds if all((seed, fold) in done for seed in with_results)]
    if not with_results or not folds:
        return _why(list(jobs.values()), report)
    used = {(seed, fold): done[seed, fold] for seed in with_results for fold in folds}
    parts = {
        seed: {fold: read_predictions(used[seed, fold].folder / "predictions.csv") for fold in folds}
        for seed in with_results
    }
    clean = {seed: {fold: read_clean_result(used[seed, fold].folder) for fold in folds} for seed in with_results}
    notes = [
        f"{len(have)} of {len(want)} {what}"
        for have, want, what in ((folds, training_set.folds, "folds"), (with_results, seeds, "seeds"))
        if len(have) < len(want)
    ]
    known = {seed: {fold: part for fold, part in each.items() if part is not None} for seed, each in clean.items()}
    return MethodPredictions(
        parts,
        tuple(job.folder for job in used.values()),
        ", ".join(notes),
        known if known == clean else {},  # jobs of earlier versions have tested the occluded faces alone
    )


def _why(jobs: Sequence[Job | None], report: GraphReport) -> str:
    keys = {job.key for job in jobs if job is not None}
    if keys & set(report.failed):
        return "failed"
    return "blocked" if keys & set(report.blocked) else "not run"


@dataclass(frozen=True, slots=True, eq=False)
class Assembler:
    """Makes the lines of a table.

    Attributes:
        table: its key, for the paper's figures.
        planner, plan, report: what was planned, and how it ended.
        folder: the folder of the table's file, to which the folders of runs are relative.
        untrained: methods that only ran to show that they run; they take part in no test.
    """

    table: str
    planner: Planner
    plan: Plan
    report: GraphReport
    folder: Path
    untrained: frozenset[str] = frozenset()

    @property
    def protocol(self) -> Protocol:
        """What was to be done."""
        return self.planner.protocol

    def lines(self) -> tuple[TableLine, ...]:
        """A line for every method of the protocol, with a cell for each column."""
        columns = {tested.column.key: self._column(tested) for tested in self.protocol.columns}
        settings = self.planner.settings.to_json()
        return tuple(
            make_line(
                method,
                {key: cells[index] for key, cells in columns.items()},
                untrained=method in self.untrained,
                clean_landmarks=by_clean_landmarks(method, settings),
            )
            for index, method in enumerate(self.protocol.methods)
        )

    def _column(self, tested: TestedOn) -> list[AnyCell]:
        key = tested.column.key
        entries = [
            ColumnEntry(
                method,
                "no data" if key in self.protocol.absent else self._gather(method, tested),
                paper_figure(self.table, key, method),
                untrained=method in self.untrained,
            )
            for method in self.protocol.methods
        ]
        has_results = any(isinstance(entry.result, MethodPredictions) for entry in entries)
        return make_column(entries, self.folder, self._unlisted(tested) if has_results else {})

    def _gather(self, method: str, tested: TestedOn) -> MethodPredictions | str:
        if method not in METHOD_TABLE:
            return "not available"
        if not tested.takes(method, self.protocol.sets[tested.training]):
            return "no clean images"
        return gather(self.planner, self.plan, method, tested, self.report)

    def _unlisted(self, tested: TestedOn) -> dict[str, MethodPredictions]:
        """What others are tested against, where the plan trains it only because they need its branch."""
        unlisted = [method for method in TESTED_AGAINST if method not in self.protocol.methods]
        found = {method: self._gather(method, tested) for method in unlisted}
        return {method: result for method, result in found.items() if isinstance(result, MethodPredictions)}
