"""What each of several processes may use, and which jobs they do."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from occfer.errors import UnknownNameError
from occfer.jobs import worker
from occfer.jobs.graph import make_job
from occfer.jobs.worker import VISIBLE, Workplace, do_job, how_many, take_gpu, workplace


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of places for this test alone; those that it takes are left at its end."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield
    for lock in worker.PLACES.values():
        lock.release()
    worker.PLACES.clear()


def another_process(monkeypatch: pytest.MonkeyPatch, gpus: str | None) -> tuple[str | None, FileLock | None]:
    """The GPU that a process that starts now is given, and the lock that it holds as long as it lives."""
    worker.PLACES.clear()
    if gpus is None:
        monkeypatch.delenv(VISIBLE, raising=False)
    else:
        monkeypatch.setenv(VISIBLE, gpus)
    take_gpu()
    take_gpu()  # a second job stays where the first was
    return os.environ.get(VISIBLE), worker.PLACES.get("place")


def release(lock: FileLock | None) -> None:
    assert lock is not None
    lock.release()


def test_each_process_gets_a_gpu_of_its_own_as_long_as_there_are_some(
    places: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [another_process(monkeypatch, "2,GPU-5ab") for _ in range(3)]
    assert [gpu for gpu, _ in held] == ["2", "GPU-5ab", "2"]
    release(held[1][1])  # its process ended
    assert another_process(monkeypatch, "2,GPU-5ab")[0] == "GPU-5ab"
    for _, lock in held:
        release(lock)


def test_without_gpus_nothing_is_taken(places: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert another_process(monkeypatch, "") == ("", None)
    assert another_process(monkeypatch, "-1") == ("-1", None)
    if not torch.cuda.is_available():
        assert another_process(monkeypatch, None) == (None, None)


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occfer.jobs.worker.cpu_count", lambda: 16)
    assert how_many(3, "cpu") == 3 and how_many(None, "cpu") == 8
    assert workplace(4, "loky") == Workplace(shares_machine=True, threads=4)
    assert workplace(1, "loky") == Workplace()
    assert workplace(4, "dask") == Workplace(shares_machine=True)
    assert workplace(4, "slurm") == Workplace()


def test_a_job_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    job = make_job("cook", "cook", parent=tmp_path, content={}, payload={})
    with pytest.raises(UnknownNameError, match="unknown job 'cook'"):
        do_job(job, Workplace())
