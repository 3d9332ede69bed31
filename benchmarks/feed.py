"""(j) Faces with live occlusions per second: from worker processes, against one process that makes each batch itself.

Faces are 48 px pictures of noise, occluded by templates in mode `random`. Both sides end with the batch that training
takes: mirrored floats of both images. Worker processes run beside this one, so wall time is measured, and the start of
the workers is not: they start once per stage.
"""

import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch
from joblib import cpu_count

from benchmarks.measure import Finding, rates
from occfer.config import TrainConfig
from occfer.data.batches import Batches
from occfer.engine.engine import one_process
from occfer.faces.live_occlusion import LiveOccluder
from occfer.training.benchmark import made_data
from occsynth.occluder import Occluder

WORKERS = (1, 2, 4)
GOAL_PER_WORKER = 0.75  # so 3 with four workers
SIDE_PX = 48
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
    return [
        rates(
            "j", f"faces with live occlusions, {SIDE_PX} px, worker processes: {workers} against none",
            seconds[workers], seconds[0], BATCH_SIZE, GOAL_PER_WORKER * workers,
        )
        for workers in fitting
    ]  # fmt: skip


def stream(workers: int) -> Batches:
    """Endless batches of both images of a pair, the occluded ones drawn anew each time."""
    config = TrainConfig(
        manifests=(Path("made.csv"),), weights="none", size_px=SIDE_PX, batch_size=BATCH_SIZE, device="cpu",
        workers=workers,
    )  # fmt: skip
    engine = one_process("cpu")
    live = LiveOccluder("random", {("made", "random"): Occluder("random")}, {}, aligned=True)
    data = replace(made_data(config, engine), live_occlusion=live)
    return data.batches(config, engine, "student", with_clean=True, stage2=True)
