"""A graph of content-addressed jobs, and the loop that runs it: what is done stays done, what fails fails alone.

A job's key is a digest of everything that its result depends on, the keys of the jobs it needs among it. Its folder
carries the key in its name, so a changed option leads to another folder, and going back to the old one finds the old
result. Jobs run in waves of those that are ready, through the same loop as the builds of occsynth: over processes here,
or on a Dask cluster.
"""

import json
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from occfer.config import digest
from occfer.errors import ConfigError, OccFERError
from occfer.files import write_json

SCHEMA = 1  # raised when the same job has to give another result
MARKER = "job.json"
KEY_DIGITS = 16
STRIKES = 2  # a job that was running when its process died gets one more try

# `run_chunks` of occsynth: calls a function for every tuple of arguments and yields the results as they come.
Spread = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work.

    Attributes:
        key: digest of what the result depends on.
        kind: what a worker does with it.
        name: for people, such as `train full on demo-r8, fold 0, seed 1`.
        folder: where its result goes; it ends with the key's first digits.
        payload: JSON values for the worker; what of them matters is in the key.
        needs: keys of the jobs before it.
        label: what jobs that take about as long have in common.
        cost: expected work, in any unit; the longest of the ready jobs is started first.
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
        """Whether its result is there."""
        return (self.folder / MARKER).is_file()


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
        parent: the folder of its folder.
        content: JSON values that its result depends on.
        payload: JSON values for the worker; the folder is added to it as `folder`.
        folder_name: what the folder's name begins with; default the kind.
        kind, name, needs, label, cost: see `Job`.
    """
    before = tuple(sorted({job.key for job in needs}))
    key = digest({"schema": SCHEMA, "kind": kind, "content": content, "needs": before})
    folder = parent / f"{folder_name or kind}-{key[:KEY_DIGITS]}"
    return Job(key, kind, name, folder, dict(payload) | {"folder": str(folder)}, before, label, cost)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: `error` is one line, empty if it went well."""

    key: str
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class GraphReport:
    """How a graph ended.

    Attributes:
        jobs: all of them, by key.
        ran: keys of those that were run now and went well.
        failed: key to one-line error.
        blocked: key of a job that could not run to the key of the failed job it would have needed.
    """

    jobs: Mapping[str, Job]
    ran: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)

    def count_blocked(self, key: str) -> int:
        """How many jobs a failed one has blocked."""
        return sum(culprit == key for culprit in self.blocked.values())


def in_order(jobs: Iterable[Job]) -> dict[str, Job]:
    """The jobs by key, each after those that it needs; equal ones are one.

    Raises:
        ConfigError: a job needs one that is not there, or they go round in a circle.
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


def run_graph(
    jobs: Iterable[Job], work: Callable[[Job], None], spread: Spread, on_done: Callable[[Job, Outcome], None]
) -> GraphReport:
    """Runs every job that is not done, those that it needs first.

    A job that raises is reported and blocks those that need it; the rest goes on. A job whose process dies is tried
    once more, then it has failed.

    Args:
        jobs: the graph.
        work: does one job; called in the processes of `spread`, and pickled where those are others.
        spread: see `Spread`.
        on_done: called here with each job and its outcome, as they come.
    """
    ordered = in_order(jobs)
    waiting = {key: job for key, job in ordered.items() if not job.done}
    ran: list[str] = []
    failed: dict[str, str] = {}
    blocked: dict[str, str] = {}
    strikes: dict[str, int] = defaultdict(int)
    with warnings.catch_warnings():
        # a pool replaces processes that have grown, as networks of hundreds of megabytes make them
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
        while waiting:
            _block(waiting, failed, blocked)
            ready = [job for job in waiting.values() if not any(need in waiting for need in job.needs)]
            ready.sort(key=lambda job: -job.cost)
            for outcome in _wave(ready, work, spread, strikes):
                job = waiting.pop(outcome.key)
                if outcome.error:
                    failed[job.key] = outcome.error
                else:
                    ran.append(job.key)
                on_done(job, outcome)
    return GraphReport(ordered, tuple(ran), failed, blocked)


def _block(waiting: dict[str, Job], failed: Mapping[str, str], blocked: dict[str, str]) -> None:
    """Moves jobs that can never run from those that wait to those that are blocked, with the failed job behind it."""
    for key, job in list(waiting.items()):
        culprit = next((blocked.get(need, need) for need in job.needs if need in failed or need in blocked), None)
        if culprit is not None:
            blocked[key] = culprit
            del waiting[key]


def _wave(
    ready: Sequence[Job], work: Callable[[Job], None], spread: Spread, strikes: dict[str, int]
) -> Iterator[Outcome]:
    """Outcomes of the ready jobs; without those that never began because a process of the pool died."""
    reported: set[str] = set()
    for job in ready:
        _flag(job).unlink(missing_ok=True)  # of a run that was killed
    try:
        for outcome in spread(attempt, [(work, job) for job in ready]):
            reported.add(outcome.key)
            yield outcome
    except Exception as error:  # the pool's own kinds: a worker that was killed, a lost node
        running = [job for job in ready if job.key not in reported and _flag(job).is_file()]
        if not running:
            raise
        for job in running:
            _flag(job).unlink(missing_ok=True)
            strikes[job.key] += 1
            if strikes[job.key] == STRIKES:
                yield Outcome(job.key, f"its process died twice ({type(error).__name__}); is memory short?", 0.0)


def attempt(work: Callable[[Job], None], job: Job) -> Outcome:
    """Does one job and says how it ended; writes the marker that it is done, or the traceback beside its folder."""
    began = time.perf_counter()
    flag, trace = _flag(job), job.folder.with_name(f"{job.folder.name}.error.txt")
    flag.parent.mkdir(parents=True, exist_ok=True)
    flag.touch()
    try:
        work(job)
        seconds = time.perf_counter() - began
        job.folder.mkdir(parents=True, exist_ok=True)
        facts = {"key": job.key, "kind": job.kind, "name": job.name, "label": job.label, "seconds": seconds}
        write_json(job.folder / MARKER, facts)
        trace.unlink(missing_ok=True)
        return Outcome(job.key, "", seconds)
    except Exception as error:  # whatever it is, it is this job's alone
        trace.write_text(traceback.format_exc(), encoding="utf-8")
        return Outcome(job.key, one_line(error), time.perf_counter() - began)
    finally:
        flag.unlink(missing_ok=True)


def timings(runs: Path) -> dict[str, list[float]]:
    """Seconds that the finished jobs in a folder took, by label."""
    found: dict[str, list[float]] = defaultdict(list)
    for marker in sorted(runs.glob(f"*/{MARKER}")):
        try:
            facts = json.loads(marker.read_text(encoding="utf-8"))
            found[str(facts["label"])].append(float(facts["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it only makes the estimate worse
    return found


def one_line(error: BaseException) -> str:
    """An error as one line; the kind is named where it is not an error of ours."""
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, OccFERError) else f"{type(error).__name__}: {text}"


def _flag(job: Job) -> Path:
    return job.folder.with_name(f".{job.folder.name}.running")
