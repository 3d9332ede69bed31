"""One run per fold, and their answers to the test samples pooled: `--fold all`."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from occfer.config import TrainConfig
from occfer.data.splits import folds_of
from occfer.engine.launch import led_before
from occfer.errors import ConfigError
from occfer.events import OnStep
from occfer.metrics.clean_result import read_clean_result, write_clean_result
from occfer.metrics.predictions import Predictions, pooled
from occfer.metrics.result_files import read_result, write_result
from occfer.metrics.summary import summarise_folds
from occfer.runs.run_folder import Run, claimed_folds, fold_folders
from occfer.training.train import train


@dataclass(frozen=True, slots=True, eq=False)
class FoldRuns:
    """The runs of all folds.

    Attributes:
        folder: holds a run folder `fold-<k>/` for each fold, the pooled predictions.csv, and metrics.json.
        runs: by fold.
        predictions: pooled; every pair was tested once, by the model that was not trained on its fold.
        metrics: the content of metrics.json, see `occfer.metrics.summary.summarise_folds`.
    """

    folder: Path
    runs: dict[int, Run]
    predictions: Predictions
    metrics: dict[str, Any]


def train_folds(config: TrainConfig, *, on_step: OnStep | None = None) -> FoldRuns:
    """Trains and tests on each fold in turn; with `config.resume`, finished folds are kept.

    Args:
        config: of every run; `fold` must be None, and `out` is the folder that holds the runs.
        on_step: called with the events of `occfer.events`.

    Raises:
        OccFERError: as for `train`.
    """
    folds = folds_of(config)
    with ExitStack() as owned:
        led_before(config, lambda: _start(config, owned))
        return _train_each(config, folds, on_step)


def _start(config: TrainConfig, owned: ExitStack) -> None:
    """Claims the folder until the stack is closed; raises ConfigError if there are runs and `config.resume` is off."""
    owned.enter_context(claimed_folds(config.out))
    if fold_folders(config.out) and not config.resume:
        raise ConfigError(f"--out {config.out} holds runs already: continue with --resume, or choose another folder")


def _train_each(config: TrainConfig, folds: Sequence[int], on_step: OnStep | None) -> FoldRuns:
    runs: dict[int, Run] = {}
    for done, fold in enumerate(folds):
        if on_step is not None:
            on_step({"event": "fold", "fold": fold, "done": done, "folds": len(folds)})
        own = replace(config, fold=fold, out=config.out / f"fold-{fold}")
        runs[fold] = train(own, on_step=on_step)
    parts = {fold: read_result(run.folder) for fold, run in runs.items()}
    together = pooled(list(parts.values()))
    metrics = {"method": config.method} | summarise_folds(parts)
    clean = [found for run in runs.values() if (found := read_clean_result(run.folder)) is not None]
    if len(clean) == len(runs):
        metrics |= write_clean_result(config.out, {"method": config.method}, pooled(clean), together)
    write_result(config.out, together, metrics)
    return FoldRuns(config.out, runs, together, metrics)
