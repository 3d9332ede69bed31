"""The loop over chunks, in this process, over processes and over a Dask cluster; and what a dying worker causes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from occsynth import parallel
from occsynth.errors import BuildError
from occsynth.parallel import run_chunks
from tests.builds import ROOT

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.xdist_group("dask")  # one cluster for all of these


def double(number: int) -> int:
    return 2 * number


def double_once_open(number: int, gate: Path) -> int:
    """Waits for the gate to be there, unless the number is 0."""
    deadline = time.monotonic() + 60
    while number and not gate.exists():
        assert time.monotonic() < deadline, "nobody opened the gate"
        time.sleep(0.01)
    return 2 * number


def double_or_die(number: int) -> int:
    """Dies as if the system had killed the process for lack of memory."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def double_or_crash(number: int) -> int:
    """Dies as if a library had run into memory that it could not get."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
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


def test_chunks_are_drawn_as_they_are_worked_on(tmp_path: Path) -> None:
    drawn: list[int] = []
    gate = tmp_path / "gate"

    def chunks() -> Iterator[tuple[int, Path]]:
        for number in range(100):
            drawn.append(number)
            yield number, gate

    results = run_chunks(double_once_open, chunks(), workers=2)
    assert next(results) == 0
    assert len(drawn) < 20  # all but the first wait, however slow this process is to look
    gate.touch()
    assert sorted(results)[-1] == 198


def test_where_no_process_can_start_this_one_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib._parallel_backends.mp", None)  # what joblib does where /dev/shm cannot be written
    with pytest.warns(UserWarning, match=r"one process does all the work, since no others can be started: /dev/shm"):
        assert list(run_chunks(double, ((number,) for number in range(4)), workers=2)) == [0, 2, 4, 6]


def test_a_worker_process_that_dies_is_one_clear_error() -> None:
    with pytest.raises(BuildError, match=r"a worker process ended without an answer.*Give fewer --workers, and run"):
        list(run_chunks(double_or_die, ((number,) for number in range(8)), workers=2))


def test_a_worker_process_that_crashes_is_told_from_one_that_is_killed() -> None:
    with pytest.raises(BuildError, match=r"crashed in a library \(SIGSEGV\).*`ulimit -v`.*/dev/shm is full"):
        list(run_chunks(double_or_crash, ((number,) for number in range(8)), workers=2))


SMALL_SHARED_MEMORY = 'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"'
SUM = """
import sys
from operator import mul
from occsynth.errors import BuildError
from occsynth.parallel import run_chunks
if __name__ == "__main__":
    try:
        print(sum(run_chunks(mul, ((2, number) for number in range(4)), workers=2, backend=sys.argv[1])))
    except BuildError as error:
        print(error)
"""
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]


def may_mount() -> bool:
    """Whether a process here may have a /dev/shm of its own."""
    tried = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]  # noqa: S108 - of its own
    return (
        shutil.which("unshare") is not None and subprocess.run(tried, check=False, capture_output=True).returncode == 0
    )


@pytest.mark.parametrize(
    "backend, said",
    [("loky", "12"), ("dask", "--backend dask needs processes, but no others can be started: /dev/shm")],
)
@pytest.mark.parametrize("size", ["4k", "28k", "512k"])
def test_too_little_shared_memory_is_said(tmp_path: Path, size: str, backend: str, said: str) -> None:
    """Room for one semaphore, for nearly all of them, or for hardly more than them."""
    if not may_mount():
        pytest.skip("no mount namespaces here")
    script = tmp_path / "sum.py"
    script.write_text(SUM)
    command = [*UNSHARE, "sh", "-c", SMALL_SHARED_MEMORY.format(size=size), "sh", sys.executable, str(script), backend]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.stdout.startswith(said)
    assert "Traceback" not in done.stderr
    assert ("one process does all the work" in done.stderr) == (backend == "loky")


HOSTILE = ("random", "json", "numpy", "cv2", "joblib", "distributed", "multiprocessing", "pickle", "struct", "occsynth")
"""Names of modules that a worker process imports."""


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_workers_import_nothing_from_the_current_folder(tmp_path: Path, backend: str) -> None:
    script = tmp_path / "elsewhere" / "sum.py"
    script.parent.mkdir()
    script.write_text(SUM)
    here = tmp_path / "here"
    here.mkdir()
    for name in HOSTILE:
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=here, env=environment)
    assert done.stdout == "12\n", done.stderr
    assert not (tmp_path / "imported").exists()


def test_the_environment_is_as_before() -> None:
    before = dict(os.environ)
    assert list(run_chunks(double, [(1,)], workers=1)) == [2]
    assert dict(os.environ) == before


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
