"""The loop over chunks, in this process, over processes and over a Dask cluster; and what a dying worker causes."""

import os
import signal
from collections.abc import Iterator

import pytest

from occsynth import parallel
from occsynth.errors import BuildError
from occsynth.parallel import run_chunks

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.xdist_group("dask")  # one cluster for all of these


def double(number: int) -> int:
    return 2 * number


def double_or_die(number: int) -> int:
    """Dies as if the system had killed the process for lack of memory."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def fail_at_3(number: int) -> int:
    if number == 3:
        raise BuildError("cannot write x")
    return number


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A real scheduler with two worker processes on loopback, which gives up a task once its worker has died."""
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0, "distributed.comm.timeouts.connect": "1s"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_chunks_are_drawn_as_they_are_worked_on() -> None:
    drawn: list[int] = []

    def chunks() -> Iterator[tuple[int]]:
        for number in range(100):
            drawn.append(number)
            yield (number,)

    results = run_chunks(double, chunks(), workers=2)
    next(results)
    assert len(drawn) < 20
    assert sorted(results)[-1] == 198


def test_where_no_process_can_start_this_one_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib._parallel_backends.mp", None)  # what joblib does where /dev/shm cannot be written
    assert list(run_chunks(double, ((number,) for number in range(4)), workers=2)) == [0, 2, 4, 6]


def test_a_worker_process_that_dies_is_one_clear_error() -> None:
    with pytest.raises(BuildError, match=r"a worker process ended without an answer.*Give fewer --workers, and run"):
        list(run_chunks(double_or_die, ((number,) for number in range(8)), workers=2))


def test_a_cluster_gives_all_results_drawn_as_they_are_worked_on(scheduler: str) -> None:
    drawn: list[int] = []

    def chunks() -> Iterator[tuple[int]]:
        for number in range(100):
            drawn.append(number)
            yield (number,)

    results = run_chunks(double, chunks(), backend="dask", scheduler=scheduler)
    first = next(results)
    assert len(drawn) <= 6
    assert sorted([first, *results]) == [2 * number for number in range(100)]


def test_an_error_in_a_cluster_comes_through(scheduler: str) -> None:
    with pytest.raises(BuildError, match="cannot write x"):
        list(run_chunks(fail_at_3, ((number,) for number in range(8)), backend="dask", scheduler=scheduler))


def test_a_cluster_worker_that_dies_is_one_clear_error(scheduler: str) -> None:
    with pytest.raises(BuildError, match=r"a worker process ended without an answer.*Give the Dask workers more"):
        list(run_chunks(double_or_die, ((number,) for number in range(8)), backend="dask", scheduler=scheduler))


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_PATIENCE_S", 1)
    with pytest.raises(BuildError, match=r"no Dask scheduler answers at .tcp://127\.0\.0\.1:1"):
        list(run_chunks(double, [(1,)], backend="dask", scheduler="tcp://127.0.0.1:1"))


def test_a_scheduler_without_workers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_PATIENCE_S", 1)
    with (
        distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as cluster,
        pytest.raises(BuildError, match=r"has no worker\. Start some with `dask worker tcp://"),
    ):
        list(run_chunks(double, [(1,)], backend="dask", scheduler=cluster.scheduler_address))
