"""Checks of speed: live occlusions keep a card fed, the engine costs little over a bare loop, and Table 4."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from occfer.config import TrainConfig
from occfer.doctor.bare_loop import BareLoop
from occfer.doctor.outcome import Bench, Figure, Outcome, judged
from occfer.engine.engine import Engine
from occfer.engine.launch import launch
from occfer.engine.run_data import prepare
from occfer.events import Event, OnStep
from occfer.faces.live_occlusion import live_occluder
from occfer.protocols.request import Request
from occfer.protocols.speed import BATCH_SIZE, reproduce_speed
from occfer.tables.result_table import Speed
from occfer.training.benchmark import BLOCK_S, REPEATS, WARM_UP, Call, made_data, prepared, timed, wait

LIVE_MODE = "random"
KEEPS = 0.9
"""The share of its speed that a card must keep under live occlusions, and against a bare loop."""
MOST_WORKERS = 8


def live_occlusion_feeds(bench: Bench) -> Outcome:
    """Stage 2 of `full` on occlusions that are drawn as it goes, against the same on stored images."""
    cores = len(os.sched_getaffinity(0))
    # stage 2 of full takes its batches from two streams, each of which has workers of its own
    workers = min(MOST_WORKERS, max(1, cores // 2))
    config = bench.fast_config(live_occlusion=LIVE_MODE, workers=workers)
    rates = _in_launched(config, partial(_live_rates, config=config, seconds=bench.sizes.seconds))
    share = rates["live"] / rates["stored"]
    return judged(
        share >= KEEPS,
        f"stage 2 of full, {config.backbone}, {config.size_px} px, batches of {rates['batch']:.3g} faces, on "
        f"occlusions drawn live (mode {LIVE_MODE}) by {workers} worker(s) of each stream on {cores} core(s), against "
        "stored images; where the share is short and hardly more are drawn than used, give it more cores and --workers",
        (
            Figure("live occlusions drawn", rates["drawn"], "faces/s"),
            Figure("faces that the device uses", rates["stored"], "faces/s"),
            Figure("faces that it uses under live occlusions", rates["live"], "faces/s"),
            Figure("share of the speed that is kept", share, ""),
        ),
        f"a share of at least {KEEPS:g}",
    )


def _live_rates(engine: Engine, on_step: OnStep, *, config: TrainConfig, seconds: float) -> None:
    """Reports faces per second; a round of stage 2 uses a batch of occluded faces for each of its updates.

    Workers of the stages end with this process.
    """
    live = prepare(config, engine, live_occluder(config.live_occlusion, config.manifests, config.seed))
    stored = replace(live, live_occlusion=None)
    batches = live.batches(config, engine, "drawn", with_clean=True, stage2=True)
    # A pass is cut into batches of like sizes, so few faces come in batches that are smaller than --batch-size.
    of_batch = len(live.train) / len(batches)
    of_round = of_batch * (config.discriminator_updates + config.student_updates)
    rates = {"batch": of_batch}
    for name, data in (("stored", stored), ("live", live)):
        call = prepared("stage 2, full", data, config, engine)
        rates[name] = of_round / statistics.median(timed(call, engine, seconds))
    try:
        rates["drawn"] = of_batch / statistics.median(timed(batches.batch, engine, seconds))
    finally:
        batches.close()
    on_step(rates)


def against_a_bare_loop(bench: Bench) -> Outcome:
    """Stage 2 of `full` in the engine, against a loop in plain PyTorch that does the same updates."""
    config = bench.fast_config()
    seconds = _in_launched(config, partial(_both_loops, config=config, device=bench.device))
    ratio = seconds["bare"] / seconds["engine"]
    return judged(
        ratio >= KEEPS,
        f"stage 2 of full, {config.backbone}, {config.size_px} px, batch {config.batch_size}, 32 bits, in the engine "
        "and in a bare loop that take turns",
        (
            Figure("the engine", config.batch_size / seconds["engine"], "pairs/s"),
            Figure("the bare loop", config.batch_size / seconds["bare"], "pairs/s"),
            Figure("the engine's speed as a share of the bare loop's", ratio, ""),
        ),
        f"a share of at least {KEEPS:g}",
    )


def _both_loops(engine: Engine, on_step: OnStep, *, config: TrainConfig, device: str) -> None:
    ours = prepared("stage 2, full", made_data(config, engine), config, engine)
    on_step(_taking_turns({"engine": ours, "bare": BareLoop(config, device=device).round}, engine))


def _taking_turns(sides: Mapping[str, Call], engine: Engine) -> dict[str, float]:
    """The median of each side's seconds per call; sides take turns, so that what else the machine does hits both."""

    def block(call: Call, calls: int) -> float:
        wait(engine)
        began = time.perf_counter()
        for number in range(calls):
            call(number)
        wait(engine)
        return (time.perf_counter() - began) / calls

    for call in sides.values():
        block(call, WARM_UP)
    calls = max(1, round(BLOCK_S / max(block(call, 1) for call in sides.values())))
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(REPEATS):
        for name, call in sides.items():
            seconds[name].append(block(call, calls))
    return {name: statistics.median(each) for name, each in seconds.items()}


def table4(bench: Bench) -> Outcome:
    """Table 4: frames per second of PG-CNN, gACNN and the paper's model at batch 8."""
    sizes = bench.sizes
    settings = {"device": bench.device, "backbone": sizes.fast_backbone, "size_px": sizes.fast_size_px}
    request = Request(
        what="table4", quick=True, methods=sizes.table4, settings=settings, out=bench.folder / "reproduce"
    )
    table, _ = reproduce_speed(request, lambda _: None)
    speeds = {line.key: cell for line in table.lines for cell in line.cells.values() if isinstance(cell, Speed)}
    return judged(
        len(speeds) == len(table.lines),
        f"frames per second at batch {BATCH_SIZE}, {sizes.fast_backbone}, {sizes.fast_size_px} px (224 for PG-CNN and "
        "gACNN), 32 bits, each batch waited for",
        tuple(Figure(name, speed.median, "frames/s") for name, speed in speeds.items()),
        "",
    )


def _in_launched(config: TrainConfig, work: Callable[[Engine, OnStep], None]) -> Event:
    """What work in the engine's process reports."""
    found: list[Event] = []
    launch(config, work, found.append)
    return found[0]
