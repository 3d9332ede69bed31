"""A graph of content-addressed jobs, and the loop that runs it: a failure stops only the jobs that need its result.

A job's key is a digest of everything that its result depends on, the keys of the jobs that it needs included. The name
of its folder ends with the key: a changed option leads to another folder, and changing it back finds the old result.
So nobody has to decide which results are out of date, and a call that was killed continues where it stopped.

Jobs run in waves of those that are ready, in processes on this machine, on a Dask cluster, or as jobs of SLURM.
"""

import shutil
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from occfer.errors import ConfigError, DamagedError, OccFERError, TrainingError
from occfer.files import digest, write_text
from occfer.jobs.result import MARKER, JobMarker, fault, read_marker, write_marker

# Part of every key. Raised when a job of the same content must give another result, which then redoes all jobs.
SCHEMA = 2
KEY_DIGITS = 16
# A job has failed when its process has died this often. It gets a second try because another job may be to blame: one
# that took all memory, or one whose death ended the whole pool.
STRIKES = 2

# Calls a function for every tuple of arguments and yields the results as they come, as `run_chunks` of occsynth does.
ParallelMap = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work.

    Attributes:
        key: digest of what the result depends on.
        kind: what a worker does with it, a key of `occfer.jobs.worker.JOB_KINDS`.
        name: for people, such as `train full on demo-r8, fold 0, seed 1`.
        folder: where its result goes; its name ends with the key's first digits.
        payload: JSON values for the worker. The result may depend only on those that the key covers.
        needs: keys of the jobs that must be done before it.
        label: what jobs that take about as long have in common.
        cost: expected work, in any unit; of the jobs that are ready, the costliest is started first.
    """

    key: str
    kind: str
    name: str
    folder: Path
    payload: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    label: str = ""
    cost: float = 1.0

    @property
    def done(self) -> bool:
        """Whether its result is there and as the job left it; the marker is written last."""
        return (self.folder / MARKER).is_file() and not fault(self.folder, self.key)


def make_job(
    kind: str,
    name: str,
    *,
    parent: Path,
    content: Mapping[str, Any],
    payload: Mapping[str, Any],
    needs: Sequence[Job] = (),
    label: str = "",
    cost: float = 1.0,
    folder_name: str = "",
) -> Job:
    """A job whose key follows from its kind, from `content` and from the keys of what it needs.

    Args:
        parent: the folder that its folder lies in.
        content: JSON values that its result depends on: settings, and digests of files in place of their paths.
        payload: JSON values for the worker; the job's folder is added as `folder`.
        folder_name: how the folder's name begins; by default the kind.
        kind, name, needs, label, cost: see `Job`.
    """
    before = tuple(sorted({job.key for job in needs}))
    key = digest({"schema": SCHEMA, "kind": kind, "content": content, "needs": before})
    folder = parent / f"{folder_name or kind}-{key[:KEY_DIGITS]}"
    return Job(key, kind, name, folder, dict(payload) | {"folder": str(folder)}, before, label, cost)


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended.

    Attributes:
        key: of the job.
        error: one line; empty if it succeeded.
        seconds: how long it took.
        note: what the user should know, in one line; empty if nothing.
        lasting: whether an error is the job's own, so that it would fail again: its training diverged. Any other one,
            such as a full disk, a lost image or a process that was killed, may be gone at the next try.
    """

    key: str
    error: str
    seconds: float
    note: str = ""
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class GraphReport:
    """How a graph ended.

    Attributes:
        jobs: all jobs, by key.
        ran: keys of the jobs that ran now and succeeded.
        failed: key to the error, in one line.
        blocked: key of a job that could not run to the key of the failed job that it would have needed.
    """

    jobs: Mapping[str, Job]
    ran: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)

    def count_blocked(self, key: str) -> int:
        """The number of jobs that a failed one has blocked."""
        return sum(culprit == key for culprit in self.blocked.values())


def in_order(jobs: Iterable[Job]) -> dict[str, Job]:
    """The jobs by key, each after those that it needs; jobs with the same key are one.

    Raises:
        ConfigError: a job needs one that is not in the graph, or jobs need each other.
    """
    by_key = {job.key: job for job in jobs}
    for job in by_key.values():
        for key in job.needs:
            if key not in by_key:
                raise ConfigError(f"job '{job.name}' needs the job {key[:KEY_DIGITS]}, which is not in the graph")
    try:
        order = TopologicalSorter({key: job.needs for key, job in by_key.items()}).static_order()
        return {key: by_key[key] for key in order}
    except CycleError as error:
        raise ConfigError("the jobs need each other in a circle") from error


def unfinished(jobs: Iterable[Job], say: Callable[[str], None]) -> dict[str, Job]:
    """The jobs that are not done, by key, each after those that it needs; damaged results are deleted.

    Of a job that others still need, the model is checked too.

    Args:
        jobs: the graph.
        say: is told in one line of each result that is deleted.
    """
    ordered = in_order(jobs)
    needed: set[str] = set()
    waiting: set[str] = set()
    for key, job in reversed(ordered.items()):
        if (job.folder / MARKER).is_file():
            wrong = fault(job.folder, key, models=key in needed)
            if not wrong:
                continue
            say(f"{job.name} is done again: {wrong}")
            shutil.rmtree(job.folder)
        waiting.add(key)
        needed.update(job.needs)
    return {key: job for key, job in ordered.items() if key in waiting}


