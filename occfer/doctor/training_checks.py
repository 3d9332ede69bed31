"""Checks of training: a card computes what the CPU computes, in every precision, on all cards, and after a kill."""

import math
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from occfer.config import TrainConfig
from occfer.doctor.outcome import Bench, Figure, Outcome, judged, skipped
from occfer.engine.branches import initial_branch
from occfer.errors import TrainingError
from occfer.events import Event
from occfer.files import write_json
from occfer.runs.checkpoint import Tensors, load_model
from occfer.runs.run_folder import Run, RunPaths
from occfer.training.benchmark import measure
from occfer.training.train import train
from occsynth.processes import SAFE_PATH, safe_module_paths
from occsynth.reading import read_table

LOSS_TOLERANCE, WEIGHT_TOLERANCE = 1e-3, 0.2
"""Each update multiplies what rounding began. A CPU that sums in another order differs from itself by 2e-5 in the
losses of eight updates, and in the weights by 0.02 to 0.03 of their way; a wrong gradient makes that about 1."""
FALLS_TO = 0.9
OCCLUDED_BRANCH, GUIDANCE = "occluded-branch", "guidance"
COMPARED = ("metrics.csv", "predictions.csv")
"""Files of a run that hold neither a time nor a path."""
KILLED_AFTER = 5
"""Rounds of stage 2; a checkpoint is written after every second one."""
NOISE = 4.0
"""How many times the difference between two undisturbed runs a resumed run may differ from them."""


def like_the_cpu(bench: Bench) -> Outcome:
    """The same short run of `full` on the card and on the CPU, in float32 without TF32."""
    only_float32()
    # Short steps in large batches: rounding grows with each update, tenfold at usual rates. And sgd: what Adam divides
    # by is so small in the first updates that rounding alone turns an update's sign.
    plain = {"optimizer": "sgd", "pretrain_rate": 1e-5, "rate": 1e-5, "batch_size": 2 * bench.sizes.batch_size}
    plain |= {"pretrain_epochs": 3, "epochs": 3}
    on_cpu = train(bench.config("cpu", device="cpu", **plain))
    # another memory layout makes a CPU sum in another order, as a card does
    other = train(bench.config("other", channels_last=bench.device == "cpu", **plain))
    losses, cpu_losses = (_losses(run.folder, OCCLUDED_BRANCH, "total") for run in (other, on_cpu))
    loss_apart = max(abs(ours - theirs) / abs(theirs) for ours, theirs in zip(losses, cpu_losses, strict=True))
    info = on_cpu.load().info
    start = _of(initial_branch(on_cpu.config, info.size_px, len(info.classes))[0])
    branch, cpu_branch = (_weights(RunPaths(run.folder).branch("occluded")) for run in (other, on_cpu))
    branch_apart = _apart(branch, cpu_branch, start)
    apart = _apart(_weights(other.checkpoint), _weights(on_cpu.checkpoint), start)
    rounds = len(_losses(other.folder, GUIDANCE, "total"))
    return judged(
        loss_apart <= LOSS_TOLERANCE and branch_apart <= WEIGHT_TOLERANCE and apart <= WEIGHT_TOLERANCE,
        f"{len(losses)} updates of stage 1 and {rounds} rounds of stage 2 of full, "
        f"{on_cpu.config.backbone}, {on_cpu.config.size_px} px, float32 without TF32, as on the CPU",
        (
            Figure("loss of an update of stage 1, largest relative difference", loss_apart, ""),
            Figure("weights after stage 1, difference as a share of the way", branch_apart, ""),
            Figure("weights after stage 2, difference as a share of the way", apart, ""),
        ),
        f"losses {LOSS_TOLERANCE:g}, weights {WEIGHT_TOLERANCE:g}",
    )


