"""One run a fold, and their test answers pooled: `--fold all`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from occfer.batches import LiveOcclusion
from occfer.config import TrainConfig
from occfer.data import read_corpus
from occfer.engine import OnStep
from occfer.errors import ConfigError, DataError
from occfer.predictions import Predictions, pooled, read_predictions, write_predictions
from occfer.predictor import PointFinder
from occfer.run import Run, write_json
from occfer.splits import tested_split
from occfer.summary import summarise_folds
from occfer.train import train


@dataclass(frozen=True, slots=True, eq=False)
class FoldRuns:
    """What came of all folds.

    Attributes:
        folder: holds `fold-<k>/`, a run folder each, the pooled predictions.csv, and metrics.json.
        runs: by fold.
        predictions: pooled; every pair was tested once, by the model that had not seen its subject.
        metrics: the content of metrics.json, see `occfer.summary.summarise_folds`.
    """

    folder: Path
    runs: dict[int, Run]
    predictions: Predictions
    metrics: dict[str, Any]


def train_folds(
    config: TrainConfig,
    *,
    live_occlusion: LiveOcclusion | None = None,
    find_points: PointFinder | None = None,
    on_step: OnStep | None = None,
) -> FoldRuns:
    """Trains and tests once a fold, one after the other; with `config.resume`, what is finished is kept.

    Args:
        config: of every run; `fold` must be None, and `out` is the folder that holds the runs.
        live_occlusion, find_points, on_step: as for `occfer.train.train`; there is one more event, `{"event": "fold",
            "fold", "done", "folds"}`, before each run.

    Raises:
        OccFERError: as for `train`.
    """
    folds = folds_of(config)
    if config.out.is_dir() and any(config.out.iterdir()) and not config.resume:
        raise ConfigError(f"--out {config.out} is not empty: go on with --resume, or choose another folder")
    runs: dict[int, Run] = {}
    for done, fold in enumerate(folds):
        if on_step is not None:
            on_step({"event": "fold", "fold": fold, "done": done, "folds": len(folds)})
        own = replace(config, fold=fold, out=config.out / f"fold-{fold}")
        runs[fold] = train(own, live_occlusion=live_occlusion, find_points=find_points, on_step=on_step)
    parts = {fold: read_predictions(run.predictions) for fold, run in runs.items()}
    together = pooled(list(parts.values()))
    metrics = {"method": config.method} | summarise_folds(parts)
    write_predictions(config.out / "predictions.csv", together)
    write_json(config.out / "metrics.json", metrics)
    return FoldRuns(config.out, runs, together, metrics)


def folds_of(config: TrainConfig) -> list[int]:
    """The folds of the training manifests.

    Raises:
        ConfigError: a fold was chosen, or there is a test manifest.
        DataError: the manifests have no folds, or databases with different ones.
    """
    if config.fold is not None:
        raise ConfigError("all folds are trained where none is chosen: leave the fold out of the configuration")
    if config.test_manifests:
        raise ConfigError("--fold all tests on every fold in turn: leave out --test-manifest")
    corpus = read_corpus(config.manifests)
    official = tested_split(corpus.samples)
    by_database: dict[str, set[int]] = {}
    for sample in corpus.samples:
        if sample.fold is not None and sample.database not in official:
            by_database.setdefault(sample.database, set()).add(sample.fold)
    if not by_database:
        names = ", ".join(source.name for source in corpus.sources)
        raise DataError(f"--fold all: {names} has no folds; leave out --fold")
    known = set.union(*by_database.values())
    odd = [database for database, folds in by_database.items() if folds != known]
    if odd:
        listed = ", ".join(map(str, sorted(by_database[odd[0]])))
        raise DataError(
            f"--fold all: the databases have different folds ({odd[0]} has {listed}); train one --fold at a time"
        )
    return sorted(known)