def run_graph(
    jobs: Iterable[Job],
    work: Callable[[Job], str | None],
    parallel_map: ParallelMap,
    on_done: Callable[[Job, JobOutcome], None],
    say: Callable[[str], None],
) -> GraphReport:
    """Runs every job that is not done, or whose result is damaged, after the jobs that it needs.

    A job that raises an error blocks those that need it; all others go on. A job whose process dies is tried once more,
    then it has failed.

    Args:
        jobs: the graph.
        work: does one job, and may return a note. It runs in the processes of `parallel_map`, so it must be picklable.
        parallel_map: runs the jobs of a wave.
        on_done: called in this process with each job and its outcome, as they come.
        say: tells the user something, one line at a time.
    """
    ordered = in_order(jobs)
    waiting = unfinished(ordered.values(), say)
    ran: list[str] = []
    failed: dict[str, str] = {}
    blocked: dict[str, str] = {}
    strikes: dict[str, int] = defaultdict(int)
    with warnings.catch_warnings():
        # joblib replaces a process that has grown, and warns; networks of hundreds of megabytes make that normal
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
        while waiting:
            _block(waiting, failed, blocked)
            ready = [job for job in waiting.values() if not any(need in waiting for need in job.needs)]
            ready.sort(key=lambda job: -job.cost)
            for outcome in _wave(ready, work, parallel_map, strikes):
                job = waiting.pop(outcome.key)
                if outcome.note:
                    say(f"{job.name}: {outcome.note}")
                if outcome.error:
                    failed[job.key] = outcome.error
                else:
                    ran.append(job.key)
                on_done(job, outcome)
    return GraphReport(ordered, tuple(ran), failed, blocked)


def _block(waiting: dict[str, Job], failed: Mapping[str, str], blocked: dict[str, str]) -> None:
    """Moves jobs that can no longer run from `waiting` to `blocked`, each with the failed job that is to blame."""
    for key, job in list(waiting.items()):
        culprit = next((blocked.get(need, need) for need in job.needs if need in failed or need in blocked), None)
        if culprit is not None:
            blocked[key] = culprit
            del waiting[key]


def _wave(
    ready: Sequence[Job], work: Callable[[Job], str | None], parallel_map: ParallelMap, strikes: dict[str, int]
) -> Iterator[JobOutcome]:
    """Runs the jobs that are ready and yields their outcomes.

    If a process of the pool dies, the wave ends early. Jobs without an outcome stay in `run_graph`'s list and come into
    the next wave; those that were running then are counted in `strikes`, and have failed after `STRIKES` times.
    """
    reported: set[str] = set()
    for job in ready:
        _flag(job).unlink(missing_ok=True)  # may be left from a call that was killed
    try:
        for outcome in parallel_map(attempt, [(work, job) for job in ready]):
            reported.add(outcome.key)
            yield outcome
    except Exception as error:  # of the pool itself, such as a worker that was killed or a node that was lost
        running = [job for job in ready if job.key not in reported and _flag(job).is_file()]
        if not running:
            raise
        for job in running:
            _flag(job).unlink(missing_ok=True)
            strikes[job.key] += 1
            if strikes[job.key] == STRIKES:
                said = f"its process died twice ({type(error).__name__}); perhaps there is too little memory"
                yield JobOutcome(job.key, said, 0.0)


def attempt(work: Callable[[Job], str | None], job: Job) -> JobOutcome:
    """Does one job and returns how it ended; writes the marker of a finished job, or the traceback beside its folder.

    While it works, a flag beside the folder tells `_wave` which jobs were running when a process died.
    """
    began = time.perf_counter()
    flag, trace = _flag(job), job.folder.with_name(f"{job.folder.name}.error.txt")
    flag.parent.mkdir(parents=True, exist_ok=True)
    flag.touch()
    try:
        note = work(job) or ""
        seconds = time.perf_counter() - began
        job.folder.mkdir(parents=True, exist_ok=True)
        write_marker(job.folder, JobMarker(job.key, job.kind, job.name, job.label, seconds))
        trace.unlink(missing_ok=True)
        return JobOutcome(job.key, "", seconds, note)
    except Exception as error:  # whatever went wrong must not stop the other jobs
        write_text(trace, traceback.format_exc())
        lasting = isinstance(error, TrainingError)
        return JobOutcome(job.key, _reason(error), time.perf_counter() - began, lasting=lasting)
    finally:
        flag.unlink(missing_ok=True)


def lost_job(arguments: tuple[Any, ...], reason: str) -> JobOutcome:
    """The outcome of a job whose process on a cluster ended without one, from the arguments of `attempt`."""
    job: Job = arguments[1]
    _flag(job).unlink(missing_ok=True)
    return JobOutcome(job.key, reason, 0.0)


def timings(runs: Path) -> dict[str, list[float]]:
    """The seconds that each finished job in a folder took, by label; markers that cannot be read are left out."""
    found: dict[str, list[float]] = defaultdict(list)
    for marker in sorted(runs.glob(f"*/{MARKER}")):
        try:
            facts = read_marker(marker.parent)
        except DamagedError:
            continue  # the times only serve an estimate
        found[facts.label].append(facts.seconds)
    return found


def _reason(error: Exception) -> str:
    """Why a job failed in one line, with its class in front where occfer did not raise it on purpose."""
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, OccFERError) else f"{type(error).__name__}: {text}"


def _flag(job: Job) -> Path:
    return job.folder.with_name(f".{job.folder.name}.running")
