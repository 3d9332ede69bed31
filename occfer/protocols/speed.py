"""Table 4: how many faces a second each method predicts, in one run on the device at hand."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from occfer.baselines.patches.centres import PATCHES
from occfer.baselines.patches.network import INPUT_PX, PatchNetwork
from occfer.engine.engine import Engine, one_process
from occfer.method_table import METHOD_TABLE
from occfer.models.classifier import build_classifier
from occfer.models.seeding import weight_seed
from occfer.protocols.reproduce import provenance
from occfer.protocols.request import Request
from occfer.tables.paper import paper_figure
from occfer.tables.result_table import Column, ResultTable, Speed, TableRow, write_table
from occfer.tables.text import write_texts
from occfer.training.benchmark import REPEATS, timed

KEY, COLUMN = "table4", "frames/s"
BATCH_SIZE = 8  # the paper's
CLASSES = 7
SECONDS, QUICK_SECONDS = 20.0, 0.0  # of each method at least, and never fewer than five repeats
TABLE4_ROWS = ("pg-cnn", "gacnn", "full")


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A network that predicts, on the device, with a batch for it."""

    network: nn.Module
    predict: Callable[[], Tensor]


def reproduce_speed(request: Request, say: Callable[[str], None]) -> tuple[ResultTable, Path]:
    """Measures Table 4 and writes it; returns the table and its file.

    Weights are random, since speed does not depend on them. Only the network's forward pass counts: a batch of 8 faces
    lies on the device already, and the device is waited for after each. The paper's figures are of another machine and
    of two frameworks.

    Args:
        request: its rows, device, backbone and size, and whether it is quick.
        say: tells the user something, a line at a time.

    Raises:
        OccFERError: the request is wrong.
    """
    # network and size as in the paper, in a quick call too
    settings = replace(request, quick=False).base(Path("none.csv"))
    engine = one_process(settings.device)
    seconds = QUICK_SECONDS if request.quick else SECONDS
    size_px = settings.size_px or INPUT_PX
    rows = []
    for row in request.chosen_rows(TABLE4_ROWS):
        loaded = _load(row, engine, settings.backbone, size_px)
        speed = measure_speed(loaded, engine, seconds, paper_figure(KEY, COLUMN, row))
        say(f"{row}: {speed.median:.2f} frames/s")
        rows.append(TableRow(row, METHOD_TABLE[row].title, {COLUMN: speed}))
        del loaded
    made = provenance(request, settings)
    table = ResultTable(
        key=KEY,
        title=f"Table 4, speed of inference at batch {BATCH_SIZE}{' (quick)' if request.quick else ''}",
        database="",
        quick=request.quick,
        measure="frames/s",
        columns=(Column(COLUMN, "frames/s"),),
        rows=tuple(rows),
        notes=(
            f"Measured on {made.device}, threads: {torch.get_num_threads()}, {size_px} px ({INPUT_PX} for PG-CNN and "
            f"gACNN), 32 bits: median, lowest and highest of at least {REPEATS} repeats after a warm-up",
            "Weights are random: the speed does not depend on them",
            "The paper's figures are of one V100, PG-CNN and gACNN in Caffe and its own method in PyTorch",
        ),
        provenance=made,
    )
    file = write_table(request.folder, table)
    write_texts(request.folder, table)
    return table, file


def _load(row: str, engine: Engine, backbone: str, size_px: int) -> Loaded:
    with weight_seed(0, "speed"):
        if row == "full":
            network: nn.Module = build_classifier(backbone, CLASSES)
            inputs = [torch.rand(BATCH_SIZE, 3, size_px, size_px)]
        else:
            network = PatchNetwork(CLASSES, global_unit=row == "gacnn")
            images = torch.rand(BATCH_SIZE, 3, INPUT_PX, INPUT_PX)
            inputs = [images, torch.randint(INPUT_PX, (BATCH_SIZE, PATCHES, 2))]
    engine.place(network.eval().requires_grad_(False))
    placed = tuple(each.to(engine.device) for each in inputs)
    return Loaded(network, lambda: network(*placed))


def measure_speed(loaded: Loaded, engine: Engine, seconds: float, paper: float | None) -> Speed:
    """Times passes as `occfer bench` does, see `occfer.training.benchmark.timed`."""
    with torch.inference_mode():
        rates = [BATCH_SIZE / each for each in timed(lambda _: loaded.predict(), engine, seconds)]
    parameters = sum(each.numel() for each in loaded.network.parameters())
    return Speed(statistics.median(rates), min(rates), max(rates), len(rates), BATCH_SIZE, parameters, paper)
