"""The run folder: what a training run leaves behind, and what a resumed one goes on from.

config.json, data.json (manifests, counts, removed duplicates), environment.json (command, versions, device),
metrics.csv, checkpoints/, predictions.csv and, last, metrics.json.
"""

import csv
import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from occfer.checkpoint import Model, load_model
from occfer.config import TrainConfig, differences
from occfer.errors import CheckpointError, ConfigError
from occfer.losses import LOSSES

TERMS = ("total", "sup", *LOSSES, "d")
COLUMNS = ("stage", "epoch", "round", *TERMS, "val_accuracy", "val_loss")


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        folder: the run folder.
        config: what was run.
        metrics: the content of metrics.json.
    """

    folder: Path
    config: TrainConfig
    metrics: dict[str, Any]

    @property
    def checkpoint(self) -> Path:
        """The model that was selected: networks, vocabulary and facts."""
        return self.folder / "checkpoints" / "best.safetensors"

    @property
    def predictions(self) -> Path:
        """The table of test predictions, see `occfer.predictions`."""
        return self.folder / "predictions.csv"

    def load(self) -> Model:
        """The selected model, on the CPU."""
        return load_model(self.checkpoint)


def open_run(folder: Path) -> Run:
    """A finished run, read from its folder.

    Raises:
        CheckpointError: there is no finished run.
    """
    paths = RunPaths(folder)
    if not paths.metrics.is_file():
        raise CheckpointError(f"{paths.metrics} not found: {folder} holds no finished run; finish it with --resume")
    config = TrainConfig.from_json(read_json(paths.config))
    return Run(folder, config, read_json(paths.metrics))


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Where things are in a run folder."""

    folder: Path

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "config.json"

    @property
    def data(self) -> Path:
        """Manifests, counts of rows, removed duplicates."""
        return self.folder / "data.json"

    @property
    def log(self) -> Path:
        """The losses of every few rounds and the validation of every epoch."""
        return self.folder / "metrics.csv"

    @property
    def metrics(self) -> Path:
        """The result on the test set; it is written last."""
        return self.folder / "metrics.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def last(self) -> Path:
        """The state that an unfinished run goes on from."""
        return self.checkpoints / "last.safetensors"

    @property
    def best(self) -> Path:
        """The final model."""
        return self.checkpoints / "best.safetensors"

    def branch(self, role: str) -> Path:
        """A branch after stage 1; `role` is `occluded` or `clean`."""
        return self.checkpoints / f"{role}-branch.safetensors"


def start_folder(config: TrainConfig, data: Mapping[str, Any]) -> RunPaths:
    """Makes the run folder, or checks that an unfinished run in it is the same.

    A run that stopped before its first checkpoint left nothing to go on from: it is replaced.

    Raises:
        ConfigError: it holds a run and `config.resume` is off, or it is a run of another configuration or other data.
    """
    paths = RunPaths(config.out)
    try:
        begun = paths.config.is_file()
        if begun and (paths.metrics.is_file() or any(paths.checkpoints.glob("*.safetensors"))):
            if not config.resume:
                raise ConfigError(
                    f"--out {config.out} holds a run already: go on with --resume, or choose another folder"
                )
            _refuse_another_run(paths, config, data)
        elif not begun and not config.resume and paths.folder.is_dir() and any(paths.folder.iterdir()):
            raise ConfigError(f"--out {config.out} is not empty and holds no run; choose another folder")
        paths.checkpoints.mkdir(parents=True, exist_ok=True)
        for folder, pattern in (
            (paths.folder, ".*.part"),
            (paths.checkpoints, ".*.part"),
            (paths.checkpoints, ".tmp*"),
        ):
            for part in folder.glob(pattern):
                part.unlink()  # what a killed process was writing; .tmp is safetensors' own name
        write_json(paths.config, replace(config, resume=False).to_json())
        write_json(paths.data, data)
    except OSError as error:
        raise ConfigError(f"--out {config.out} cannot be written to ({error}); choose another folder") from error
    return paths


def _refuse_another_run(paths: RunPaths, config: TrainConfig, data: Mapping[str, Any]) -> None:
    changed = differences(TrainConfig.from_json(read_json(paths.config)), config)
    if changed:
        raise ConfigError(f"--resume: {paths.folder} holds a run with other settings: {'; '.join(changed)}")
    if paths.data.is_file() and read_json(paths.data) != json.loads(json.dumps(data)):
        raise ConfigError(
            f"--resume: the manifests have changed since the run in {paths.folder} began; start a new one"
        )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file atomically."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; raises CheckpointError where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return content


@dataclass(slots=True)
class MetricsLog:
    """metrics.csv of a run, and TensorBoard events beside it where that is installed.

    Holds no times, so that a resumed run's file equals an undisturbed one's.

    Attributes:
        path: of the CSV.
    """

    path: Path
    _board: Any = field(init=False, default=None, repr=False)

    def start(self, size_bytes: int) -> None:
        """Cuts off what came after the checkpoint at which the file had that size; writes the header line if new."""
        if self.path.is_file():
            with self.path.open("rb+") as file:
                file.truncate(size_bytes)
        if not self.path.is_file() or self.path.stat().st_size == 0:
            self._append(COLUMNS)

    def open_board(self, stage: str, round_number: int) -> None:
        """Sends what follows to TensorBoard as well, if that is installed; rounds from this one on are written anew."""
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            folder = self.path.parent / "tensorboard" / stage
            self._board = SummaryWriter(str(folder), purge_step=round_number)

    def write(self, stage: str, epoch: int, round_number: int, values: Mapping[str, float]) -> None:
        """One line: epoch and round count from 1; a column without a value stays empty."""
        self._append((stage, epoch, round_number, *(values.get(name, "") for name in COLUMNS[3:])))
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, round_number)
            self._board.flush()

    def size_bytes(self) -> int:
        """The file's size, once all of it is on the disk."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        return self.path.stat().st_size

    def _append(self, cells: tuple[Any, ...]) -> None:
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(cells)
