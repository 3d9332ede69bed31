"""What each of several processes may use, and Table 4's timing."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import torch

from occfer.engine.engine import one_process
from occfer.errors import UnknownNameError
from occfer.jobs import worker
from occfer.jobs.graph import make_job
from occfer.jobs.worker import VISIBLE, Workplace, do_job, how_many, take_gpu, workplace
from occfer.protocols import speed
from occfer.protocols.request import Request
from occfer.tables.result_table import Speed
from occfer.training.benchmark import REPEATS, WARM_UP


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Places of this test alone; those that were taken are left again."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield
    for lock in worker.PLACES.values():
        lock.release()
    worker.PLACES.clear()


def another_process(monkeypatch: pytest.MonkeyPatch, gpus: str | None) -> Any:
    """What a process that begins now is given, and the lock that it holds as long as it lives."""
    worker.PLACES.clear()
    if gpus is None:
        monkeypatch.delenv(VISIBLE, raising=False)
    else:
        monkeypatch.setenv(VISIBLE, gpus)
    take_gpu()
    take_gpu()  # a second job stays where the first was
    return os.environ.get(VISIBLE), worker.PLACES.get("place")


def test_each_process_gets_a_gpu_of_its_own_as_long_as_there_are_some(
    places: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [another_process(monkeypatch, "2,GPU-5ab") for _ in range(3)]
    assert [gpu for gpu, _ in held] == ["2", "GPU-5ab", "2"]
    held[1][1].release()  # it ended
    assert another_process(monkeypatch, "2,GPU-5ab")[0] == "GPU-5ab"
    for _, lock in held:
        lock.release()


def test_without_gpus_nothing_is_taken(places: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert another_process(monkeypatch, "") == ("", None)
    assert another_process(monkeypatch, "-1") == ("-1", None)
    if not torch.cuda.is_available():
        assert another_process(monkeypatch, None) == (None, None)


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occfer.jobs.worker.cpu_count", lambda: 16)
    assert how_many(3, "cpu") == 3 and how_many(None, "cpu") == 8
    assert workplace(4, on_cluster=False) == Workplace(shares_machine=True, threads=4)
    assert workplace(1, on_cluster=False) == Workplace()
    assert workplace(4, on_cluster=True) == Workplace(shares_machine=True)


def test_a_job_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    job = make_job("cook", "cook", parent=tmp_path, content={}, payload={})
    with pytest.raises(UnknownNameError, match="unknown job 'cook'"):
        do_job(job, Workplace())


def test_table4_measures_what_it_says(tmp_path: Path) -> None:
    settings = {"device": "cpu", "backbone": "resnet18", "size_px": 48}
    request = Request(what="table4", quick=True, methods=("full",), out=tmp_path, settings=settings)
    said: list[str] = []
    table, file = speed.reproduce_speed(request, said.append)
    found = table.lines[0].cells["frames/s"]
    assert isinstance(found, Speed) and file.is_file()
    assert 0 < found.low <= found.median <= found.high
    assert (found.repeats, found.batch_size, found.paper) == (REPEATS, 8, 155.3)
    assert 11_170_000 < found.parameters < 11_190_000  # ResNet-18 with seven classes
    assert "CPU" in table.notes[0] and "random" in table.notes[1] and "V100" in table.notes[2]
    assert table.provenance.settings == {"backbone": "resnet18", "size_px": 48}, "and not those of a quick training"


def test_whole_batches_are_timed_without_gradients() -> None:
    shapes: list[tuple[int, ...]] = []

    class Network(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            shapes.append(tuple(images.shape))
            assert torch.is_inference_mode_enabled()
            sleep(0.3)
            return images

    network = Network()
    loaded = speed.LoadedNetwork(network, partial(network, torch.zeros(8, 3, 4, 4)))
    found = speed.measure_speed(loaded, one_process("cpu"), 0.0, None)
    assert set(shapes) == {(8, 3, 4, 4)} and len(shapes) >= WARM_UP + REPEATS
    assert found.repeats == REPEATS and found.parameters == 0 and found.median <= 8 / 0.3
