"""How fast this machine trains and predicts, and in how much memory: the engine itself, on pictures of noise.

Every measurement has a process of its own, so that its peak memory is its own, and runs what a training run runs:
batches from a store, augmentation, cached teacher logits, the wrapped networks. Weights and pictures are random, for
neither changes the time.
"""

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from occfer.config import TrainConfig
from occfer.data.augmentation import Augmentation
from occfer.data.batches import stream_rng
from occfer.data.image_store import ImageStore
from occfer.data.manifests import EXPRESSIONS, Corpus, Sample
from occfer.data.packs import Pack
from occfer.data.splits import Split
from occfer.engine.engine import Engine
from occfer.engine.launch import launch
from occfer.engine.run_data import Task
from occfer.engine.scoring import predict_rows
from occfer.engine.stages import GuidedStage, PretrainStage
from occfer.errors import TrainingError, lookup
from occfer.events import OnStep
from occfer.methods import METHODS
from occfer.models import BACKBONES
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.seeding import weight_seed
from occfer.training.peak_memory import resident_peak_mb

WARM_UP = 2
REPEATS = 5
BLOCK_S = 0.5
PASS = 2  # batches in a pass over the made pictures
SIZE_PX = 224

# What is called once a round; its number follows.
Call = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement.

    Attributes:
        what: `data path`, `stage 1`, `stage 2, METHOD` or `inference`.
        images_per_s: pairs (inference: images) a second over all processes; median of the repeats. An epoch over N
            pairs takes N / images_per_s seconds.
        lowest, highest: of the repeats.
        repeats: how many.
        peak_mb: 10^6 bytes: allocated by torch on an accelerator, resident memory of the process on a CPU; of the first
            process.
    """

    what: str
    images_per_s: float
    lowest: float
    highest: float
    repeats: int
    peak_mb: float


def bench(
    config: TrainConfig, methods: Sequence[str], *, seconds: float, on_start: Callable[[str], None]
) -> Iterator[Measured]:
    """Measures the data path, stage 1, stage 2 of each method, and inference, one after the other.

    Args:
        config: backbone, size (None: 224 px), batch size, device, processes, precision, layout, K1 and K2; its
            manifests are not read.
        methods: of stage 2, keys of `METHODS`.
        seconds: of each measurement at least, after the warm-up; never fewer than `REPEATS` repeats.
        on_start: called with what comes next.

    Raises:
        OccFERError: the device is not there, an unknown name, or a process that died.
    """
    lookup(BACKBONES, config.backbone, kind="backbone")
    guided = {name: method for name, method in METHODS.items() if method.stage2}
    for method in methods:
        lookup(guided, method, kind="method of stage 2")
    for what in ("data path", "stage 1", *(f"stage 2, {method}" for method in methods), "inference"):
        on_start(what)
        measured = _in_own_process(what, config, seconds)
        if measured is not None:
            yield measured


def _in_own_process(what: str, config: TrainConfig, seconds: float) -> Measured | None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(measure, what, config, seconds).result()
        except BrokenProcessPool as error:
            raise TrainingError(f"{what}: its process was killed, as one that takes too much memory is") from error


def measure(what: str, config: TrainConfig, seconds: float) -> Measured | None:
    """One measurement, in this process or in those that it starts; see `bench`.

    Returns:
        What the first of all processes found; None in the others that torchrun started.
    """
    found: list[Measured] = []
    work = partial(_measure, what=what, config=config, seconds=seconds)
    launch(config, work, lambda event: found.append(Measured(**event)))
    return found[0] if found else None


def _measure(engine: Engine, on_step: OnStep, *, what: str, config: TrainConfig, seconds: float) -> None:
    call = prepared(what, made_task(config, engine), config, engine)
    rates = [config.batch_size / each for each in timed(call, engine, seconds)]
    if engine.first:
        measured = Measured(what, statistics.median(rates), min(rates), max(rates), len(rates), peak_mb(engine.device))
        on_step(asdict(measured))


def prepared(what: str, task: Task, config: TrainConfig, engine: Engine) -> Call:
    """What is to be called for one round of a measurement.

    Args:
        what: see `Measured.what`.
    """
    if what == "inference":
        network = _network(config, "occluded")
        engine.place(network)
        return lambda _: predict_rows(
            engine, network, task.store, "occluded", task.train[: config.batch_size],
            batch_size=-(-config.batch_size // engine.world_size),
        )  # fmt: skip
    if what == "stage 1":
        return PretrainStage("occluded", _network(config, "occluded"), task=task, config=config, engine=engine).round
    if what == "data path":
        players = [
            task.batches(config, engine, player, with_clean=True, stage2=True)
            for player in ("student", "discriminator")
        ]
        return lambda number: [batches.batch(number) for batches in players]
    method = METHODS[what.removeprefix("stage 2, ")]
    student = _network(config, "occluded")
    teacher = _network(config, "clean") if method.needs_teacher else None
    return GuidedStage(method, student, teacher, task=task, config=config, engine=engine).round


def timed(call: Call, engine: Engine, seconds: float) -> list[float]:
    """Seconds of one call in each repeat, after a warm-up.

    A repeat is a block of calls, since training too waits for the device only every few rounds; every process makes
    the same calls.
    """
    numbers = itertools.count()

    def block(calls: int) -> float:
        _wait(engine)
        began = time.perf_counter()
        for _ in range(calls):
            call(next(numbers))
        _wait(engine)
        return (time.perf_counter() - began) / calls

    block(WARM_UP)
    calls = engine.fabric.broadcast(max(1, round(BLOCK_S / block(1))))
    found: list[float] = []
    while len(found) < REPEATS or engine.agreed(sum(found) * calls < seconds):
        found.append(block(calls))
    return found


def _wait(engine: Engine) -> None:
    if engine.device.type == "cuda":
        torch.cuda.synchronize(engine.device)


def made_task(config: TrainConfig, engine: Engine) -> Task:
    """Pairs of noise in memory, two batches of them, all of them training rows."""
    count, side_px = PASS * config.batch_size, config.size_px or SIZE_PX
    rng = stream_rng(config.seed, "bench")
    clean, occluded = (rng.integers(0, 256, (count, side_px, side_px, 3), dtype=np.uint8) for _ in range(2))
    samples = tuple(_sample(position) for position in range(count))
    rows = tuple(range(count))
    return Task(
        corpus=Corpus((), 0, samples),
        split=Split(rows, (), (), (), (), EXPRESSIONS),
        store=ImageStore(
            [Pack(Path(), clean, occluded, 0)], samples, engine.device, np.array(rows), config.resident_fraction
        ),
        labels=np.array([EXPRESSIONS.index(sample.expression) for sample in samples], dtype=np.int64),
        augmentation=Augmentation(config.flip, config.crop_px, config.colour),
        live_occlusion=None,
        resized=0,
    )


def _sample(position: int) -> Sample:
    return Sample(
        source=0, position=position, pair_id=f"{position:06d}", database="made", mode="", subject="",
        expression=EXPRESSIONS[position % len(EXPRESSIONS)], split="", fold=None, clean="made", occluded="made",
        source_sha256="", clean_sha256="", occluded_sha256="", category="",
        coverage_face=None, coverage_eyes=None, coverage_mouth=None,
    )  # fmt: skip


def _network(config: TrainConfig, part: str) -> Classifier:
    with weight_seed(config.seed, part):
        return build_classifier(config.backbone, len(EXPRESSIONS))


def peak_mb(device: torch.device) -> float:
    """The most memory that this process has held so far, see `Measured.peak_mb`."""
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else resident_peak_mb()
