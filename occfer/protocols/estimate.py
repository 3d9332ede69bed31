"""`--plan`: what would run, and how long it may take, before anything does."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
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
from occfer.jobs.worker import Workplace
from occfer.method_table import METHOD_TABLE
from occfer.methods import METHODS, Method
from occfer.models.seeding import weight_seed
from occfer.protocols.manifests import EXPECTED_ROWS, ManifestFacts, expected_facts
from occfer.protocols.paper_figures import behind
from occfer.protocols.plan import RUNS, TrainingSet
from occfer.protocols.reproduce import Prepared, prepare_plan
from occfer.protocols.request import Request
from occfer.runs.environment import device_in_words
from occfer.tables.paper_rows import UPDATED_IN_BATCHES
from occfer.training.benchmark import made_task, prepared

TIMED = 3
SLOW_S = 2.0  # an update that takes longer is timed once, without one to warm up
START_S = 3.0  # to read manifests, open packs, load weights and write results: measured on the demo database


def plan_lines(request: Request, workplace: Workplace, workers: int) -> Iterator[str]:
    """The plan as lines of text.

    Args:
        request: what is asked for.
        workplace: how each process would work.
        workers: how many processes there would be.

    Raises:
        OccFERError: the request is wrong.
    """
    table = behind(request)
    if table is None:
        yield f"{request.what} trains nothing: it takes minutes"
        return
    planned = prepare_plan(table)
    jobs = planned.plan.jobs
    waiting = jobs if planned.unbuilt else tuple(job for job in jobs if not job.done)
    for build in planned.unbuilt:
        facts = expected_facts(build, request.builds)
        source = "as published" if build.database in EXPECTED_ROWS else "a guess"
        yield f"build {build.name}: not there yet; planned with {facts.rows:,} images, {source}"
    yield from _counts(planned, jobs, waiting)
    if workplace.threads:
        torch.set_num_threads(workplace.threads)
    found = _Clock(planned)
    seconds = [found.seconds(job) for job in waiting]
    known = [each for each in seconds if each is not None]
    unknown = Counter(
        job.payload["config"]["method"] for job, each in zip(waiting, seconds, strict=True) if each is None
    )
    longest = max(known, default=0.0)
    yield (
        f"estimate: {_hours(max(sum(known) / workers, longest))} with {workers} process{'es' * (workers > 1)} on "
        f"{device_in_words(planned.planner.settings.device)}, {_hours(sum(known))} of work"
    )
    yield (
        f"  from {found.recorded} jobs of earlier calls, and from real training steps timed now times "
        f"{found.updates:,.0f} rounds of updates (batch {planned.planner.settings.batch_size}; of pg-cnn and gacnn, "
        f"passes of a few images), plus {START_S:g} s a job"
    )
    if unknown:
        listed = ", ".join(f"{times} of {row}" for row, times in unknown.items())
        yield f"  without {listed}: no job like these has finished here yet"


def _counts(planned: Prepared, jobs: tuple[Job, ...], waiting: tuple[Job, ...]) -> Iterator[str]:
    sets = planned.protocol.sets.values()
    folds = max((len(known.folds) for known in sets), default=0)
    counts = {
        "row": len(planned.protocol.rows), "column": len(planned.protocol.columns), "fold": folds,
        "seed": planned.request.seed_count,
    }  # fmt: skip
    listed = ", ".join(f"{number} {what}{'s' * (number != 1)}" for what, number in counts.items())
    yield f"{planned.request.what}: {listed}"
    yield f"{len(jobs)} jobs, {len(jobs) - len(waiting)} done already, {len(waiting)} to run:"
    counted = Counter((job.kind, _row(job)) for job in waiting)
    for (kind, row), times in counted.items():
        yield f"  {kind} {row}: {times}"


def _row(job: Job) -> str:
    return str(job.payload["config"]["method"]) if job.kind == "train" else job.name.split()[1]


class _Clock:
    """How long jobs take: as long as their like have taken, else by the steps that they are made of."""

    def __init__(self, prepared: Prepared) -> None:
        self._known = timings(prepared.request.out / RUNS)
        self._prepared = prepared
        self.recorded = sum(map(len, self._known.values()))
        self.updates = 0.0
        self._step_s = cache(step_seconds)
        self._patch_s = cache(patch_seconds)

    def seconds(self, job: Job) -> float | None:
        """None where nothing is known."""
        if job.label in self._known:
            taken = self._known[job.label]
            return sum(taken) / len(taken)
        if job.kind != "train":
            return START_S
        config = TrainConfig.from_json(job.payload["config"])
        if config.method in UPDATED_IN_BATCHES:
            return START_S + self._patches_s(config)
        if METHOD_TABLE[config.method].kind == "baseline":
            return None
        return START_S + self._training_s(config)

    def _set(self, config: TrainConfig) -> TrainingSet:
        return next(each for each in self._prepared.protocol.sets.values() if _trains_on(each.manifests, config))

    def _rows(self, config: TrainConfig) -> float:
        """Rows that choose the weights."""
        known = self._set(config).manifests
        parts = len(known[0].folds)  # all of them, whichever are asked for
        rows = sum(each.rows for each in known) * (1 - 1 / parts if parts > 1 else 0.8)
        return rows * (1 - config.val_fraction)

    def _patches_s(self, config: TrainConfig) -> float:
        """Of PG-CNN and gACNN: each row's two images in every epoch, see `patch_seconds`."""
        images = 2 * self._rows(config)
        if config.baseline_updates:
            images = min(images, config.baseline_updates * config.baseline_batch_size)
        return config.baseline_epochs * images * self._patch_s(config.device, config.method, config.batch_size)

    def _training_s(self, config: TrainConfig) -> float:
        known = self._set(config)
        updates = self._rows(config) / config.batch_size
        size_px = config.size_px or known.manifests[0].size_px
        method = METHODS[config.method]
        if config.method == "clean-on-occluded" and known.tests_clean:
            return 0.0  # another job trains its branch
        rounds = updates * (config.epochs if method.stage2 else config.pretrain_epochs)
        self.updates += rounds
        return rounds * self._step_s(config.device, config.backbone, _alike(method), size_px, config.batch_size)


