"""`occfer reproduce table1|table2|table3`: builds, jobs, and the table that comes of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from occfer.config import NOT_COMPARED, TrainConfig
from occfer.errors import ConfigError, lookup
from occfer.jobs.graph import GraphReport, Job, Outcome, Spread, run_graph
from occfer.jobs.worker import Workplace, do_job
from occfer.protocols.assemble import Assembler
from occfer.protocols.manifests import Build, Builder, ManifestFacts, ensure, expected_facts, read_facts
from occfer.protocols.paper_tables import TABLES
from occfer.protocols.plan import Plan, Planner, Protocol
from occfer.protocols.request import Request
from occfer.runs.environment import device_in_words, read_environment, versions
from occfer.tables.paper_rows import control_note, is_trial
from occfer.tables.result_table import FILE, FailedJob, Provenance, ResultTable, UsedManifest, write_table
from occfer.tables.text import write_texts

LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Tools:
    """What the command line hands over.

    Attributes:
        build: makes builds of occsynth.
        spread: runs jobs over processes or a cluster, see `occfer.jobs.graph.Spread`.
        workplace: how jobs run there.
        say: tells the user something, a line at a time.
    """

    build: Builder
    spread: Spread
    workplace: Workplace
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A request with its jobs, before any of them runs.

    Attributes:
        unbuilt: builds that are not made yet; only a plan may have some, and its jobs then have no lasting keys.
        errors: builds that could not be had, with the one-line error.
    """

    request: Request
    protocol: Protocol
    planner: Planner
    plan: Plan
    unbuilt: tuple[Build, ...]
    errors: Mapping[Build, str]


@dataclass(frozen=True, slots=True, eq=False)
class Reproduced:
    """What came out.

    Attributes:
        table: the result.
        file: table.json; table.csv, table.md and table.tex lie beside it.
        prepared, report: what was to be done, and how it ended.
    """

    table: ResultTable
    file: Path
    prepared: Prepared
    report: GraphReport

    @property
    def failures(self) -> int:
        """Failed jobs and builds, without what they blocked."""
        return len(self.table.provenance.failed)


def prepare_plan(request: Request) -> Prepared:
    """The jobs of a request as far as they can be known before anything is built.

    Raises:
        OccFERError: the request is wrong.
    """
    builds = lookup(TABLES, request.what, kind="table").builds(request)
    unbuilt = tuple(each for each in builds if not each.path(request.builds).is_file())
    found = {
        each: expected_facts(each, request.builds) if each in unbuilt else read_facts(each.path(request.builds))
        for each in builds
    }
    return _prepare(request, found, {}, unbuilt)


def prepare_builds(request: Request, tools: Tools) -> Prepared:
    """The jobs of a request, after what it needs was built.

    Raises:
        OccFERError: the request is wrong.
    """
    builds = lookup(TABLES, request.what, kind="table").builds(request)
    # a wrong request is told before anything is built
    expected = {each: expected_facts(each, request.builds) for each in builds}
    TABLES[request.what].protocol(request, expected, {})
    request.base(Path("none.csv"))
    found, errors = ensure(builds, request.builds, tools.build)
    for build, error in errors.items():
        tools.say(f"build {build.name} failed: {error}")
    return _prepare(request, found, errors, ())


def _prepare(
    request: Request, found: Mapping[Build, ManifestFacts], errors: Mapping[Build, str], unbuilt: tuple[Build, ...]
) -> Prepared:
    protocol = TABLES[request.what].protocol(request, found, errors)
    any_manifest = next((each.path for each in found.values()), Path("none.csv"))
    planner = Planner(protocol, request.base(any_manifest), request.seed_count, request.out, request.keep_models)
    return Prepared(request, protocol, planner, planner.plan(), unbuilt, errors)


def reproduce(request: Request, tools: Tools, *, write: bool = True) -> Reproduced:
    """Runs what is not done yet of a table, and writes the table.

    Args:
        request: which.
        tools: to do it with.
        write: whether the table's files are written; a figure needs the runs alone.

    Raises:
        OccFERError: the request is wrong, or another process works in the same folder. A failed job is no error: it is
            reported in the table's provenance.
    """
    request.out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(request.out / LOCK, timeout=0):
            prepared = prepare_builds(request, tools)
            report = run_jobs(prepared, tools)
            table = make_table(prepared, report)
            if write:
                write_table(request.folder, table)
                write_texts(request.folder, table)
            return Reproduced(table, request.folder / FILE, prepared, report)
    except Timeout as error:
        raise ConfigError(
            f"--out {request.out} is in use by another occfer reproduce; wait for it, or choose another folder"
        ) from error


