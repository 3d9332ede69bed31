"""(f), (g), (h): stage 2 against a bare loop, the shortcuts through the teacher, and the data path; 48 px, one core.

Ours is the engine on pictures of noise, stored in memory as an image pack is: batches, flips, cached teacher logits,
seeds, updates. The bare loop has the same networks and does the same updates, on batches that are already floats. Times
are processor times of the process.
"""

import time
from pathlib import Path

import torch

from benchmarks.measure import Finding, rates
from benchmarks.own_process import peaks
from occfer.config import TrainConfig
from occfer.doctor.bare_loop import BareLoop
from occfer.engine.engine import one_process
from occfer.training.benchmark import Call, made_data, prepared

SIDE_PX = 48


def settings(method: str, backbone: str, batch_size: int, side_px: int) -> TrainConfig:
    """The training configuration of one comparison."""
    return TrainConfig(
        manifests=(Path("made.csv"),), method=method, backbone=backbone, weights="none", size_px=side_px,
        batch_size=batch_size, device="cpu",
    )  # fmt: skip


def engine_rounds(config: TrainConfig, what: str = "") -> Call:
    """A function that does a round of the engine; `what` as in `occfer.training.benchmark`, by default stage 2."""
    engine = one_process("cpu")
    return prepared(what or f"stage 2, {config.method}", made_data(config, engine), config, engine)


def taking_turns(sides: dict[str, Call], repeats: int, calls: dict[str, int] | None = None) -> dict[str, list[float]]:
    """Seconds per call of each side in each repeat. Sides take turns at going first; a first repeat warms up.

    Processor time of this process is measured, since nothing here waits for anything: what else a shared machine does
    then disturbs a repeat less.

    Args:
        sides: the functions to call, by name; each gets the number of the call.
        repeats: how many repeats to measure.
        calls: how many calls a side makes per repeat, default 1.
    """
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        names = list(sides) if repeat % 2 else list(sides)[::-1]
        for name in names:
            count = (calls or {}).get(name, 1)
            began = time.process_time()
            for number in range(count):
                sides[name](repeat * count + number)
            seconds[name].append((time.process_time() - began) / count)
    return {name: each[1:] for name, each in seconds.items()}


def bare_rounds(config: TrainConfig) -> Call:
    """A function that does a round of the bare loop."""
    return BareLoop(config).round


SIDES = {"engine": engine_rounds, "bare": bare_rounds}


def two_rounds(side: str, method: str, backbone: str, batch_size: int, side_px: int) -> None:
    """Two rounds of a side in `SIDES`, for a process whose memory is measured."""
    torch.set_num_threads(1)
    call = SIDES[side](settings(method, backbone, batch_size, side_px))
    for number in range(2):
        call(number)


def engine_against_bare(
    repeats: int = 9,
    batch_size: int = 32,
    backbones: tuple[str, ...] = ("resnet50", "resnet18"),
    side_px: int = SIDE_PX,
) -> list[Finding]:
    """(f): the engine against a bare loop."""
    findings = []
    for backbone in backbones:
        config = settings("full", backbone, batch_size, side_px)
        found = taking_turns({"ours": engine_rounds(config), "bare": bare_rounds(config)}, repeats)
        what = f"stage 2 of full, {backbone}, {side_px} px, batch {batch_size}, against a bare loop"
        findings.append(rates("f", what, found["ours"], found["bare"], batch_size, 0.95))
        ours, bare = (
            (__name__, "two_rounds", (side, "full", backbone, batch_size, side_px)) for side in ("engine", "bare")
        )
        findings.append(peaks("f", what, ours, bare))
    return findings


NAIVE: dict[str, dict[str, tuple[tuple[str, ...], float | None]]] = {
    "full": {
        "the whole teacher before the discriminator's update": (("discriminator",), 1.08),
        "the whole teacher before both players' updates": (("discriminator", "student"), None),
    },
    "sim+lir": {"the whole teacher before each update": (("student",), 1.25)},
}
"""By method: what a naive loop does, for which players' updates it runs the whole teacher, and the goal.

By arithmetic for ResNet-50 on faces of 48 px (`benchmarks.arithmetic` counts it), in 10^9 multiplications per face: a
forward pass costs 0.213, up to the shared feature 0.083, the decoder 0.024, the discriminator 0.012; backward passes
cost twice as much. A round of `full` then costs 0.978. Running the whole teacher where the discriminator needs only its
feature costs 1.13 times as much; running it in the student's step too, 1.35 times. A round of `sim+lir` costs 0.639, or
0.852 with the whole teacher, 1.33 times as much. The goals leave a part of that to what both sides do alike.
"""


def shortcut(
    repeats: int = 7, batch_size: int = 32, backbone: str = "resnet50", side_px: int = SIDE_PX
) -> list[Finding]:
    """(g): the engine against bare loops that run the whole teacher."""
    findings = []
    for method, variants in NAIVE.items():
        config = settings(method, backbone, batch_size, side_px)
        naive = {name: BareLoop(config, players).round for name, (players, _) in variants.items()}
        found = taking_turns({"ours": engine_rounds(config), **naive}, repeats)
        for name, (_, goal) in variants.items():
            what = f"stage 2 of {method}, {backbone}, against {name}"
            findings.append(rates("g", what, found["ours"], found[name], batch_size, goal))
    return findings


def data_path(repeats: int = 7, batch_size: int = 32, side_px: int = SIDE_PX) -> list[Finding]:
    """(h): pairs per second in batches for both players, against pairs per second that training uses."""
    findings = []
    for what, method, backbone in (
        ("stage 2 of full, resnet50", "full", "resnet50"),
        ("stage 2 of full, resnet18", "full", "resnet18"),
        ("stage 2 of resnet-long, mobilenet_v2", "resnet-long", "mobilenet_v2"),
    ):
        config = settings(method, backbone, batch_size, side_px)
        sides = {"data": engine_rounds(config, "data path"), "training": engine_rounds(config)}
        found = taking_turns(sides, repeats, {"data": 20})
        title = f"batches of both players, {side_px} px, against {what}"
        findings.append(rates("h", title, found["data"], found["training"], batch_size, 10))
    return findings
