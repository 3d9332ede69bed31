"""One loop over chunks of work: in this process, over processes (loky), on a Dask cluster, or in jobs of SLURM."""

import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from occsynth.errors import BuildError, OccSynthError
from occsynth.option_values import BACKENDS
from occsynth.processes import safe_module_paths
from occsynth.slurm import SlurmJobs, jobs_at_once, over_slurm

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

Progress = Callable[[str, int, int], None]
"""Called with a phase of the work, how much of it is done, and the total (0 while unknown)."""

_PATIENCE_S = 20
_LOST = "a worker process ended without an answer; most often the system kills it because memory runs out"
_AGAIN = "and run the same command again: finished work is kept"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - nothing is written there
_LEAST_SHARED_BYTES = 2**20
"""What the semaphores of some dozens of processes take, a page of memory each."""


def default_workers() -> int:
    """How many cores this process may use."""
    return int(_joblib().cpu_count())


def run_chunks(
    function: Callable[..., ResultT],
    chunks: Iterable[tuple[Any, ...]],
    *,
    workers: int | None = None,
    backend: str = "loky",
    scheduler: str = "",
    slurm: SlurmJobs | None = None,
) -> Iterator[ResultT]:
    """Calls `function(*chunk)` for every chunk and yields the results as they come, in any order.

    Chunks are drawn from the iterable only as fast as they are worked on, so memory does not grow with their number.

    Args:
        function: can be pickled by name; it and its results travel between processes.
        chunks: the arguments of each call.
        workers: number of processes; default one per core. Ignored with a `scheduler`, all of whose workers are used.
            Of `slurm`, how many jobs are in the queue at a time; default `jobs_at_once`.
        backend: `loky` (processes on this machine), `dask` or `slurm`.
        scheduler: address of a running Dask scheduler; if empty, `dask` starts a local cluster.
        slurm: how chunks become jobs, for `slurm`.

    Raises:
        BuildError: the backend is unknown or not installed, its scheduler does not answer or has no workers, or worker
            processes cannot be started or died.
    """
    if backend not in BACKENDS:
        raise BuildError(f"unknown backend '{backend}'; choose one of: {', '.join(BACKENDS)}")
    if scheduler and backend != "dask":
        raise BuildError("--scheduler needs --backend dask")
    if slurm and slurm.options and backend != "slurm":
        raise BuildError("--slurm needs --backend slurm")
    count = workers or jobs_at_once(backend) or default_workers()
    with safe_module_paths():
        if backend == "dask":
            yield from _over_cluster(function, chunks, scheduler, count)
        elif backend == "slurm":
            if slurm is None:
                raise BuildError("--backend slurm does not do this work; choose another backend")
            lists = batches(chunks, slurm.chunks_each)
            yield from over_slurm(partial(_in_a_job, function), lists, slurm, count)
        elif count == 1 or _no_processes(count):
            yield from (function(*chunk) for chunk in chunks)
        else:
            yield from _over_processes(function, chunks, count)


def _in_a_job(function: Callable[..., Any], chunks: list[tuple[Any, ...]]) -> list[Any] | OccSynthError:
    """What a job of SLURM does, on the cores that it was given: all of the machine's where SLURM binds no cores."""
    cores = min(default_workers(), int(os.environ.get("SLURM_CPUS_ON_NODE") or default_workers()))
    try:
        return list(run_chunks(function, chunks, workers=min(cores, len(chunks))))
    except OccSynthError as error:  # raised in a job, submitit would make text of it
        return error


def _joblib() -> Any:
    with warnings.catch_warnings():  # it warns when it is imported where no process can be started
        warnings.filterwarnings("ignore", message=".*joblib will operate in serial mode")
        import joblib
    return joblib


def _no_processes(count: int) -> bool:
    """Whether no processes can be started here, for lack of shared memory; warns of it."""
    left = _shared_bytes_left()
    if left >= _LEAST_SHARED_BYTES and _joblib().effective_n_jobs(count) != 1:
        return False
    warnings.warn(f"one process does all the work, since {_no_shared_memory(left)}", stacklevel=3)
    return True


