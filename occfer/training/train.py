"""Training a method from manifests to a tested model: `train(config) -> Run`.

Stage 1 trains the branches that the method needs, stage 2 the occluded branch under guidance; each keeps the epoch that
did best on the validation rows; at the end the test rows are predicted, once.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from occfer.baselines import Baseline
from occfer.config import TrainConfig
from occfer.data.arrays import PointFinder
from occfer.data.batches import LiveOcclusion
from occfer.data.image_store import View
from occfer.engine.engine import Engine, OnStep, one_process
from occfer.engine.launch import launch
from occfer.engine.loop import Session
from occfer.engine.run_data import prepare
from occfer.engine.scoring import predict_rows
from occfer.errors import ConfigError, DataError, lookup
from occfer.faces.landmarks import check_finder, open_points
from occfer.files import write_json
from occfer.method_table import row_of
from occfer.methods import OPTIMIZERS, Method, check_pairing
from occfer.metrics.predictions import answers, write_predictions
from occfer.metrics.summary import summarise
from occfer.models import BACKBONES
from occfer.runs.checkpoint import load, load_model, read_facts
from occfer.runs.environment import write_environment
from occfer.runs.metrics_log import MetricsLog
from occfer.runs.model_facts import ModelFacts
from occfer.runs.run_folder import Run, RunPaths, open_run, start_folder
from occfer.training.two_stages import _fit_method

TESTED_AT_ONCE = 64


def train(
    config: TrainConfig,
    *,
    live_occlusion: LiveOcclusion | None = None,
    find_points: PointFinder | None = None,
    on_step: OnStep | None = None,
    test: bool = True,
) -> Run:
    """Trains and tests one method or baseline.

    Args:
        config: everything that the run depends on.
        live_occlusion: draws a fresh occlusion for (clean image, `database/pair_id`, epoch) during training; it must be
            picklable where several processes are started. Validation and test use the manifest's images.
        find_points: finds the 68 landmarks of an occluded face, for `config.landmarks_from` occluded; picklable too.
        on_step: called with what happens: `{"event": "note", "text": ...}`, `{"event": "pack", "done", "rows"}`, and
            `{"event": "step", "stage", "epoch", "epochs", "round", "rounds", "images_per_s", <loss terms>}`, with
            `val_accuracy` and `val_loss` where an epoch ended. `rounds` counts the stage's, over all epochs.
        test: whether the test rows are predicted; without, metrics.json holds the validation alone.

    Returns:
        The finished run.

    Raises:
        OccFERError: one of its family, which says what is wrong and what to do.
    """
    row = row_of(config.method)
    lookup(BACKBONES, config.backbone, kind="backbone")
    lookup(OPTIMIZERS, config.optimizer, kind="optimizer")
    if config.live_occlusion and live_occlusion is None:
        raise ConfigError(
            f"--live-occlusion {config.live_occlusion} needs something that draws: `occfer train` brings it; from "
            "Python, pass live_occlusion=occfer.faces.live_occlusion.live_occluder(...)"
        )
    if isinstance(row, Method):
        check_pairing(config.method, row, config.pairing)
    elif row.finds_points:
        check_finder(config.landmarks_from, find_points)
    work = partial(_train, config=config, live_occlusion=live_occlusion, find_points=find_points, test=test)
    launch(config, work, on_step or _silent)
    return open_run(config.out)


def _silent(_: dict[str, Any]) -> None:
    pass


def _train(
    engine: Engine,
    on_step: OnStep,
    *,
    config: TrainConfig,
    live_occlusion: LiveOcclusion | None,
    find_points: PointFinder | None,
    test: bool,
) -> None:
    def packed(done: int, rows: int) -> None:
        if engine.first:
            on_step({"event": "pack", "done": done, "rows": rows})

    task = prepare(config, engine, live_occlusion, packed)
    if engine.first:
        start_folder(config, task.facts(config))
    engine.wait()
    paths = RunPaths(config.out)
    if engine.agreed(paths.metrics.is_file()):
        if engine.first:
            paths.last.unlink(missing_ok=True)  # where a run was killed between its last two lines
        return
    # A run that was resumed is told by nothing in its files from one that was left alone.
    config = replace(config, resume=False)
    session = Session(engine, config, task, paths, MetricsLog(paths.log), on_step, find_points)
    row = row_of(config.method)
    _check_views(session, row.view)
    _introduce(session)
    if engine.first:
        write_environment(paths.folder, engine.device.type)
        session.log.start(load(paths.last)[1]["metrics_bytes"] if paths.last.is_file() else 0)
    if isinstance(row, Method):
        _fit_method(session, row)
    else:
        row.fit(session)
    engine.wait()
    if not test:
        _finish_untested(session)
    elif isinstance(row, Method):
        _test_method(session, row)
    else:
        _test_baseline(session, row)
    engine.wait()


def _check_views(session: Session, view: View) -> None:
    samples = session.task.corpus.samples
    if view == "clean":
        without = [index for index in session.task.split.test if not samples[index].clean]
        if without:
            raise DataError(
                f"--method {session.config.method} is tested on clean images, which {len(without)} test rows do not "
                f"have ('{samples[without[0]].pair_id}' first); choose other test rows or another method"
            )


def _introduce(session: Session) -> None:
    split, task = session.task.split, session.task
    session.say(
        f"{len(split.train)} training, {len(split.val)} validation and {len(split.test)} test rows, "
        f"{len(split.classes)} classes, {task.size_px} px"
    )
    if task.resized:
        session.say(f"{task.resized} images of another size were resized to {task.size_px} px")
    if split.duplicates:
        names = ", ".join(task.corpus.samples[index].pair_id for index in split.duplicates[:5])
        session.say(
            f"{len(split.duplicates)} training rows show a test image and were taken out ({names}...; all are in "
            "data.json)"
        )
    if split.without_clean:
        session.say(f"{len(split.without_clean)} training rows have no clean image and were left out")
    if not split.val:
        session.say("no validation rows: the last epoch of each stage is kept")


def _test_method(session: Session, method: Method) -> None:
    """Predicts the test rows with the selected model, all processes together: the one time that they are looked at."""
    task, engine = session.task, session.engine
    model = load_model(session.paths.best)
    engine.place(model.classifier)
    logits = predict_rows(engine, model.classifier, task.store, method.view, task.test)
    if engine.first:
        _finish(session, model.facts, torch.softmax(logits.double(), dim=1).numpy())


def _test_baseline(session: Session, row: Baseline) -> None:
    """The same for a baseline, in the first process."""
    task = session.task
    if not session.engine.first:
        return
    predictor = row.load(session.paths.best, one_process(str(session.engine.device.type)), TESTED_AT_ONCE)
    points = None
    if predictor.needs_points:
        how = session.config.landmarks_from if row.finds_points else "clean"
        points = open_points(task.corpus, task.size_px, how, session.find_points)
    parts = []
    for start in range(0, len(task.test), TESTED_AT_ONCE):
        rows = task.test[start : start + TESTED_AT_ONCE]
        images = task.store.host(row.view, rows)
        parts.append(predictor.probabilities(images, None if points is None else points.of(rows, images)))
    for note in [] if points is None else points.notes():
        session.say(note)
    _finish(session, predictor.facts, np.concatenate(parts))


def _finish(session: Session, facts: ModelFacts, probabilities: npt.NDArray[np.float64]) -> None:
    """Writes the result; what an unfinished run goes on from is not needed any more."""
    task = session.task
    samples = [task.corpus.samples[index] for index in task.split.test]
    predictions = answers(samples, task.split.classes, probabilities)
    run = Run(session.paths.folder, session.config, _kept(facts) | summarise(predictions))
    write_predictions(run.predictions, predictions)
    write_json(session.paths.metrics, run.metrics)
    session.paths.last.unlink(missing_ok=True)


def _finish_untested(session: Session) -> None:
    """The same without a look at the test rows."""
    if session.engine.first:
        write_json(session.paths.metrics, _kept(read_facts(session.paths.best)))
        session.paths.last.unlink(missing_ok=True)


def _kept(facts: ModelFacts) -> dict[str, Any]:
    """What metrics.json says about the model beside its result: the epoch that was kept, and why."""
    return {
        "method": facts.method,
        "epoch": facts.epoch,
        "val_accuracy": facts.val_accuracy,
        "val_loss": facts.val_loss,
    }
