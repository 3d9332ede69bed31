"""Work on a SLURM cluster: chunks become the jobs of SLURM's arrays, through submitit.

submitit writes what a job is to do into a folder, as a pickle, and the job answers with a pickle there. Whoever can
write to that folder can run code as its owner. So nobody else may, and both pickles are deleted once they were read.
"""

import logging
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

from occsynth.errors import BuildError, OccSynthError
from occsynth.files import explained_os_errors

SLURM_FOLDER = "slurm"
"""Of a build root or of runs: where scripts and logs of their jobs lie."""
CHUNKS_IN_A_JOB = 128
"""Where a chunk is some dozens of images: a job then works on some thousands, which takes a core a minute."""

_POLL_S = 1.0
_ASK_S = 30.0
_PATIENCE_S = 120
"""How long jobs of an earlier call that were cancelled get until they are gone."""
_LAST_BYTES = 4096
_SUBMITTED = "_submitted.pkl"
_SET_HERE = ("array", "error", "output")
_AGAIN = "Run the same command again: finished work is kept"

_AT_ONCE = 16

Chunk = tuple[Any, ...]
Work = Callable[[list[Chunk]], list[Any] | OccSynthError]
"""Returns the results for a list of chunks, in any order, or what the user is to be told."""


def jobs_at_once(backend: str) -> int | None:
    """How many of SLURM's jobs are in its queue at a time where nobody says; None for other backends."""
    return _AT_ONCE if backend == "slurm" else None


@dataclass(frozen=True, slots=True)
class SlurmJobs:
    """How chunks of work become jobs of a SLURM cluster.

    Attributes:
        folder: for scripts, pickles and logs; all nodes must see it at the same path.
        options: `KEY=VALUE` or `KEY` each: long options of sbatch without the dashes. `time` must be there. Two are not
            SLURM's: `setup` is a line for the shell before Python starts, and may come several times; `cluster=local`
            runs the jobs as processes of this machine, to try them.
        chunks_each: how many chunks a job takes: queueing and starting it should take less time than its work.
        lost: makes the result of a chunk whose job ended without an answer, from its arguments and the reason; without
            it, this is an error.

    Raises:
        BuildError: an option is none.
    """

    folder: Path
    options: tuple[str, ...] = ()
    chunks_each: int = 1
    lost: Callable[[Chunk, str], Any] | None = None

    def __post_init__(self) -> None:
        for option in self.options:
            key, _, value = option.partition("=")
            if not re.fullmatch(r"[a-z][a-z0-9-]*", key) or not value.isprintable():
                raise BuildError(
                    f"--slurm {option}: give a long option of sbatch without its dashes, such as partition=gpu"
                )
            if key in _SET_HERE:
                raise BuildError(f"--slurm {option}: this is set for you; leave it out")
            if key == "cluster" and value not in ("slurm", "local"):
                raise BuildError(f"--slurm {option}: must be slurm, or local to try the jobs on this machine")
        if self.options:
            _ = self.minutes

    @property
    def local(self) -> bool:
        """Whether the jobs are processes of this machine."""
        return self._values("cluster")[-1:] == ["local"]

    @property
    def setup(self) -> list[str]:
        """Lines for the shell before Python starts."""
        return self._values("setup")

    @property
    def minutes(self) -> int:
        """The longest that a job may take; raises BuildError if that was not said."""
        given = self._values("time")
        if not given:
            raise BuildError("--backend slurm needs --slurm time=MINUTES, the longest that one job may take")
        return _minutes(given[-1])

    def of_sbatch(self) -> dict[str, str | bool]:
        """The other options, as sbatch takes them: True for one without a value."""
        pairs = (option.partition("=") for option in self.options)
        return {key: value if equals else True for key, equals, value in pairs if key not in _OWN}

    def _values(self, key: str) -> list[str]:
        return [value for name, _, value in (option.partition("=") for option in self.options) if name == key]


_OWN = ("cluster", "setup", "time")


