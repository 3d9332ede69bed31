"""(j) Faces with live occlusions per second: from worker processes, against one process that makes each batch itself.

Faces are 48 px pictures of noise, occluded by templates in mode `random`. Both sides end with the batch that training
takes: mirrored floats of both images. Worker processes run beside this one, so wall time is measured, and the start of
the workers is not: they start once per stage.

The last line is the processor time of the process that trains, for a batch of 224 px of which only the occluded images
are handed over, as on a GPU that holds the clean ones: a worker's batch, received and copied, against one drawn here.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch
from joblib import cpu_count

from benchmarks.measure import Finding, rates
from occfer.config import TrainConfig
from occfer.data.batch_maker import HostBatch
from occfer.data.batches import Batches
from occfer.data.shared_batches import SharedBatches
from occfer.engine.engine import one_process
from occfer.faces.live_occlusion import LiveOccluder
from occfer.training.benchmark import made_data
from occsynth.occluder import Occluder

WORKERS = (1, 2, 4)
GOAL_PER_WORKER = 0.75  # so 3 with four workers
SIDE_PX = 48
LARGE_PX = 224
BATCH_SIZE = 32


def measure(repeats: int = 7, batches: int = 60) -> list[Finding]:
    """One finding for each number of workers for which there are cores."""
    torch.set_num_threads(1)
    fitting = [workers for workers in WORKERS if workers <= cpu_count()]
    streams = {workers: stream(workers) for workers in (0, *fitting)}
    numbers = {workers: count() for workers in streams}

    def take(workers: int, batches: int) -> float:
        began = time.perf_counter()
        for _ in range(batches):
            streams[workers].batch(next(numbers[workers]))
        return (time.perf_counter() - began) / batches

    # One side at a time: its workers end before the next begins, or they would fill their queues at its cost.
    seconds: dict[int, list[float]] = {workers: [] for workers in streams}
    for repeat in range(repeats):
        for workers in list(streams) if repeat % 2 else list(streams)[::-1]:
            take(workers, batches // 4 + 2)
            seconds[workers].append(take(workers, batches))
            streams[workers].close()
    found = [
        rates(
            "j", f"faces with live occlusions, {SIDE_PX} px, worker processes: {workers} against none",
            seconds[workers], seconds[0], BATCH_SIZE, GOAL_PER_WORKER * workers,
        )
        for workers in fitting
    ]  # fmt: skip
    return [*found, handed_over(repeats, batches // 4)]


def handed_over(repeats: int, batches: int) -> Finding:
    """What a worker's batch costs this process all the same, as a share of what it would cost to draw it here."""
    make = replace(stream(0, LARGE_PX).make, on_device=True)
    shared = SharedBatches(make, 1)
    kept = torch.empty(1, BATCH_SIZE, LARGE_PX, LARGE_PX, 3, dtype=torch.uint8)
    numbers = count()

    def take(batch: Callable[[int], HostBatch]) -> float:
        began = time.process_time()
        for _ in range(batches):
            images = batch(next(numbers)).images
            assert images is not None
            kept.copy_(images)
        return (time.process_time() - began) / batches

    received, drawn = [], []
    for _ in range(repeats):
        shared.batch(next(numbers))
        received.append(1e3 * take(shared.batch))
        shared.close()
        drawn.append(1e3 * take(make))
    what = f"processor time of the process that trains, for a batch of {LARGE_PX} px: from a worker, against drawn here"
    ratios = tuple(ours / theirs for ours, theirs in zip(received, drawn, strict=True))
    return Finding("j", what, statistics.median(received), statistics.median(drawn), "ms", ratios)


def stream(workers: int, side_px: int = SIDE_PX) -> Batches:
    """Endless batches of both images of a pair, the occluded ones drawn anew each time."""
    config = TrainConfig(
        manifests=(Path("made.csv"),), weights="none", size_px=side_px, batch_size=BATCH_SIZE, device="cpu",
        workers=workers,
    )  # fmt: skip
    engine = one_process("cpu")
    live = LiveOccluder("random", {("made", "random"): Occluder("random")}, {}, aligned=True)
    data = replace(made_data(config, engine), live_occlusion=live)
    return data.batches(config, engine, "student", with_clean=True, stage2=True)