def _trains_on(manifests: tuple[ManifestFacts, ...], config: TrainConfig) -> bool:
    return tuple(each.path for each in manifests) == config.manifests


def _alike(method: Method) -> str:
    """A row whose updates cost as much: what counts are the heads beside the branch."""
    heads = (method.needs_discriminator, method.needs_decoder)
    return next(
        name
        for name, each in METHODS.items()
        if each.stage2 == method.stage2 and (each.needs_discriminator, each.needs_decoder) == heads
    )


def step_seconds(device: str, backbone: str, row: str, size_px: int, batch_size: int) -> float:
    """Seconds of one round of a row's training, all players' turns: real rounds on pictures of noise."""
    config = TrainConfig(
        manifests=(Path("none.csv"),), method=row, backbone=backbone, weights="none", size_px=size_px,
        batch_size=batch_size, device=device,
    )  # fmt: skip
    engine = one_process(device)
    what = f"stage 2, {row}" if METHODS[row].stage2 else "stage 1"
    call = prepared(what, made_task(config, engine), config, engine)
    numbers = count()
    return _timed(engine.device, lambda: call(next(numbers)))


def patch_seconds(device: str, row: str, batch_size: int) -> float:
    """Seconds that training a patch-gated network takes an image: forward and backward on noise, a batch at once.

    On a CPU it is timed on a pair of images, since a batch takes minutes there and is no cheaper an image.
    """
    engine = one_process(device)
    at_once = batch_size if engine.device.type == "cuda" else 2
    with weight_seed(0, "estimate"):
        network = PatchNetwork(len(EXPRESSIONS), global_unit=row == "gacnn")
        images = torch.rand(at_once, 3, INPUT_PX, INPUT_PX).to(engine.device)
        centres = torch.randint(INPUT_PX, (at_once, PATCHES, 2)).to(engine.device)
    engine.place(network)
    return _timed(engine.device, lambda: network(images, centres).sum().backward()) / at_once


def _timed(device: torch.device, update: Callable[[], object]) -> float:
    first = _seconds(device, update, 1)  # loads kernels and chooses algorithms
    return first if first > SLOW_S else _seconds(device, update, TIMED)


def _seconds(device: torch.device, update: Callable[[], object], times: int) -> float:
    _wait(device)
    began = time.perf_counter()
    for _ in range(times):
        update()
    _wait(device)
    return (time.perf_counter() - began) / times


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
