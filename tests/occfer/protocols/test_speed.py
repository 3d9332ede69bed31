"""Table 4: what is timed, and what its table says."""

from functools import partial
from pathlib import Path
from time import sleep

import torch

from occfer.engine.engine import one_process
from occfer.protocols import speed
from occfer.protocols.request import Request
from occfer.tables.result_table import Speed
from occfer.training.benchmark import REPEATS, WARM_UP


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