def only_float32() -> None:
    """Makes this process compute in float32 alone: by default a card rounds the inputs of convolutions to TF32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def trains_in_bf16(bench: Bench) -> Outcome:
    """A run in bf16 stays finite, and its loss falls."""
    # including_emulation: an older card computes bf16 in float32, which is slower than float32 itself
    if bench.device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return skipped(f"{torch.cuda.get_device_name()} has no bf16 of its own; choose --precision fp16 or 32")
    return _falls(bench.config("bf16", precision="bf16", pretrain_epochs=bench.sizes.stage_1_epochs))


def trains_in_fp16(bench: Bench) -> Outcome:
    """A run in fp16, with its loss scale, stays finite, and its loss falls."""
    return _falls(bench.config("fp16", precision="fp16", pretrain_epochs=bench.sizes.stage_1_epochs))


def on_all_cards(bench: Bench) -> Outcome:
    """DDP over every card of this machine; a single card is the only process of a group."""
    count = bench.sizes.cpu_processes if bench.device == "cpu" else torch.cuda.device_count()
    what = "process(es) on the CPU" if bench.device == "cpu" else "card(s)"
    # batch norm needs two samples in each process, and the demo faces are few: an epoch may be a handful of updates
    batch_size, epochs = max(bench.sizes.batch_size, 4 * count), 2 * bench.sizes.stage_1_epochs
    config = bench.config("ddp", pretrain_epochs=epochs, devices=count, batch_size=batch_size)
    figures = [Figure(what, count, "")]
    if count == 1:
        _train_under_torchrun(config, bench.folder)
        note = "one card was there, so DDP ran with a single process, under torchrun"
    else:
        train(config)
        note = f"DDP over {count} {what}"
        fast = bench.fast_config(devices=count, batch_size=count * bench.sizes.fast_batch_size)
        for each in (fast, bench.fast_config()):  # the second one runs in this process, and keeps memory of a card
            measured = measure("stage 2, full", each, bench.sizes.seconds)
            if measured is not None:
                figures.append(Figure(f"stage 2 of full, {each.devices} {what}", measured.images_per_s, "pairs/s"))
    return _fall(config.out).outcome(note, tuple(figures))


def _train_under_torchrun(config: TrainConfig, folder: Path) -> None:
    given = folder / "settings.json"
    own = {"manifests", "test_manifests", "fold", "out", "resume"}
    write_json(given, {name: value for name, value in config.to_json().items() if name not in own})
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"),
        *("-m", "occfer", "train", "--manifest", str(config.manifests[0]), "--fold", str(config.fold)),
        *("--config", str(given), "--out", str(config.out), "--no-figures"),
    ]
    done = subprocess.run(command, check=False, env={**os.environ, **SAFE_PATH})
    if done.returncode:
        raise TrainingError(f"occfer train under torchrun ended with exit code {done.returncode}; the log says why")


def killed_and_resumed(bench: Bench) -> Outcome:
    """A run that is killed in the middle of stage 2 and resumed ends as an undisturbed one."""
    config = bench.config("undisturbed", epochs=2, checkpoint_every=2)
    first = _in_its_process(config)
    killed = replace(config, out=bench.folder / "killed")
    _in_its_process(killed, kill_at=KILLED_AFTER)
    if RunPaths(killed.out).metrics.exists():
        raise TrainingError("the run that was to be killed has ended")
    resumed = _in_its_process(replace(killed, resume=True))
    rounds = len(_losses(first.folder, GUIDANCE, "total"))
    what = f"a run of full, killed (SIGKILL) after {KILLED_AFTER} of {rounds} rounds of stage 2"
    same = all((first.folder / name).read_bytes() == (resumed.folder / name).read_bytes() for name in COMPARED)
    apart = _largest(resumed, first)
    found = Figure("largest difference of a weight", apart, "")
    if same and apart == 0:
        return judged(True, f"{what}, and resumed: equal to the bit", (found,), "equal to the bit")
    # kernels that sum in no fixed order make undisturbed runs differ, too
    noise = _largest(_in_its_process(replace(config, out=bench.folder / "second")), first)
    return judged(
        apart <= NOISE * noise,
        f"{what}, and resumed: not equal to the bit, against two undisturbed runs",
        (found, Figure("of two undisturbed runs", noise, "")),
        f"{NOISE:g} times what two undisturbed runs differ by",
    )


def _in_its_process(config: TrainConfig, kill_at: int = 0) -> Run:
    """A run in a process that computes repeatably; see `_train_repeatably`."""
    process = multiprocessing.get_context("spawn").Process(target=_train_repeatably, args=(config, kill_at))
    with safe_module_paths():
        process.start()
    process.join()
    if process.exitcode != (-signal.SIGKILL if kill_at else 0):
        raise TrainingError(f"{config.out.name}: its process ended with exit code {process.exitcode}; the log says why")
    return Run(config.out, config, {})


def _train_repeatably(config: TrainConfig, kill_at: int) -> None:
    """Trains with kernels that sum in a fixed order, where there are such; dies at that round of stage 2, if not 0."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when the card is first used
    torch.use_deterministic_algorithms(True, warn_only=True)
    train(config, on_step=partial(_die, kill_at))


def _die(kill_at: int, event: Event) -> None:
    if kill_at and event.get("stage") == GUIDANCE and event.get("round") == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class _Fall:
    """Whether the loss of a run's stage 1 has fallen; its terms are finite, or the run would have ended.

    Attributes:
        began, ended: mean loss of the first and of the last third of stage 1.
        words: what the run did.
    """

    began: float
    ended: float
    words: str

    def outcome(self, before: str, more: tuple[Figure, ...] = ()) -> Outcome:
        """The outcome of a check that asks for nothing else."""
        return judged(
            self.ended <= FALLS_TO * self.began,
            f"{before}: {self.words}",
            (*more, Figure("loss at the start", self.began, ""), Figure("loss at the end", self.ended, "")),
            f"the last third of stage 1 has at most {FALLS_TO:g} of the first third's loss",
        )


def _fall(folder: Path) -> _Fall:
    losses = _losses(folder, OCCLUDED_BRANCH, "sup")
    third = max(1, len(losses) // 3)
    rounds = len(_losses(folder, GUIDANCE, "total"))
    return _Fall(
        statistics.fmean(losses[:third]),
        statistics.fmean(losses[-third:]),
        f"{len(losses)} updates of stage 1 and {rounds} rounds of stage 2 of full, every term finite",
    )


def _falls(config: TrainConfig) -> Outcome:
    return _fall(train(config).folder).outcome(config.precision)


def _losses(folder: Path, stage: str, term: str) -> list[float]:
    """A term of metrics.csv, round by round."""
    lines = read_table(RunPaths(folder).log, ("stage", term), TrainingError)
    return [float(line[term]) for _, line in lines if line["stage"] == stage and line[term]]


def _weights(path: Path) -> Tensors:
    return _of(load_model(path).classifier)


def _of(network: torch.nn.Module) -> Tensors:
    """What is learned; the statistics of batch norm, some of which are large, would hide it."""
    return {name: each.detach().double() for name, each in network.named_parameters()}


def _apart(one: Tensors, other: Tensors, start: Tensors) -> float:
    """The distance between two trained networks as a share of the way from their common start to the second."""
    return _distance(one, other) / _distance(other, start)


def _distance(one: Tensors, other: Tensors) -> float:
    return math.sqrt(sum(float((one[name] - each).square().sum()) for name, each in other.items()))


def _largest(one: Run, other: Run) -> float:
    """The largest difference of a weight between the models of two runs."""
    theirs = _weights(other.checkpoint)
    return max(float((each - theirs[name]).abs().max()) for name, each in _weights(one.checkpoint).items())
