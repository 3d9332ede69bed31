"""Training a method from manifests to a tested model: `train(config) -> Run`.

Stage 1 trains the branches that the method needs, stage 2 the occluded branch under guidance; each keeps the epoch that
did best on the validation samples. At the end the test samples are predicted, once.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from occfer.config import TrainConfig
from occfer.data.arrays import View
from occfer.data.batch_maker import LiveOcclusion
from occfer.data.image_store import VIEWS
from occfer.engine.engine import Engine
from occfer.engine.launch import launch
from occfer.engine.loop import Session, saved_progress
from occfer.engine.run_data import prepare
from occfer.engine.trainer import RunAnswers
from occfer.errors import DamagedError, DataError, ReportError
from occfer.events import OnStep, ignore
from occfer.faces.live_occlusion import LiveOccluder, live_occluder
from occfer.files import write_sealed
from occfer.method_table import method_named, trainer_of
from occfer.metrics.clean_result import write_clean_result
from occfer.metrics.predictions import make_predictions
from occfer.metrics.result_files import read_result, write_result
from occfer.metrics.summary import summarise
from occfer.runs.checkpoint import read_model_info
from occfer.runs.environment import write_environment
from occfer.runs.metrics_log import MetricsLog
from occfer.runs.model_info import ModelInfo
from occfer.runs.run_folder import Run, RunPaths, claimed_run, open_run, start_folder
from occfer.training.check import check_settings

SMALL_FACE_PX = 64
UNEVEN = 3  # [decided] times as many training samples in the largest class as in the smallest


def train(config: TrainConfig, *, on_step: OnStep | None = None, test: bool = True) -> Run:
    """Trains and tests one method or baseline.

    With `config.live_occlusion`, training draws new occlusions in each epoch; validation and test use the manifest's
    images.

    >>> from pathlib import Path
    >>> from occfer.config import TrainConfig
    >>> from occfer.training.train import train
    >>> manifest = Path("builds/manifests/demo-r16.csv")
    >>> run = train(TrainConfig(
    ...     manifests=(manifest,), method="resnet", fold=0, backbone="resnet18", weights="none", pretrain_epochs=1,
    ...     size_px=48, device="cpu", out=Path("runs/example"),
    ... ))
    >>> run.checkpoint.as_posix()
    'runs/example/checkpoints/best.safetensors'
    >>> 0 <= run.metrics["accuracy"] <= 1
    True

    Args:
        config: everything that the run depends on.
        on_step: called with the events of `occfer.events`.
        test: whether the test samples are predicted; if not, metrics.json holds only the validation result.

    Returns:
        The finished run.

    Raises:
        OccFERError: the message says what is wrong and what to do.
    """
    check_settings(config)
    live_occlusion = None
    if config.live_occlusion:
        live_occlusion = live_occluder(config.live_occlusion, config.manifests, config.seed)
    launch(config, partial(_train, config=config, live_occlusion=live_occlusion, test=test), on_step or ignore)
    return open_run(config.out)


def _train(
    engine: Engine, on_step: OnStep, *, config: TrainConfig, live_occlusion: LiveOcclusion | None, test: bool
) -> None:
    """The work of each process; the first one owns the run folder until it ends."""
    with ExitStack() as owned:
        engine.led(lambda: owned.enter_context(claimed_run(config.out)))
        try:
            _train_in_folder(engine, on_step, config=config, live_occlusion=live_occlusion, test=test)
        except DamagedError as error:
            raise DamagedError(f"{error}. The run cannot go on: delete {config.out} and start it again") from error


def _train_in_folder(
    engine: Engine, on_step: OnStep, *, config: TrainConfig, live_occlusion: LiveOcclusion | None, test: bool
) -> None:
    def packed(done: int, pairs: int) -> None:
        if engine.first:
            on_step({"event": "pack", "done": done, "rows": pairs})

    def say(text: str) -> None:
        if engine.first:
            on_step({"event": "note", "text": text})

    data = prepare(config, engine, live_occlusion, packed, say)
    engine.led(lambda: start_folder(config, data.to_json(config)))
    paths = RunPaths(config.out)
    if engine.led(lambda: _has_result(paths, config, say)):
        if engine.first:
            paths.last.unlink(missing_ok=True)  # left if the run was killed between its last two steps
        return
    # A resumed run's files equal an uninterrupted run's, so none of them may say that it was resumed.
    config = replace(config, resume=False)
    session = Session(engine, config, data, paths, MetricsLog(paths.log), on_step)
    trainer = trainer_of(config.method)
    _check_views(session, trainer.method.view)
    _introduce(session)
    if isinstance(live_occlusion, LiveOccluder):
        for note in live_occlusion.notes:
            session.say(note)
    if engine.first:
        write_environment(paths.folder, engine.device.type)
    engine.led(lambda: _find_start(session))
    trainer.fit(session)
    engine.wait()
    if test:
        view = trainer.method.view
        others: tuple[View, ...] = ("clean",) if view == "occluded" and _have_clean(session) else ()
        answers = [trainer.answer_test(session, each) for each in (view, *others)]
        if engine.first:
            _finish(session, *filter(None, answers))
    elif engine.first:
        _finish_untested(session)
    engine.wait()


def _has_result(paths: RunPaths, config: TrainConfig, say: Callable[[str], None]) -> bool:
    """Whether the run is finished; a damaged result is deleted, so that the model is asked again."""
    if not paths.metrics.is_file():
        return False
    try:
        run = open_run(paths.folder)
        if run.metrics.get("method") != config.method:
            raise DamagedError(f"{paths.metrics} is not the result of this run")
        if "n" in run.metrics:
            read_result(paths.folder)
    except (DamagedError, ReportError) as error:
        say(f"{error}; the result is made again")
        paths.metrics.unlink()
        return False
    return True


def _find_start(session: Session) -> None:
    """Makes the log fit the checkpoint that the run goes on from, if there is one."""
    paths, saved = session.paths, saved_progress(session)
    if saved is not None:
        session.log.start(saved.metrics_bytes, saved.metrics_crc32)
    elif not paths.best.is_file():  # a model without a checkpoint to go on from is finished, and so is its log
        _forget_branches(session)
        session.log.start(0)


def _forget_branches(session: Session) -> None:
    """Deletes branches whose training the log could no longer tell of, because the run's last checkpoint is lost."""
    for role in VIEWS:
        path = session.paths.branch(role)
        if path.is_file() and read_model_info(path).config == session.config.to_json():
            session.say(f"{session.paths.last} is missing: the {role} branch is trained again")
            path.unlink()


