"""What a job does in the process that runs it: train a method and test it, or test a model on other images."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from joblib import cpu_count

from occfer.config import TrainConfig
from occfer.errors import AnotherRunError, CheckpointError, ConfigError, DamagedError, lookup
from occfer.evaluation.evaluate import EvaluateOptions, evaluate
from occfer.files import read_json
from occfer.jobs.graph import Job
from occfer.runs.run_folder import RunPaths, open_run
from occfer.training.train import train

VISIBLE = "CUDA_VISIBLE_DEVICES"
MOST_PROCESSES = 8
# The lock of this process's place among those on its machine. It is kept here, and so locked, as long as the process
# lives: a process that starts later takes another place, and with it another GPU.
PLACES: dict[str, FileLock] = {}


@dataclass(frozen=True, slots=True)
class Workplace:
    """What each process that runs jobs may use; it is sent to those processes.

    Attributes:
        shares_machine: whether other processes run jobs on the same machine; each then takes a GPU of its own.
        threads: number of threads per process; 0 leaves torch's own number.
    """

    shares_machine: bool = False
    threads: int = 0


def do_job(job: Job, workplace: Workplace) -> str:
    """Does a job of any kind, in this process, and returns a note for the user, empty if there is nothing to tell.

    Raises:
        OccFERError: the job failed for a reason that its message names.
    """
    if workplace.threads:
        torch.set_num_threads(workplace.threads)
    if workplace.shares_machine:
        take_gpu()
    return lookup(JOB_KINDS, job.kind, kind="job")(job.folder, job.payload)


def _train(folder: Path, payload: Mapping[str, Any]) -> str:
    config = replace(TrainConfig.from_json(payload["config"]), out=folder, resume=True)
    paths = RunPaths(folder)
    test = payload.get("test", True)
    note = _clear_unreadable(folder)
    begun = folder.exists()
    try:
        run = train(config, test=test)
    except (DamagedError, AnotherRunError) as error:
        # The folder is named after the job's key. A run that cannot be resumed there is damaged, or named the same data
        # by another path.
        if not begun:
            raise
        note = f"{error}; what was begun is deleted, and the run starts again"
        shutil.rmtree(folder)
        run = train(config, test=test)
    if config.branch_cache is not None:  # the run folder's branches are copies of those in the cache
        for role in ("clean", "occluded"):
            paths.branch(role).unlink(missing_ok=True)
    if not payload["keep_model"]:
        run.checkpoint.unlink(missing_ok=True)
    return note


def _clear_unreadable(folder: Path) -> str:
    """Deletes a job's folder where nobody could tell what was begun; returns a note, empty if nothing was lost."""
    config = RunPaths(folder).config
    try:
        TrainConfig.from_stored(read_json(config))
    except (CheckpointError, ConfigError) as error:
        lost = config.is_file()
        if folder.exists():
            shutil.rmtree(folder)
        return f"{config} cannot be used ({error}); what was begun is deleted, and the run starts again" if lost else ""
    return ""


def _evaluate(folder: Path, payload: Mapping[str, Any]) -> str:
    run = open_run(Path(payload["run"]))
    evaluate(
        EvaluateOptions(
            checkpoint=run.checkpoint,
            manifests=tuple(Path(path) for path in payload["manifests"]),
            device=payload["device"],
            cache_dir=None if payload["cache_dir"] is None else Path(payload["cache_dir"]),
            out=folder,
            with_clean=True,
            overwrite=True,  # in a folder that whoever runs the jobs has claimed
        )
    )
    return ""


JOB_KINDS: dict[str, Callable[[Path, Mapping[str, Any]], str]] = {"train": _train, "evaluate": _evaluate}


def take_gpu() -> None:
    """Gives this process a GPU: the first that no other process on this machine has; more processes than GPUs share.

    Processes cannot count each other, since a pool replaces them at any time. So each locks the first free place, and
    the operating system frees the place when the process ends, however it ends.
    """
    gpus = _visible_gpus()
    if not gpus or "place" in PLACES:
        return
    folder = Path(tempfile.gettempdir()) / f"occfer-places-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)  # nobody else can put links or locks there
    place = 0
    while True:
        lock = FileLock(folder / f"{place}.lock")
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            place += 1
    PLACES["place"] = lock
    os.environ[VISIBLE] = gpus[place % len(gpus)]


def _visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, as they stand in `CUDA_VISIBLE_DEVICES`."""
    given = os.environ.get(VISIBLE)
    if given is not None:
        return [name for name in given.split(",") if name.strip() and name.strip() != "-1"]
    return [str(index) for index in range(torch.cuda.device_count())]


def how_many(workers: int | None, device: str) -> int:
    """The number of processes: as asked for, else one per GPU where GPUs are used, else one per core.

    Without GPUs there are at most `MOST_PROCESSES`, because each keeps a network, its gradients and the optimizer's
    state in memory.
    """
    if workers is not None:
        return workers
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.device_count()
    return min(cores(), MOST_PROCESSES)


def cores() -> int:
    """The number of cores that this process may use."""
    return int(cpu_count())


def workplace(workers: int, backend: str) -> Workplace:
    """What each of several processes may use: its share of the cores and a GPU of its own, or all that SLURM gave."""
    if backend == "slurm":
        return Workplace()
    if backend == "dask":
        return Workplace(shares_machine=True)
    threads = 0 if workers == 1 else max(1, cores() // workers)
    return Workplace(shares_machine=workers > 1, threads=threads)