def _no_shared_memory(left_bytes: int) -> str:
    return (
        f"no others can be started: {_SHARED_MEMORY} is full, too small or cannot be written to ({left_bytes:,} bytes "
        "are free). Free some of it, or give a container more (--shm-size)"
    )


def _shared_bytes_left() -> int:
    try:
        status = os.statvfs(_SHARED_MEMORY)
    except OSError:  # not every system has it; joblib tries whether it can do without
        return _LEAST_SHARED_BYTES
    return status.f_bavail * status.f_frsize


def _over_processes(
    function: Callable[..., ResultT], chunks: Iterable[tuple[Any, ...]], workers: int
) -> Iterator[ResultT]:
    joblib = _joblib()
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(
            n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch="3*n_jobs"
        )
        try:
            yield from parallel(joblib.delayed(function)(*chunk) for chunk in chunks)
        except BrokenExecutor as error:
            raise BuildError(f"{_how_lost(str(error))}. Give fewer --workers, {_AGAIN}") from error
        except OSError as error:
            if error.__cause__ is not None:  # it comes from a worker
                raise
            raise BuildError(
                f"cannot start {workers} worker processes: {error.strerror or error}. Give fewer --workers, {_AGAIN}"
            ) from error


def _how_lost(report: str) -> str:
    """Why a worker process ended, from the names of signals in joblib's message."""
    signals = set(re.findall(r"\bSIG[A-Z]+", report))
    if crashes := signals & {"SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE"}:
        return (
            f"a worker process crashed in a library ({', '.join(sorted(crashes))}); most often memory runs out "
            f"(`ulimit -v`) or {_SHARED_MEMORY} is full"
        )
    return _LOST


def _over_cluster(
    function: Callable[..., ResultT], chunks: Iterable[tuple[Any, ...]], scheduler: str, workers: int
) -> Iterator[ResultT]:
    """Dask's own loop, since joblib's Dask backend waits forever when a worker process dies."""
    try:
        import distributed
    except ImportError:
        raise BuildError("--backend dask needs Dask: pip install 'occsynth[cluster]'") from None
    with ExitStack() as stack:
        client = _client(stack, scheduler, workers)
        running: Any = distributed.as_completed(loop=client.loop)  # type: ignore[no-untyped-call]
        at_once = 3 * sum(client.ncores().values())
        try:
            for chunk in chunks:
                running.add(client.submit(function, *chunk, pure=False))
                if running.count() >= at_once:
                    yield next(running).result()
            for future in running:
                yield future.result()
        except distributed.KilledWorker as error:
            raise BuildError(f"{_LOST}. Give the Dask workers more memory each, {_AGAIN}") from error


def _client(stack: ExitStack, scheduler: str, workers: int) -> Any:
    """A client of the running scheduler, or of a local cluster; the stack closes what was started."""
    from distributed import Client

    client: Any = Client
    address = scheduler or _local_cluster(stack, workers)
    try:
        connected = stack.enter_context(client(address, timeout=_PATIENCE_S, set_as_default=False))
    except (OSError, ValueError, TimeoutError) as error:
        raise BuildError(
            f"no Dask scheduler answers at '{scheduler}': {error}. Start one with `dask scheduler`"
        ) from error
    try:
        connected.wait_for_workers(1, timeout=_PATIENCE_S)
    except TimeoutError as error:
        raise BuildError(
            f"the Dask scheduler at '{scheduler}' has no worker. Start some with `dask worker {scheduler}`"
        ) from error
    return connected


def _local_cluster(stack: ExitStack, workers: int) -> Any:
    from distributed import LocalCluster

    left = _shared_bytes_left()
    if left < _LEAST_SHARED_BYTES:
        raise BuildError(f"--backend dask needs processes, but {_no_shared_memory(left)}")
    cluster: Any = LocalCluster
    try:
        return stack.enter_context(cluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        why = str(error).rstrip(".")
        raise BuildError(
            f"cannot start a Dask cluster of {workers} processes here: {why}. Most often memory runs out: give fewer "
            f"--workers, {_AGAIN}"
        ) from error


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Limits OpenCV to one thread: there is a worker process per core already, and threads would only compete."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def batches(items: Iterable[ItemT], size: int) -> Iterator[list[ItemT]]:
    """Yields the items in lists of `size`; the last list may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
