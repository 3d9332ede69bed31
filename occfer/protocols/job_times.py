"""How long a job may take: as long as jobs like it took before, or as many training steps as it has, timed now."""

import time
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path

import torch

from occfer.baselines.patches.centres import PATCHES
from occfer.baselines.patches.network import INPUT_PX, PatchNetwork
from occfer.config import TrainConfig
from occfer.data.manifests import EXPRESSIONS
from occfer.engine.engine import one_process
from occfer.jobs.graph import Job, timings
from occfer.method_table import METHOD_TABLE
from occfer.methods import METHODS, Method
from occfer.models import Stem
from occfer.models.seeding import weight_seed
from occfer.protocols.manifests import ProtocolManifest
from occfer.protocols.protocol import TrainingSet
from occfer.protocols.reproduce import PreparedRequest
from occfer.protocols.request import RUNS
from occfer.settings import Device
from occfer.tables.paper_methods import CLEAN_ON_OCCLUDED, PATCH_METHODS
from occfer.training.benchmark import made_data, prepared

TIMED = 3
SLOW_S = 2.0  # an update that takes longer is timed once, without another one to warm up
START_S = 3.0  # to read manifests, open packs, load weights and write results; measured on the demo database
OFFICIAL_TRAIN_SHARE = 0.8  # of a manifest with an official split, roughly


class JobTimes:
    """Estimates how long the jobs of a request take."""

    def __init__(self, request: PreparedRequest) -> None:
        self._request = request
        self._recorded = timings(request.request.out / RUNS)
        self.recorded = sum(map(len, self._recorded.values()))
        self.rounds = 0.0
        # each kind of step is timed once, however many jobs consist of it
        self._step_seconds = cache(step_seconds)
        self._patch_seconds = cache(patch_seconds)

    def seconds(self, job: Job) -> float | None:
        """How long a job may take; None where nothing is known."""
        if job.label in self._recorded:
            taken = self._recorded[job.label]
            return sum(taken) / len(taken)
        if job.kind != "train":
            return START_S
        config = TrainConfig.from_json(job.payload["config"])
        if config.method in PATCH_METHODS:
            return START_S + self._of_patches(config)
        if METHOD_TABLE[config.method].kind == "baseline":
            return None
        return START_S + self._of_training(config)

    def _training_set(self, config: TrainConfig) -> TrainingSet:
        sets = self._request.protocol.sets.values()
        return next(each for each in sets if _trains_on(each.manifests, config))

    def _training_samples(self, config: TrainConfig) -> float:
        """The number of samples that choose the weights: without those that test or validate."""
        training_set = self._training_set(config)
        folds = len(training_set.manifests[0].folds)  # all folds of the manifest, whichever are asked for
        share = 1 - 1 / folds if folds > 1 else OFFICIAL_TRAIN_SHARE
        return training_set.pair_count * share * (1 - config.val_fraction)

    def _of_patches(self, config: TrainConfig) -> float:
        """Seconds that PG-CNN or gACNN trains: both images of each sample in every epoch."""
        images = 2 * self._training_samples(config)
        if config.baseline_updates:
            images = min(images, config.baseline_updates * config.baseline_batch_size)
        return config.baseline_epochs * images * self._patch_seconds(config.device, config.method, config.batch_size)

    def _of_training(self, config: TrainConfig) -> float:
        """Seconds that one of the paper's methods, or of our references, trains."""
        training_set = self._training_set(config)
        if config.method == CLEAN_ON_OCCLUDED and training_set.tests_clean:
            return 0.0  # the job of `clean` trains its branch
        method = METHODS[config.method]
        size_px = config.size_px or training_set.manifests[0].size_px
        updates = self._training_samples(config) / config.batch_size
        rounds = updates * (config.epochs if method.stage2 else config.pretrain_epochs)
        self.rounds += rounds
        like = _same_cost(method)
        network = (config.backbone, config.stem, config.network_px)
        return rounds * self._step_seconds(config.device, *network, like, size_px, config.batch_size)


def _trains_on(manifests: tuple[ProtocolManifest, ...], config: TrainConfig) -> bool:
    return tuple(each.path for each in manifests) == config.manifests


def _same_cost(method: Method) -> str:
    """The first method whose updates cost as much: what counts are the heads beside the branch."""
    heads = (method.needs_discriminator, method.needs_decoder)
    return next(
        name
        for name, each in METHODS.items()
        if each.stage2 == method.stage2 and (each.needs_discriminator, each.needs_decoder) == heads
    )


def step_seconds(
    device: Device, backbone: str, stem: Stem, network_px: int | None, method: str, size_px: int, batch_size: int
) -> float:
    """Seconds of one round of a method's training, with every player's turn: real rounds on images of noise."""
    config = TrainConfig(
        manifests=(Path("none.csv"),), method=method, backbone=backbone, stem=stem, network_px=network_px,
        weights="none", size_px=size_px, batch_size=batch_size, device=device,
    )  # fmt: skip
    engine = one_process(device)
    what = f"stage 2, {method}" if METHODS[method].stage2 else "stage 1"
    call = prepared(what, made_data(config, engine), config, engine)
    numbers = count()
    return _timed(engine.device, lambda: call(next(numbers)))


def patch_seconds(device: str, method: str, batch_size: int) -> float:
    """Seconds per image that a patch-gated network trains: forward and backward on a batch of noise.

    On a CPU a pair of images is timed, since a batch takes minutes there and costs as much per image.
    """
    engine = one_process(device)
    at_once = batch_size if engine.device.type == "cuda" else 2
    with weight_seed(0, "estimate"):
        network = PatchNetwork(len(EXPRESSIONS), global_unit=method == "gacnn")
        images = torch.rand(at_once, 3, INPUT_PX, INPUT_PX).to(engine.device)
        centres = torch.randint(INPUT_PX, (at_once, PATCHES, 2)).to(engine.device)
    engine.place(network)
    return _timed(engine.device, lambda: network(images, centres).sum().backward()) / at_once


def _timed(device: torch.device, update: Callable[[], object]) -> float:
    first = _seconds(device, update, 1)  # also loads kernels and chooses algorithms
    return first if first > SLOW_S else _seconds(device, update, TIMED)


def _seconds(device: torch.device, update: Callable[[], object], times: int) -> float:
    _wait(device)
    began = time.perf_counter()
    for _ in range(times):
        update()
    _wait(device)
    return (time.perf_counter() - began) / times


def _wait(device: torch.device) -> None:
    # kernels run asynchronously on a GPU: without waiting, only their launch would be timed
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
