"""`--plan`: what would run, and how long it may take, before anything does."""

from collections import Counter
from collections.abc import Iterator

import torch

from occfer.jobs.graph import Job
from occfer.jobs.worker import Workplace
from occfer.protocols.job_times import START_S, JobTimes
from occfer.protocols.manifests import EXPECTED_ROWS, expected_manifest
from occfer.protocols.paper_figures import table_behind
from occfer.protocols.reproduce import PreparedRequest, prepare_plan
from occfer.protocols.request import Request
from occfer.runs.environment import device_in_words


def plan_lines(request: Request, workplace: Workplace, workers: int) -> Iterator[str]:
    """The plan as lines of text.

    Args:
        request: what is asked for.
        workplace: what each process would use.
        workers: number of processes.

    Raises:
        OccFERError: the request is wrong.
    """
    table = table_behind(request)
    if table is None:
        yield f"{request.what} trains nothing: it takes minutes"
        return
    prepared = prepare_plan(table)
    jobs = prepared.plan.jobs
    waiting = jobs if prepared.unbuilt else tuple(job for job in jobs if not job.done)
    for build in prepared.unbuilt:
        expected = expected_manifest(build, request.builds)
        source = "as published" if build.database in EXPECTED_ROWS else "a guess"
        yield f"build {build.name}: not there yet; planned with {expected.rows:,} images, {source}"
    yield from _counts(prepared, jobs, waiting)
    if workplace.threads:
        torch.set_num_threads(workplace.threads)  # real steps are timed below, with as many threads as a job has
    yield from _estimate(prepared, waiting, workers)


def _counts(prepared: PreparedRequest, jobs: tuple[Job, ...], waiting: tuple[Job, ...]) -> Iterator[str]:
    protocol = prepared.protocol
    counts = {
        "method": len(protocol.methods),
        "column": len(protocol.columns),
        "fold": max((len(known.folds) for known in protocol.sets.values()), default=0),
        "seed": prepared.request.seed_count,
    }
    listed = ", ".join(f"{number} {what}{'s' * (number != 1)}" for what, number in counts.items())
    yield f"{prepared.request.what}: {listed}"
    yield f"{len(jobs)} jobs, {len(jobs) - len(waiting)} done already, {len(waiting)} to run:"
    for (kind, method), count in Counter((job.kind, _method(job)) for job in waiting).items():
        yield f"  {kind} {method}: {count}"


def _method(job: Job) -> str:
    return str(job.payload["config"]["method"]) if job.kind == "train" else job.name.split()[1]


def _estimate(prepared: PreparedRequest, waiting: tuple[Job, ...], workers: int) -> Iterator[str]:
    times = JobTimes(prepared)
    seconds = [times.seconds(job) for job in waiting]
    known = [each for each in seconds if each is not None]
    unknown = Counter(_method(job) for job, each in zip(waiting, seconds, strict=True) if each is None)
    settings = prepared.planner.settings
    # however many processes there are, the longest job has to end
    total = max(sum(known) / workers, max(known, default=0.0))
    yield (
        f"estimate: {_hours(total)} with {workers} process{'es' * (workers > 1)} on "
        f"{device_in_words(settings.device)}, {_hours(sum(known))} of work"
    )
    yield (
        f"  from {times.recorded} jobs of earlier calls, and from real training steps timed now times "
        f"{times.rounds:,.0f} rounds of updates (batch {settings.batch_size}; of pg-cnn and gacnn, "
        f"passes of a few images), plus {START_S:g} s per job"
    )
    if unknown:
        listed = ", ".join(f"{count} of {method}" for method, count in unknown.items())
        yield f"  without {listed}: no job like these has finished here yet"


def _hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
