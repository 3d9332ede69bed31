"""The run folder: what a training run leaves behind, and what a resumed run continues from.

config.json, data.json (manifests, counts, removed duplicates), environment.json (command, versions, device),
metrics.csv, checkpoints/, predictions.csv and, last, metrics.json.
"""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from occfer.config import TrainConfig
from occfer.config_fields import differences
from occfer.errors import AnotherRunError, CheckpointError, ConfigError, DamagedError
from occfer.files import read_json, read_sealed, write_json
from occfer.runs.checkpoint import Model, load_model
from occsynth.files import PART
from occsynth.ownership import owned_folder

TRAIN, TRAIN_FOLDS = "occfer train", "occfer train --fold all"
"""Who makes a run folder, and the folder of a run over all folds."""
CHOOSE_ANOTHER = "Choose another folder with --out"


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        folder: the run folder.
        config: of the run.
        metrics: the content of metrics.json.
    """

    folder: Path
    config: TrainConfig
    metrics: dict[str, Any]

    @property
    def checkpoint(self) -> Path:
        """The file of the model that was selected."""
        return self.folder / "checkpoints" / "best.safetensors"

    @property
    def predictions(self) -> Path:
        """The table of test predictions, see `occfer.metrics.predictions`."""
        return self.folder / "predictions.csv"

    def load(self) -> Model:
        """The selected model, on the CPU."""
        return load_model(self.checkpoint)


def open_run(folder: Path) -> Run:
    """A finished run, read from its folder.

    Raises:
        CheckpointError: the folder holds no finished run.
    """
    paths = RunPaths(folder)
    if not paths.metrics.is_file():
        raise CheckpointError(f"{paths.metrics} not found: {folder} holds no finished run; finish it with --resume")
    return Run(folder, _read_config(paths), read_sealed(paths.metrics))


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The files of a run folder."""

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
        """The result on the test samples; it is written last, so it says that the run is finished."""
        return self.folder / "metrics.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def last(self) -> Path:
        """The state that an unfinished run continues from."""
        return self.checkpoints / "last.safetensors"

    @property
    def best(self) -> Path:
        """The final model."""
        return self.checkpoints / "best.safetensors"

    def branch(self, role: str) -> Path:
        """A branch after stage 1; `role` is `occluded` or `clean`."""
        return self.checkpoints / f"{role}-branch.safetensors"


def _read_config(paths: RunPaths) -> TrainConfig:
    try:
        return TrainConfig.from_stored(read_json(paths.config))
    except ConfigError as error:
        raise DamagedError(f"{paths.config} cannot be used: {error}") from error


def claimed_run(folder: Path) -> AbstractContextManager[None]:
    """Claims a run folder for this process; raises ConfigError if another one trains there, or it is no run folder."""
    return owned_folder(folder, TRAIN, ConfigError, made_before=_holds_run, advice=CHOOSE_ANOTHER)


def claimed_folds(folder: Path) -> AbstractContextManager[None]:
    """Claims the folder of a run over all folds, as `claimed_run` does."""
    return owned_folder(folder, TRAIN_FOLDS, ConfigError, made_before=_holds_folds, advice=CHOOSE_ANOTHER)


def _holds_run(folder: Path) -> bool:
    """Whether version 0.1, which left no mark, has begun a run in a folder; anyone may have a config.json."""
    paths = RunPaths(folder)
    if not paths.config.is_file():  # the folder of checkpoints comes first
        return list(folder.glob("[!.]*")) == [paths.checkpoints] and not any(paths.checkpoints.iterdir())
    try:
        TrainConfig.from_stored(read_json(paths.config))
    except (CheckpointError, ConfigError):
        return False
    return True


def _holds_folds(folder: Path) -> bool:
    """Whether version 0.1 has begun a run over all folds in a folder."""
    folds = fold_folders(folder)
    files = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    return bool(folds) and all(map(_holds_run, folds)) and files <= {"predictions.csv", "metrics.json"}


def start_folder(config: TrainConfig, data: Mapping[str, Any]) -> RunPaths:
    """Fills a run folder that was claimed, or checks that the unfinished run in it is the same one.

    A run that stopped before its first checkpoint has nothing to continue from, so it is replaced.

    Raises:
        ConfigError: the folder holds a run and `config.resume` is off, or a run of another configuration or other data.
        DamagedError: it cannot be known which run the folder holds.
    """
    paths = RunPaths(config.out)
    try:
        begun = paths.config.is_file()
        if paths.metrics.is_file() or any(paths.checkpoints.glob("*.safetensors")):
            if not begun:
                raise DamagedError(f"{paths.config} is missing, so nobody knows what was trained in {paths.folder}")
            if not config.resume:
                raise ConfigError(
                    f"--out {config.out} holds a run already: continue with --resume, or choose another folder"
                )
            _refuse_another_run(paths, config, data)
        paths.checkpoints.mkdir(parents=True, exist_ok=True)
        for folder, pattern in (
            (paths.folder, PART),
            (paths.checkpoints, PART),
            (paths.checkpoints, ".tmp*"),
        ):
            for part in folder.glob(pattern):
                part.unlink()  # left by a killed process; safetensors calls its own .tmp
        write_json(paths.config, replace(config, resume=False).to_json())
        write_json(paths.data, data)
    except OSError as error:
        raise ConfigError(f"--out {config.out} cannot be written to ({error}); choose another folder") from error
    return paths


def _refuse_another_run(paths: RunPaths, config: TrainConfig, data: Mapping[str, Any]) -> None:
    changed = differences(_read_config(paths), config)
    if changed:
        raise AnotherRunError(f"--resume: {paths.folder} holds a run with other settings: {'; '.join(changed)}")
    if read_json(paths.data) != json.loads(json.dumps(data)):
        raise AnotherRunError(
            f"--resume: the manifests have changed since the run in {paths.folder} began; start a new run"
        )


def fold_folders(folder: Path) -> list[Path]:
    """The run folders in the folder of a run over all folds, by fold; none in any other folder."""
    return sorted(folder.glob("fold-*/"), key=lambda each: (len(each.name), each.name))


def refuse_folds(path: Path) -> None:
    """Raises CheckpointError for the folder of a run over all folds, which holds several models."""
    folds = fold_folders(path)
    if folds and not RunPaths(path).best.is_file():
        raise CheckpointError(f"{path} holds {len(folds)} models, one per fold; name one of them, such as {folds[0]}")
