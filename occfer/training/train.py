"""Training a method from manifests to a tested model: `train(config) -> Run`.

Stage 1 trains the branches that the method needs, stage 2 the occluded branch under guidance; each keeps the epoch that
did best on the validation rows; at the end the test rows are predicted, once.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from occfer.config import TrainConfig
from occfer.data.arrays import View
from occfer.data.batches import LiveOcclusion
from occfer.engine.engine import Engine
from occfer.engine.launch import launch
from occfer.engine.loop import Session
from occfer.engine.run_data import prepare
from occfer.engine.trainer import RunAnswers
from occfer.errors import DataError, lookup
from occfer.events import OnStep, ignore
from occfer.faces.live_occlusion import live_occluder
from occfer.files import write_json
from occfer.method_table import trainer_of
from occfer.metrics.predictions import make_predictions, write_predictions
from occfer.metrics.summary import summarise
from occfer.models import BACKBONES
from occfer.runs.checkpoint import load, read_facts
from occfer.runs.environment import write_environment
from occfer.runs.metrics_log import MetricsLog
from occfer.runs.model_facts import ModelFacts
from occfer.runs.run_folder import Run, RunPaths, open_run, start_folder


def train(config: TrainConfig, *, on_step: OnStep | None = None, test: bool = True) -> Run:
    """Trains and tests one method or baseline.

    With `config.live_occlusion`, training draws fresh occlusions; validation and test use the manifest's images.

    Args:
        config: everything that the run depends on.
        on_step: called with what happens: `{"event": "note", "text": ...}`, `{"event": "pack", "done", "rows"}`, and
            `{"event": "step", "stage", "epoch", "epochs", "round", "rounds", "images_per_s", <loss terms>}`, with
            `val_accuracy` and `val_loss` where an epoch ended. `rounds` counts the stage's, over all epochs.
        test: whether the test samples are predicted; without, metrics.json holds the validation alone.

    Returns:
        The finished run.

    Raises:
        OccFERError: one of its family, which says what is wrong and what to do.
    """
    trainer_of(config.method).check(config.method, config.pairing)
    lookup(BACKBONES, config.backbone, kind="backbone")
    live_occlusion = None
    if config.live_occlusion:
        live_occlusion = live_occluder(config.live_occlusion, config.manifests, config.seed)
    launch(config, partial(_train, config=config, live_occlusion=live_occlusion, test=test), on_step or ignore)
    return open_run(config.out)


def _train(
    engine: Engine, on_step: OnStep, *, config: TrainConfig, live_occlusion: LiveOcclusion | None, test: bool
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
            paths.last.unlink(missing_ok=True)  # left by a run that was killed between its last two lines
        return
    # A resumed run's files equal an uninterrupted run's, so none of them may say that it was resumed.
    config = replace(config, resume=False)
    session = Session(engine, config, task, paths, MetricsLog(paths.log), on_step)
    trainer = trainer_of(config.method)
    _check_views(session, trainer.method.view)
    _introduce(session)
    if engine.first:
        write_environment(paths.folder, engine.device.type)
        session.log.start(load(paths.last)[1]["metrics_bytes"] if paths.last.is_file() else 0)
    trainer.fit(session)
    engine.wait()
    if test:
        answers = trainer.answer_test(session)
        if answers is not None:
            _finish(session, answers)
    elif engine.first:
        _finish_untested(session)
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


def _finish(session: Session, answers: RunAnswers) -> None:
    """Writes the result; what an unfinished run goes on from is not needed any more."""
    task = session.task
    samples = [task.corpus.samples[index] for index in task.split.test]
    predictions = make_predictions(samples, task.split.classes, answers.probabilities)
    run = Run(session.paths.folder, session.config, _kept(answers.facts) | summarise(predictions))
    write_predictions(run.predictions, predictions)
    write_json(session.paths.metrics, run.metrics)
    session.paths.last.unlink(missing_ok=True)


def _finish_untested(session: Session) -> None:
    """Writes the validation result alone: the test samples are not looked at."""
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