def _check_views(session: Session, view: View) -> None:
    samples = session.data.corpus.samples
    if view == "clean":
        without = [index for index in session.data.split.test if not samples[index].clean]
        if without:
            raise DataError(
                f"--method {session.config.method} is tested on clean images, which {len(without)} test samples do not "
                f"have ('{samples[without[0]].pair_id}' first); choose other test samples or another method"
            )


def _introduce(session: Session) -> None:
    split, data = session.data.split, session.data
    session.say(
        f"{len(split.train)} training, {len(split.val)} validation and {len(split.test)} test samples, "
        f"{len(split.classes)} classes, {data.size_px} px"
    )
    if data.resized:
        session.say(f"{data.resized} images of another size were resized to {data.size_px} px")
    if split.duplicates:
        names = ", ".join(data.corpus.samples[index].pair_id for index in split.duplicates[:5])
        session.say(
            f"{len(split.duplicates)} training samples show a test image and were left out ({names}...; data.json "
            "lists all of them)"
        )
    if split.without_clean:
        session.say(f"{len(split.without_clean)} training samples have no clean image and were left out")
    if split.contempt:
        session.say(f"{len(split.contempt)} samples show contempt and were left out; --classes 8 keeps them")
    seen = [each for each in data.templates_seen if each is not None]
    if seen:
        session.say(f"{sum(seen)} of {len(split.test)} test samples show a template that was seen in training")
    if not split.val:
        session.say("no validation samples: the last epoch of each stage is kept")
    _propose(session)


def _propose(session: Session) -> None:
    """Tells of settings that suit the faces better: their classes, and their size."""
    config, size_px = session.config, session.data.size_px
    if method_named(config.method).branch is None:
        return
    counts = session.data.class_counts
    if session.data.split.val and config.select == "accuracy" and max(counts) >= UNEVEN * min(counts):
        session.say(
            f"the classes are uneven, with {min(counts)} to {max(counts)} training samples each, and the epoch with "
            "the best accuracy may miss the small ones: --select uar chooses by the mean recall of the classes"
        )
    if config.network_px is not None:
        return
    if size_px <= SMALL_FACE_PX and config.stem == "full":
        session.say(f"faces of {size_px} px lose much of their detail in the first layers: --recipe modern keeps more")
    elif size_px > SMALL_FACE_PX and config.stem == "small":
        session.say(f"faces of {size_px} px need no --stem small; --stem full trains several times as fast")


def _have_clean(session: Session) -> bool:
    """Whether every test sample has a clean image."""
    return all(session.data.corpus.samples[index].clean for index in session.data.split.test)


def _finish(session: Session, answers: RunAnswers, on_clean: RunAnswers | None = None) -> None:
    """Writes the result, and deletes the checkpoint that only an unfinished run needs.

    Args:
        session: of the run.
        answers: to the test samples.
        on_clean: answers to their clean faces, where the model is tested on occluded ones and there are clean ones.
    """
    data = session.data
    samples = [data.corpus.samples[index] for index in data.split.test]
    seen = data.templates_seen
    predictions = make_predictions(samples, data.split.classes, answers.probabilities, seen)
    summary = _kept(answers.info) | summarise(predictions)
    if on_clean is not None:
        clean = make_predictions(samples, data.split.classes, on_clean.probabilities)
        summary |= write_clean_result(session.paths.folder, _kept(on_clean.info), clean, predictions)
    write_result(session.paths.folder, predictions, summary)
    session.paths.last.unlink(missing_ok=True)


def _finish_untested(session: Session) -> None:
    """Writes the validation result alone; the test samples are not predicted."""
    write_sealed(session.paths.metrics, _kept(read_model_info(session.paths.best)))
    session.paths.last.unlink(missing_ok=True)


def _kept(info: ModelInfo) -> dict[str, Any]:
    """What metrics.json says about the model apart from its result: the epoch that was kept, and why."""
    return {
        "method": info.method,
        "epoch": info.epoch,
        "val_accuracy": info.val_accuracy,
        "val_loss": info.val_loss,
        "val_uar": info.val_uar,
    }
