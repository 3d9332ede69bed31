"""Table 4: how many faces per second each method predicts, measured in one call on the device at hand."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from occfer.baselines.patches.centres import PATCHES
from occfer.baselines.patches.network import INPUT_PX, PatchNetwork
from occfer.engine.engine import Engine, one_process
from occfer.models.classifier import build_classifier
from occfer.models.seeding import weight_seed
from occfer.protocols.provenance import provenance
from occfer.protocols.request import Request, claimed
from occfer.tables.lines import make_line
from occfer.tables.paper import paper_figure
from occfer.tables.paper_methods import FULL
from occfer.tables.result_table import Column, ResultTable, Speed
from occfer.tables.table_file import write_table
from occfer.tables.text_files import write_texts
from occfer.training.benchmark import REPEATS, timed, wait

KEY, COLUMN = "table4", "frames/s"
BATCH_SIZE = 8  # the paper's
CLASSES = 7
# The least time that each method is measured for; there are never fewer than `REPEATS` repeats.
SECONDS, QUICK_SECONDS = 20.0, 0.0
TABLE4_METHODS = ("pg-cnn", "gacnn", FULL)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedNetwork:
    """A network on the device; `predict` passes one batch, which lies there already, through it."""

    network: nn.Module
    predict: Callable[[], Tensor]


def reproduce_speed(request: Request, say: Callable[[str], None]) -> tuple[ResultTable, Path]:
    """Measures Table 4 and writes it; returns the table and its file.

    Weights are random, since speed does not depend on them. Only the network's forward pass counts: a batch of 8 faces
    lies on the device already, and every pass is waited for. The paper's figures are of another machine and of two
    frameworks.

    Args:
        request: its methods, device, backbone and size, and whether it is quick.
        say: tells the user something, one line at a time.

    Raises:
        OccFERError: the request is wrong, or another process works in the same folder.
    """
    with claimed(request):
        return _reproduce_speed(request, say)


def _reproduce_speed(request: Request, say: Callable[[str], None]) -> tuple[ResultTable, Path]:
    # network and size are the paper's in a quick call too: a small network's speed would mean nothing
    settings = replace(request, quick=False).base(Path("none.csv"))
    engine = one_process(settings.device)
    seconds = QUICK_SECONDS if request.quick else SECONDS
    size_px = settings.size_px or INPUT_PX
    lines = []
    for method in request.chosen_methods(TABLE4_METHODS):
        loaded = _load(method, engine, settings.backbone, size_px)
        speed = measure_speed(loaded, engine, seconds, paper_figure(KEY, COLUMN, method))
        say(f"{method}: {speed.median:.2f} frames/s")
        lines.append(make_line(method, {COLUMN: speed}))
        del loaded  # frees the device's memory for the next one
    made = provenance(request, settings)
    table = ResultTable(
        key=KEY,
        title=f"Table 4, speed of inference at batch {BATCH_SIZE}{' (quick)' if request.quick else ''}",
        database="",
        quick=request.quick,
        quantity="frames/s",
        columns=(Column(COLUMN, "frames/s"),),
        lines=tuple(lines),
        notes=(
            f"Measured on {made.device}, threads: {torch.get_num_threads()}, {size_px} px ({INPUT_PX} for PG-CNN and "
            f"gACNN), 32 bits: median, lowest and highest of at least {REPEATS} repeats after a warm-up",
            "Weights are random: the speed does not depend on them",
            "The paper's figures are for one V100, with PG-CNN and gACNN in Caffe and its own method in PyTorch",
        ),
        provenance=made,
    )
    file = write_table(request.folder, table)
    write_texts(request.folder, table)
    return table, file


def _load(method: str, engine: Engine, backbone: str, size_px: int) -> LoadedNetwork:
    with weight_seed(0, "speed"):
        if method == FULL:
            network: nn.Module = build_classifier(backbone, CLASSES)
            inputs = [torch.rand(BATCH_SIZE, 3, size_px, size_px)]
        else:
            network = PatchNetwork(CLASSES, global_unit=method == "gacnn")
            images = torch.rand(BATCH_SIZE, 3, INPUT_PX, INPUT_PX)
            inputs = [images, torch.randint(INPUT_PX, (BATCH_SIZE, PATCHES, 2))]
    engine.place(network.eval().requires_grad_(False))
    placed = tuple(each.to(engine.device) for each in inputs)
    return LoadedNetwork(network, lambda: network(*placed))


def measure_speed(loaded: LoadedNetwork, engine: Engine, seconds: float, paper: float | None) -> Speed:
    """Times passes as `occfer bench` does, see `occfer.training.benchmark.timed`, but waits for each of them.

    Args:
        loaded: the network with its batch.
        engine: of the device that it is on.
        seconds: the least time to measure for.
        paper: the paper's frames per second, or None.
    """

    def answered(_: int) -> None:
        loaded.predict()
        wait(engine)

    with torch.inference_mode():
        rates = [BATCH_SIZE / each for each in timed(answered, engine, seconds)]
    parameters = sum(each.numel() for each in loaded.network.parameters())
    return Speed(statistics.median(rates), min(rates), max(rates), len(rates), BATCH_SIZE, parameters, paper)