def run_jobs(prepared: Prepared, tools: Tools) -> GraphReport:
    """Runs the jobs of a plan and says how each ended."""
    jobs = prepared.plan.jobs
    progress = _Progress(tools.say, sum(not job.done for job in jobs))
    done = len(jobs) - progress.count
    tools.say(f"{len(jobs)} jobs, {done} of them done already")
    report = run_graph(jobs, partial(do_job, workplace=tools.workplace), tools.spread, progress)
    for key, culprit in report.blocked.items():
        tools.say(f"blocked: {report.jobs[key].name} (needs: {report.jobs[culprit].name})")
    return report


@dataclass(slots=True)
class _Progress:
    """Says how a job ended, with how many there are."""

    say: Callable[[str], None]
    count: int
    ended: int = 0

    def __call__(self, job: Job, outcome: Outcome) -> None:
        self.ended += 1
        how = f"failed: {outcome.error}" if outcome.error else f"{outcome.seconds:.0f} s"
        self.say(f"[{self.ended}/{self.count}] {job.name}: {how}")


def make_table(prepared: Prepared, report: GraphReport) -> ResultTable:
    """The table of a protocol whose jobs have run."""
    request, protocol = prepared.request, prepared.protocol
    settings = prepared.planner.settings
    plain = settings.to_json()
    not_trained = frozenset(row for row in protocol.rows if is_trial(row, plain))
    assembler = Assembler(request.what, prepared.planner, prepared.plan, report, request.folder, not_trained)
    shown = request.databases or ("the paper's databases",)
    return ResultTable(
        key=request.what,
        title=f"{TABLES[request.what].title}, on {', '.join(shown)}{' (quick)' if request.quick else ''}",
        database=",".join(request.databases),
        quick=request.quick,
        measure="accuracy",
        columns=tuple(tested.column for tested in protocol.columns),
        rows=assembler.rows(),
        notes=(*_notes(prepared), *protocol.notes),
        provenance=provenance(request, settings, protocol.manifests, _failed(prepared, report), _devices(prepared)),
    )


def _notes(prepared: Prepared) -> list[str]:
    request = prepared.request
    notes = []
    if request.quick:
        notes.append(
            "Quick: a small network from random weights, one epoch a stage; it shows that every row runs, and its "
            "accuracies are no result"
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
    notes += control_note(prepared.protocol.rows)
    notes += [f"{column}: {error}" for column, error in prepared.protocol.absent.items()]
    return notes


def _failed(prepared: Prepared, report: GraphReport) -> tuple[FailedJob, ...]:
    builds = [FailedJob(f"build {build.name}", error) for build, error in prepared.errors.items()]
    jobs = [FailedJob(report.jobs[key].name, error, report.count_blocked(key)) for key, error in report.failed.items()]
    return (*builds, *jobs)


def _devices(prepared: Prepared) -> str:
    """What the runs of the plan ran on, on whatever machine of a cluster."""
    found = [read_environment(job.folder).get("device", "") for job in prepared.plan.train.values() if job.done]
    return "; ".join(sorted({each for each in found if each}))


def provenance(
    request: Request,
    settings: TrainConfig,
    manifests: tuple[ManifestFacts, ...] = (),
    failed: tuple[FailedJob, ...] = (),
    device: str = "",
) -> Provenance:
    """What ran where on what; without `device`, on this machine's."""
    return Provenance(
        command=request.command,
        versions=versions(),
        device=device or device_in_words(settings.device),
        manifests=tuple(UsedManifest(each.name, each.sha256, each.rows, each.rejects) for each in manifests),
        failed=failed,
        settings=changed_settings(settings),
    )


def changed_settings(settings: TrainConfig) -> dict[str, Any]:
    """The fields that decide results and are not at their defaults, JSON values."""
    plain = settings.to_json()
    left_out = NOT_COMPARED | {"manifests", "test_manifests", "method", "fold"}
    return {
        field.name: plain[field.name]
        for field in fields(settings)
        if field.name not in left_out and getattr(settings, field.name) != field.default
    }
