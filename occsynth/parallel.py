"""One loop over chunks of work: in this process, over processes (loky), or on a Dask cluster."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, TypeVar

from occsynth.errors import BuildError

Result = TypeVar("Result")

BACKENDS = ("loky", "dask")


def default_workers() -> int:
    """As many processes as cores this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


def run_chunks(
    function: Callable[..., Result],
    chunks: Iterable[tuple[Any, ...]],
    *,
    workers: int | None = None,
    backend: str = "loky",
    scheduler: str = "",
) -> Iterator[Result]:
    """Calls `function(*chunk)` for every chunk and yields the results as they come, in any order.

    Chunks are drawn from the iterable only as fast as they are worked on, so memory does not grow with their number.

    Args:
        workers: processes; default one a core. Ignored with a `scheduler`, whose workers are all used.
        backend: `loky` or `dask`.
        scheduler: address of a running Dask scheduler; empty starts a local cluster.

    Raises:
        BuildError: the backend is unknown, not installed, or its scheduler does not answer.
    """
    if backend not in BACKENDS:
        raise BuildError(f"unknown backend '{backend}'; choose one of: {', '.join(BACKENDS)}")
    if scheduler and backend != "dask":
        raise BuildError("--scheduler goes with --backend dask")
    count = workers or default_workers()
    if backend == "loky" and count == 1:
        yield from (function(*chunk) for chunk in chunks)
        return
    from joblib import Parallel, delayed, parallel_config

    with ExitStack() as stack:
        if backend == "dask":
            stack.enter_context(_dask_client(scheduler, count))
            stack.enter_context(parallel_config(backend="dask"))
            count = -1
        else:
            stack.enter_context(parallel_config(backend="loky", inner_max_num_threads=1))
        parallel = Parallel(n_jobs=count, return_as="generator_unordered", batch_size=1, pre_dispatch="3*n_jobs")
        yield from parallel(delayed(function)(*chunk) for chunk in chunks)


def _dask_client(scheduler: str, workers: int) -> Any:
    try:
        import distributed
    except ImportError:
        raise BuildError("--backend dask needs Dask: pip install 'occsynth[cluster]'") from None
    client: Any = distributed.Client
    cluster: Any = distributed.LocalCluster
    try:
        if scheduler:
            return client(scheduler, timeout="20s", set_as_default=True)
        return client(cluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))
    except (OSError, ValueError, TimeoutError) as error:
        raise BuildError(
            f"no Dask scheduler answers at '{scheduler}': {error}. Start one with `dask scheduler`"
        ) from error