def _minutes(text: str) -> int:
    """A time as SLURM writes it: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]].

    >>> [_minutes(text) for text in ("90", "90:30", "1:30:00", "1-12", "1-12:30")]
    [90, 91, 90, 2160, 2190]
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    days, first, second, third = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    of_hours = match and (match[1] or match[4])
    seconds = ((days * 24 + first) * 60 + second) * 60 + third if of_hours else first * 60 + second
    if not seconds:
        raise BuildError(f"--slurm time={text}: give a time as SLURM does: 90, 1:30:00 or 1-12 (minutes, hours, days)")
    return -(-seconds // 60)


def over_slurm(work: Work, lists: Iterator[list[Chunk]], jobs: SlurmJobs, at_once: int) -> Iterator[Any]:
    """Has a job do `work` on each list of chunks, and yields the results as the jobs end.

    Jobs that a call which was killed left in the queue are cancelled first, as they would do the same work. Those of
    this call are cancelled if it ends early.

    Args:
        work: can be pickled by name; see `Work`.
        lists: drawn only as jobs are submitted.
        jobs: see there.
        at_once: the largest number of jobs in the queue, and so the largest size of an array.

    Raises:
        OccSynthError: submitit or SLURM is missing, SLURM refuses a job, or a job ended without an answer; or the
            error that the work ended with.
    """
    executor = _executor(jobs, at_once)
    _cancel_former(jobs.folder)
    running: dict[Any, list[Chunk]] = {}
    queue = _Queue(jobs.local)
    try:
        while True:
            new = list(islice(lists, at_once - len(running)))
            if new:
                running.update(zip(_submit(executor, work, new), new, strict=True))
            if not running:
                break
            for job in queue.wait(running):
                yield from _results(job, running.pop(job), jobs)
    finally:
        if running:
            _cancel(jobs.folder, [job.job_id for job in running])
        else:
            _clear(jobs.folder)


@dataclass(slots=True)
class _Queue:
    """Notices that jobs have ended: by their answers, or since SLURM no longer lists them.

    submitit asks `sacct`, which clusters without an accounting database do not have, and rarely.

    Attributes:
        local: whether the jobs are processes of this machine.
        asked_s: when SLURM was asked last.
        gone: those that it did not list then; their answers may still be on the way through the file system.
    """

    local: bool
    asked_s: float = float("-inf")
    gone: frozenset[str] = frozenset()

    def wait(self, running: Iterable[Any]) -> list[Any]:
        """Those that have ended, as soon as there are some."""
        while True:
            if ended := [job for job in running if job.paths.result_pickle.exists()] or self._lost(running):
                return ended
            time.sleep(_POLL_S)

    def _lost(self, running: Iterable[Any]) -> list[Any]:
        if self.local:
            return [job for job in running if job.done() and not job.paths.result_pickle.exists()]
        if time.monotonic() - self.asked_s < _ASK_S:
            return []
        self.asked_s = time.monotonic()
        listed = _listed()
        if listed is None:
            return []
        before, self.gone = self.gone, frozenset(job.job_id for job in running) - listed
        return [job for job in running if job.job_id in before & self.gone]


def _listed() -> frozenset[str] | None:
    """The numbers of this user's jobs that are queued or running; None if SLURM does not answer."""
    command = ["squeue", f"--user={os.getuid()}", "--array", "--noheader", "--format=%i"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return None
    return None if done.returncode else frozenset(done.stdout.split())


def _executor(jobs: SlurmJobs, at_once: int) -> Any:
    try:
        import submitit
    except ImportError:
        raise BuildError("--backend slurm needs submitit: pip install 'occsynth[slurm]'") from None
    logging.getLogger("submitit").setLevel(logging.ERROR)  # it warns where there is no `sacct`
    minutes, others = jobs.minutes, jobs.of_sbatch()
    with explained_os_errors(jobs.folder):
        _claim(jobs.folder)
        python = f"{shlex.quote(sys.executable)} -P"  # no module from the folder in which the user works
        if jobs.local:
            executor: Any = submitit.LocalExecutor(jobs.folder, python=python)
            executor.update_parameters(timeout_min=minutes, setup=jobs.setup)
            return executor
        try:
            executor = submitit.SlurmExecutor(jobs.folder, python=python)
        except RuntimeError:
            raise BuildError(
                "--backend slurm: no `srun` on this machine; run this on a node from which jobs can be submitted, or "
                "try it here with --slurm cluster=local"
            ) from None
    executor.update_parameters(
        job_name=others.pop("job-name", "occsynth"),
        time=minutes,
        array_parallelism=at_once,
        setup=jobs.setup,
        use_srun=False,  # one process per job: srun would only need the options for its size once more
        wckey=None,
        additional_parameters=others,
    )
    return executor


def _claim(folder: Path) -> None:
    """Makes the folder, for its owner alone."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise BuildError(
            f"{folder} can be written to by others, who could run code through it as you; delete it, or `chmod 700` it"
        )


def _submit(executor: Any, work: Work, lists: Sequence[list[Chunk]]) -> list[Any]:
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    with explained_os_errors(executor.folder), redirect_stderr(StringIO()):  # it prints what it raises, too
        try:
            return list(executor.map_array(work, lists))
        except (FailedJobError, FailedSubmissionError) as error:  # what sbatch printed
            said = "; ".join(filter(None, map(str.strip, str(error).splitlines())))
            raise BuildError(f"SLURM refuses the job, see --slurm: {said}") from None


def _results(job: Any, chunks: list[Chunk], jobs: SlurmJobs) -> list[Any]:
    from submitit.core.utils import pickle_load

    try:
        outcome, results = pickle_load(job.paths.result_pickle)
    except Exception:  # there is none, or it was cut off
        outcome, results = "lost", None
    _forget(job)
    if outcome != "success":
        raised = results if outcome == "error" else ""  # a traceback; the log may not have all of it yet
        reason = _reason(job, raised, "" if jobs.local else _state(job.job_id))
        if jobs.lost is None:
            raise BuildError(f"{reason}. {_AGAIN}")
        return [jobs.lost(chunk, reason) for chunk in chunks]
    for log in (job.paths.stdout, job.paths.stderr):
        log.unlink(missing_ok=True)
    if isinstance(results, OccSynthError):
        raise results
    return list(results)


def _reason(job: Any, raised: str, state: str) -> str:
    """Why a job gave no answer, in one line: its state, what it raised or else wrote last, and where its log is."""
    log: Path = job.paths.stderr if raised or _tail(job.paths.stderr) else job.paths.stdout
    said = (raised or _tail(log)).splitlines()
    lines = [line for line in said if line.strip() and not line.startswith("submitit ")]  # it notes signals
    last = " ".join((lines or ["nothing was logged"])[-1].split())
    return f"SLURM job {job.job_id} ended without an answer{state}: {last}; its log is {log}"


def _state(number: str) -> str:
    """How SLURM says that a job ended, such as ` (OUT_OF_MEMORY)`; empty where it keeps no such record."""
    command = ["sacct", "--allocations", "--noheader", "--parsable2", "--format=State", f"--jobs={number}"]
    with suppress(OSError):
        said = subprocess.run(command, check=False, capture_output=True, text=True).stdout.split("\n")[0]
        return f" ({said})" if said else ""
    return ""


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LAST_BYTES))
            return file.read(_LAST_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""


def _forget(job: Any) -> None:
    """Deletes the pickles of a job that has ended."""
    for path in (job.paths.submitted_pickle, job.paths.result_pickle):
        path.unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """Deletes scripts and pickles when all jobs have ended, and the folder if no log of a job that failed is in it."""
    for path in (*folder.glob("*submission*.sh"), *folder.glob("*.pkl")):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
        if folder.parent.name == SLURM_FOLDER:
            folder.parent.rmdir()


def _cancel_former(folder: Path) -> None:
    """Cancels what a call that was killed left behind: jobs whose pickles are still there."""
    names = (path.name.removesuffix(_SUBMITTED) for path in folder.glob(f"*{_SUBMITTED}"))
    former = sorted(name for name in names if re.fullmatch(r"\d+(_\d+)?", name))
    of_slurm = _cancel(folder, former)
    until = time.monotonic() + _PATIENCE_S
    while of_slurm and not (_listed() or frozenset()).isdisjoint(of_slurm) and time.monotonic() < until:
        time.sleep(_POLL_S)
    for path in (*folder.glob("*.pkl"), *(log for name in former for log in folder.glob(f"{name}_0_log.*"))):
        path.unlink(missing_ok=True)


def _cancel(folder: Path, numbers: Iterable[str]) -> list[str]:
    """Cancels jobs; returns those of SLURM, which have a script. The others are processes of this machine."""
    of_slurm = [each for each in numbers if (folder / f"{each.partition('_')[0]}_submission.sh").exists()]
    for number in set(numbers).difference(of_slurm):
        _kill(int(number), folder)
    if of_slurm:
        with suppress(OSError):  # this machine is none of the cluster
            subprocess.run(["scancel", "--quiet", *of_slurm], check=False, capture_output=True)
    return of_slurm


def _kill(number: int, folder: Path) -> None:
    """Ends a local job with its processes, if its number still is that of the process that works in the folder."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(number)
        if str(folder) in " ".join(process.cmdline()):
            for each in (process, *process.children(recursive=True)):
                each.kill()
