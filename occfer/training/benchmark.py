"""How fast this machine trains and predicts, and in how much memory: the engine itself, on images of noise.

Every measurement has a process of its own, so that it has a peak memory of its own, and runs what a training run runs:
batches from a store, augmentation, cached teacher logits, the wrapped networks. Weights and images are random, because
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
from occfer.data.image_store import ImageStore
from occfer.data.manifests import EXPRESSIONS, Corpus, Sample
from occfer.data.packs import ImagePack
from occfer.data.random_streams import stream_rng
from occfer.data.splits import Split
from occfer.engine.branches import untrained
from occfer.engine.engine import Engine
from occfer.engine.launch import launch
from occfer.engine.run_data import RunData, augmentation_of
from occfer.engine.scoring import predict_samples
from occfer.engine.stages import GuidedStage, PretrainStage
from occfer.errors import TrainingError, lookup
from occfer.events import OnStep
from occfer.methods import METHODS
from occfer.models.classifier import Classifier, backbone_named
from occfer.models.seeding import weight_seed
from occfer.training.peak_memory import resident_peak_mb
from occsynth.processes import safe_module_paths

WARM_UP = 2
REPEATS = 5
BLOCK_S = 0.5
PASS = 2  # batches in a pass over the images
SIZE_PX = 224

# What is called once per round, with the round's number.
Call = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement.

    Attributes:
        what: `data path`, `stage 1`, `stage 2, METHOD` or `inference`.
        images_per_s: pairs (inference: images) per second over all processes; median of the repeats. An epoch over N
            pairs takes N / images_per_s seconds.
        lowest, highest: of the repeats.
        repeats: number of repeats.
        peak_mb: peak memory of the first process in 10^6 bytes: allocated by torch on an accelerator, resident on a
            CPU.
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
        seconds: least duration of a measurement after the warm-up; there are at least `REPEATS` repeats in any case.
        on_start: called with the name of the measurement that begins.

    Raises:
        OccFERError: there is no such device, backbone or method, or a process died.
    """
    backbone_named(config.backbone)
    guided = {name: method for name, method in METHODS.items() if method.stage2}
    for method in methods:
        lookup(guided, method, kind="method of stage 2")
    for what in ("data path", "stage 1", *(f"stage 2, {method}" for method in methods), "inference"):
        on_start(what)
        measured = _in_own_process(what, config, seconds)
        if measured is not None:
            yield measured


def _in_own_process(what: str, config: TrainConfig, seconds: float) -> Measured | None:
    with safe_module_paths(), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(measure, what, config, seconds).result()
        except BrokenProcessPool as error:
            raise TrainingError(f"{what}: its process was killed, perhaps because memory ran out") from error


def measure(what: str, config: TrainConfig, seconds: float) -> Measured | None:
    """One measurement, in this process or in those that it starts; see `bench`.

    Returns:
        The first process's measurement; None in the other processes that torchrun has started.
    """
    found: list[Measured] = []
    work = partial(_measure, what=what, config=config, seconds=seconds)
    launch(config, work, lambda event: found.append(Measured(**event)))
    return found[0] if found else None


def _measure(engine: Engine, on_step: OnStep, *, what: str, config: TrainConfig, seconds: float) -> None:
    call = prepared(what, made_data(config, engine), config, engine)
    rates = [config.batch_size / each for each in timed(call, engine, seconds)]
    if engine.first:
        measured = Measured(what, statistics.median(rates), min(rates), max(rates), len(rates), peak_mb(engine.device))
        on_step(asdict(measured))


def prepared(what: str, data: RunData, config: TrainConfig, engine: Engine) -> Call:
    """The function that runs one round of a measurement.

    Args:
        what: see `Measured.what`.
    """
    if what == "inference":
        network = _network(config, "occluded")
        engine.place(network)
        return lambda _: predict_samples(
            engine, network, data.store, "occluded", data.train[: config.batch_size],
            batch_size=-(-config.batch_size // engine.world_size),
        )  # fmt: skip
    if what == "stage 1":
        return PretrainStage("occluded", _network(config, "occluded"), data=data, config=config, engine=engine).round
    if what == "data path":
        players = [
            data.batches(config, engine, player, with_clean=True, stage2=True)
            for player in ("student", "discriminator")
        ]
        return lambda number: [batches.batch(number) for batches in players]
    method = METHODS[what.removeprefix("stage 2, ")]
    student = _network(config, "occluded")
    teachers = [_network(config, "clean")] if method.needs_teacher else []
    return GuidedStage(method, student, teachers, data=data, config=config, engine=engine).round


def timed(call: Call, engine: Engine, seconds: float) -> list[float]:
    """The seconds that one call takes, in each repeat, after a warm-up.

    A repeat is a block of calls, because training waits for the device only every few rounds, too. Every process makes
    the same calls.
    """
    numbers = itertools.count()

    def block(calls: int) -> float:
        wait(engine)
        began = time.perf_counter()
        for _ in range(calls):
            call(next(numbers))
        wait(engine)
        return (time.perf_counter() - began) / calls

    block(WARM_UP)
    # The first process decides, or processes would wait for each other's missing calls.
    calls = engine.fabric.broadcast(max(1, round(BLOCK_S / block(1))))
    found: list[float] = []
    while len(found) < REPEATS or engine.agreed(sum(found) * calls < seconds):
        found.append(block(calls))
    return found


def wait(engine: Engine) -> None:
    """Returns when the device has done what it was given; a card works on while Python goes on."""
    if engine.device.type == "cuda":
        torch.cuda.synchronize(engine.device)
    elif engine.device.type == "mps":
        torch.mps.synchronize()


def made_data(config: TrainConfig, engine: Engine) -> RunData:
    """Pairs of noise in memory: two batches, all of them training samples."""
    count, side_px = PASS * config.batch_size, config.size_px or SIZE_PX
    rng = stream_rng(config.seed, "bench")
    clean, occluded = (rng.integers(0, 256, (count, side_px, side_px, 3), dtype=np.uint8) for _ in range(2))
    samples = tuple(_sample(position) for position in range(count))
    indices = tuple(range(count))
    return RunData(
        corpus=Corpus((), 0, samples),
        split=Split(indices, (), (), (), (), EXPRESSIONS),
        store=ImageStore(
            [ImagePack(Path(), clean, occluded, 0)], samples, engine.device, np.array(indices), config.resident_fraction
        ),
        labels=np.array([EXPRESSIONS.index(sample.expression) for sample in samples], dtype=np.int64),
        augmentation=augmentation_of(config),
        live_occlusion=None,
        resized=0,
    )


def _sample(position: int) -> Sample:
    return Sample(
        manifest=0, position=position, pair_id=f"{position:06d}", database="made", mode="", subject="",
        expression=EXPRESSIONS[position % len(EXPRESSIONS)], split="", fold=None, clean="made", occluded="made",
        source_sha256="", clean_sha256="", occluded_sha256="", category="",
        coverage_face=None, coverage_eyes=None, coverage_mouth=None,
    )  # fmt: skip


def _network(config: TrainConfig, part: str) -> Classifier:
    with weight_seed(config.seed, part):
        return untrained(config, config.size_px or SIZE_PX, len(EXPRESSIONS))


def peak_mb(device: torch.device) -> float:
    """The most memory that this process has held so far, see `Measured.peak_mb`."""
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else resident_peak_mb()
