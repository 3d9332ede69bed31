"""`occfer reproduce table1|table2|table3`: makes the builds, runs the jobs, and writes the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from occfer.data.manifests import CONTEMPT, EXPRESSIONS
from occfer.errors import ReportError, lookup
from occfer.jobs.graph import GraphReport, Job, JobOutcome, ParallelMap, run_graph, unfinished
from occfer.jobs.worker import Workplace, do_job
from occfer.protocols.assemble import Assembler
from occfer.protocols.crops import crop_notes
from occfer.protocols.manifests import (
    TEMPLATE,
    Builder,
    NeededBuild,
    ProtocolManifest,
    ensure,
    expected_manifest,
    read_manifest,
)
from occfer.protocols.paper_tables import TABLES
from occfer.protocols.plan import Plan, Planner
from occfer.protocols.protocol import Protocol
from occfer.protocols.provenance import provenance
from occfer.protocols.request import Request, claimed
from occfer.runs.environment import read_environment
from occfer.tables.columns import adjusted
from occfer.tables.lines import control_note, is_untrained
from occfer.tables.published import MISQUOTED, published_figures
from occfer.tables.result_table import FailedJob, ResultTable
from occfer.tables.table_file import FILE, read_table, write_table
from occfer.tables.text_files import write_texts


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """How a request is carried out, as the command line decides it.

    Attributes:
        build: makes builds of occsynth.
        parallel_map: runs jobs in processes or on a cluster.
        workplace: what each of those processes may use.
        say: tells the user something, one line at a time.
    """

    build: Builder
    parallel_map: ParallelMap
    workplace: Workplace
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRequest:
    """A request with its jobs, before any of them runs.

    Attributes:
        unbuilt: builds that are not made yet. Only `--plan` may have some; the keys of its jobs are then provisional,
            since they depend on what the manifests will hold.
        errors: builds that could not be made, with the error in one line.
    """

    request: Request
    protocol: Protocol
    planner: Planner
    plan: Plan
    unbuilt: tuple[NeededBuild, ...]
    errors: Mapping[NeededBuild, str]


@dataclass(frozen=True, slots=True, eq=False)
class ReproducedTable:
    """A table whose jobs have run.

    Attributes:
        table: the result.
        file: table.json; table.csv, table.md and table.tex lie beside it.
        prepared, report: what was to be done, and how it ended.
    """

    table: ResultTable
    file: Path
    prepared: PreparedRequest
    report: GraphReport

    @property
    def failures(self) -> int:
        """The number of failed jobs and builds, without those that they blocked."""
        return len(self.table.provenance.failed)


def prepare_plan(request: Request) -> PreparedRequest:
    """The jobs of a request, as far as they are known before anything is built.

    Raises:
        OccFERError: the request is wrong.
    """
    builds = lookup(TABLES, request.what, kind="table").builds(request)
    unbuilt = tuple(each for each in builds if not each.path(request.builds).is_file())
    manifests = {
        each: expected_manifest(each, request.builds) if each in unbuilt else read_manifest(each.path(request.builds))
        for each in builds
    }
    return _prepare(request, manifests, {}, unbuilt)


def prepare_builds(request: Request, context: ExecutionContext) -> PreparedRequest:
    """The jobs of a request, after the missing builds were made.

    Raises:
        OccFERError: the request is wrong.
    """
    builds = lookup(TABLES, request.what, kind="table").builds(request)
    # a trial with expected manifests, so that a wrong request is refused before hours of building
    expected = {each: expected_manifest(each, request.builds) for each in builds}
    TABLES[request.what].protocol(request, expected, {})
    request.base(Path("none.csv"))
    manifests, errors = ensure(builds, request.builds, context.build)
    for build, error in errors.items():
        context.say(f"build {build.name} failed: {error}")
    return _prepare(request, manifests, errors, ())


def _prepare(
    request: Request,
    manifests: Mapping[NeededBuild, ProtocolManifest],
    errors: Mapping[NeededBuild, str],
    unbuilt: tuple[NeededBuild, ...],
) -> PreparedRequest:
    protocol = TABLES[request.what].protocol(request, manifests, errors)
    any_manifest = next((each.path for each in manifests.values()), Path("none.csv"))
    planner = Planner(protocol, request.base(any_manifest), request.seed_count, request.out, request.keep_models)
    return PreparedRequest(request, protocol, planner, planner.plan(), unbuilt, errors)


def reproduce(request: Request, context: ExecutionContext) -> ReproducedTable:
    """Runs the jobs of a table that are not done yet, and writes the table.

    Args:
        request: which table.
        context: how its jobs are run.

    Raises:
        OccFERError: the request is wrong, or another process works in the same folder. A failed job raises nothing: the
            table's provenance names it.
    """
    # two calls in one folder would train the same jobs into the same folders at the same time
    with claimed(request):
        made = run_protocol(request, context)
        _tell_what_goes(request, made.table, context.say)
        write_table(request.folder, made.table)
        write_texts(request.folder, made.table)
    return made


def _tell_what_goes(request: Request, table: ResultTable, say: Callable[[str], None]) -> None:
    """Names what an earlier table in the same folder shows and this one does not."""
    try:
        before = read_table(request.folder)
    except ReportError:
        return
    then, now = (
        [line.key for line in each.lines] + [column.key for column in each.columns] for each in (before, table)
    )
    if gone := [key for key in then if key not in now]:
        again = f"`{before.provenance.command}` makes it again from the finished runs"
        say(f"the table in {request.folder} also showed {', '.join(gone)}; {again}")


def run_protocol(request: Request, context: ExecutionContext) -> ReproducedTable:
    """Runs the jobs of a table that are not done yet, in a folder that was claimed; nothing else is written.

    Raises:
        OccFERError: the request is wrong.
    """
    prepared = prepare_builds(request, context)
    report = run_jobs(prepared, context)
    return ReproducedTable(make_table(prepared, report), request.folder / FILE, prepared, report)


def run_jobs(prepared: PreparedRequest, context: ExecutionContext) -> GraphReport:
    """Runs the jobs of a plan and tells the user how each ended."""
    jobs = prepared.plan.jobs
    progress = _Progress(context.say, len(unfinished(jobs, context.say)))
    done = len(jobs) - progress.count
    context.say(f"{len(jobs)} jobs, {done} of them done already")
    work = partial(do_job, workplace=context.workplace)
    report = run_graph(jobs, work, context.parallel_map, progress, context.say)
    for key, culprit in report.blocked.items():
        context.say(f"blocked: {report.jobs[key].name} (needs: {report.jobs[culprit].name})")
    return report


@dataclass(slots=True)
class _Progress:
    """Tells the user how each job ended, and counts them."""

    say: Callable[[str], None]
    count: int
    ended: int = 0

    def __call__(self, job: Job, outcome: JobOutcome) -> None:
        self.ended += 1
        how = f"failed: {outcome.error}" if outcome.error else f"{outcome.seconds:.0f} s"
        self.say(f"[{self.ended}/{self.count}] {job.name}: {how}")


def make_table(prepared: PreparedRequest, report: GraphReport) -> ResultTable:
    """The table of a protocol whose jobs have run."""
    request, protocol = prepared.request, prepared.protocol
    settings = prepared.planner.settings
    values = settings.to_json()
    untrained = frozenset(method for method in protocol.methods if is_untrained(method, values))
    assembler = Assembler(request.what, prepared.planner, prepared.plan, report, request.folder, untrained)
    shown = request.databases or ("the paper's databases",)
    table = ResultTable(
        key=request.what,
        title=f"{TABLES[request.what].title}, on {', '.join(shown)}{' (quick)' if request.quick else ''}",
        database=",".join(request.databases),
        quick=request.quick,
        quantity="accuracy",
        columns=tuple(tested.column for tested in protocol.columns),
        lines=assembler.lines(),
        notes=(*_notes(prepared), *protocol.notes, *crop_notes(protocol), *([MISQUOTED] if protocol.published else ())),
        provenance=provenance(request, settings, protocol.manifests, _failed(prepared, report), _devices(prepared)),
        published=published_figures(protocol.published),
    )
    return adjusted(table)


def _notes(prepared: PreparedRequest) -> list[str]:
    request = prepared.request
    notes = []
    if request.quick:
        notes.append(
            "Quick: a small network from random weights, one epoch per stage. This shows that every line of the table "
            "runs; its accuracies are not results"
        )
    if request.fill != TEMPLATE:
        notes.append(f"Faces are hidden by {request.fill}; the paper's templates are food, hands and drinks")
    if request.classes != len(EXPRESSIONS):
        notes.append(
            f"{request.classes} classes, {CONTEMPT} included: the paper's figures are for {len(EXPRESSIONS)}, and "
            "cannot be compared"
        )
    if request.seed_count > 1:
        notes.append(
            f"Means over {request.seed_count} seeds; a p-value is min(1, 2 x the median of the seeds' p-values)"
        )
    notes += dict.fromkeys(
        f"{len(known.folds)} of {len(known.manifests[0].folds)} folds only"
        for known in prepared.protocol.sets.values()
        if len(known.folds) < len(known.manifests[0].folds)
    )
    notes += control_note(prepared.protocol.methods)
    notes += [f"{column}: {error}" for column, error in prepared.protocol.absent.items()]
    return notes


def _failed(prepared: PreparedRequest, report: GraphReport) -> tuple[FailedJob, ...]:
    builds = [FailedJob(f"build {build.name}", error) for build, error in prepared.errors.items()]
    jobs = [FailedJob(report.jobs[key].name, error, report.count_blocked(key)) for key, error in report.failed.items()]
    return (*builds, *jobs)


def _devices(prepared: PreparedRequest) -> str:
    """The devices that the runs of the plan ran on, on whichever machine of a cluster."""
    found = [read_environment(job.folder).device for job in prepared.plan.train.values() if job.done]
    return "; ".join(sorted({each for each in found if each}))
