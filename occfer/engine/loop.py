"""The training loop: the rounds of one stage, from the start or a checkpoint, to the model of the best epoch."""

import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from occfer.config import TrainConfig
from occfer.config_fields import NOT_COMPARED, identity
from occfer.data.arrays import View
from occfer.engine.branches import info_of
from occfer.engine.engine import Engine
from occfer.engine.run_data import RunData
from occfer.engine.scoring import Score, score_logits
from occfer.engine.stage import Stage, Update
from occfer.errors import CheckpointError, DamagedError, TrainingError
from occfer.events import Event, OnStep
from occfer.files import digest
from occfer.runs.checkpoint import load, load_header, save, save_model
from occfer.runs.metrics_log import MetricsLog
from occfer.runs.model_info import ModelInfo
from occfer.runs.run_folder import RunPaths
from occsynth.reading import one_line, record_of


@dataclass(slots=True, eq=False)
class Session:
    """A run in one process: its settings, data and files, and where it reports to.

    Attributes:
        run: a digest of the settings and the data that decide the result; it tells the run's checkpoints from others.
    """

    engine: Engine
    config: TrainConfig
    data: RunData
    paths: RunPaths
    log: MetricsLog
    on_step: OnStep
    run: str = field(init=False)

    def __post_init__(self) -> None:
        settings = identity(self.config, self.config.__dataclass_fields__.keys() - NOT_COMPARED)
        self.run = digest([settings, self.data.to_json(self.config)])

    def say(self, text: str) -> None:
        """Tells the user something."""
        self.report({"event": "note", "text": text})

    def report(self, event: Event) -> None:
        """Passes an event on, once for all processes."""
        if self.engine.first:
            self.on_step(event)


@dataclass(slots=True)
class _Progress:
    """How far a stage is.

    Attributes:
        round: number of rounds that are done.
        best_epoch: the epoch that is kept so far, counted from 1; 0 for the network as the stage was given it, and if
            none is kept.
        best: its score; None without validation samples.
    """

    round: int = 0
    best_epoch: int = 0
    best: Score | None = None

    @property
    def kept(self) -> bool:
        """Whether there is a model of the best epoch so far."""
        return self.best_epoch > 0 or self.best is not None


@dataclass(frozen=True, slots=True)
class SavedProgress:
    """The header of the checkpoint that an unfinished run continues from, without the state of its stage.

    Attributes:
        stage, round, best_epoch: how far the run was, see `_Progress`.
        best: accuracy and minus the loss of the best epoch.
        best_uar: its UAR; version 0.1 wrote none.
        metrics_bytes, metrics_crc32: size and CRC-32 of metrics.csv at that time; version 0.1 wrote no CRC-32.
        precision_state: see `Engine.precision_state`.
        run: see `Session`; empty in version 0.1.
    """

    stage: str
    round: int
    best_epoch: int
    metrics_bytes: int
    precision_state: dict[str, Any]
    best: tuple[float, float] | None = None
    best_uar: float | None = None
    metrics_crc32: int | None = None
    run: str = ""

    @property
    def score(self) -> Score | None:
        """The score of the best epoch."""
        return None if self.best is None else Score(self.best[0], -self.best[1], self.best_uar)


def saved_progress(session: Session) -> SavedProgress | None:
    """What the last checkpoint says of itself; None if there is none.

    Raises:
        DamagedError: it is damaged, or the checkpoint of another run.
    """
    last = session.paths.last
    if not last.is_file():
        return None
    saved = record_of(SavedProgress, load_header(last), str(last), DamagedError)
    if saved.run not in ("", session.run):
        raise DamagedError(f"{last} is the checkpoint of another run")
    return saved


def run_stage(session: Session, stage: Stage, role: View, final: Path) -> None:
    """Runs the rounds of a stage that are not done yet; the model of the best epoch becomes the file `final`.

    Raises:
        TrainingError: a loss or a network is not finite; the last checkpoint is older than that.
    """
    config = session.config
    progress = _restore(session, stage)
    try:
        if progress.round == 0 and stage.begins_trained and len(session.data.val):
            values = _judge(session, stage, role, progress, None)
            _report(session, stage, progress, values, _Window(time.perf_counter()))
        window = _Window(time.perf_counter())
        for number in range(progress.round, stage.epochs * stage.rounds):
            window.updates += stage.round(number)
            progress.round = number + 1
            ends = progress.round % stage.rounds == 0
            saves = ends or (config.checkpoint_every > 0 and progress.round % config.checkpoint_every == 0)
            if not saves and progress.round % config.log_every:
                continue
            values = window.means(session, stage)
            if ends:
                values |= _judge(session, stage, role, progress, window.updates[-1])
            _report(session, stage, progress, values, window)
            if ends and (note := stage.note()):
                session.say(f"{stage.name}: {note}")
            if saves:
                _save(session, stage, progress, window.updates[-1])
            window = _Window(time.perf_counter())
    finally:
        stage.close()
    if session.engine.first:
        if not progress.kept:
            save_model(final, *stage.networks(), _model_info(session, stage, role, progress))
        else:
            _candidate(session, stage, progress.best_epoch).replace(final)
    session.engine.wait()


@dataclass(slots=True, eq=False)
class _Window:
    """The updates since the last line of the log.

    Their losses stay on the device until the line is written, because reading one makes the device wait.
    """

    began_s: float
    updates: list[Update] = field(default_factory=list)

    def means(self, session: Session, stage: Stage) -> dict[str, float]:
        """The mean of each term over the window and the processes.

        Raises:
            TrainingError: one of them is not finite.
        """
        names = [(update, name) for update in self.updates for name in update.terms]
        wide = torch.float32 if session.engine.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
        stacked = torch.stack([update.terms[name].detach().to(wide) for update, name in names])
        # A term that is not finite in one process is not finite in the sum either, so all processes stop together.
        values = (session.engine.summed(stacked) / session.engine.world_size).tolist()
        by_name: dict[str, list[float]] = defaultdict(list)
        for (update, name), value in zip(names, values, strict=True):
            if not abs(value) < float("inf"):
                raise TrainingError(_not_finite(session, stage, update, f"the loss term {name} became {value}"))
            by_name[name].append(value)
        return {name: sum(each) / len(each) for name, each in by_name.items()}

    def images_per_s(self) -> float:
        """Images that went into updates, over all processes, per second."""
        return sum(len(update.indices) for update in self.updates) / max(time.perf_counter() - self.began_s, 1e-9)


def _not_finite(session: Session, stage: Stage, update: Update | None, what: str) -> str:
    if update is None:
        return f"{stage.name}: {what} before the first round: train the branch again, with a lower --pretrain-rate"
    pairs = ", ".join(session.data.corpus.samples[index].pair_id for index in update.indices)
    kept = session.paths.last if session.paths.last.is_file() else "none yet"
    return (
        f"{stage.name}: {what}; the batch was: {pairs}. Last good checkpoint: {kept}. "
        "Look at these images, or lower the learning rate or a term's weight"
    )


def _judge(session: Session, stage: Stage, role: View, progress: _Progress, last: Update | None) -> dict[str, float]:
    """Scores the network on the validation samples and keeps it if it is the best so far.

    Without validation samples, the last epoch's network is kept. Every process decides the same, because all have the
    same logits.

    Raises:
        TrainingError: the validation loss is not finite; the losses of the last update may still have been finite.
    """
    epoch = progress.round // stage.rounds
    values: dict[str, float] = {}
    if len(session.data.val):
        session.engine.share_buffers(stage.network)
        score = score_logits(stage.predict(session.data.val), session.data.labels[session.data.val])
        values = {"val_accuracy": score.accuracy, "val_loss": score.loss, "val_uar": score.uar or 0.0}
        if not values["val_loss"] < float("inf"):
            what = f"the validation loss became {values['val_loss']}"
            raise TrainingError(_not_finite(session, stage, last, what))
        select = session.config.select
        better = progress.best is None or score.merit(select) > progress.best.merit(select)
        progress.best = score if better else progress.best
    else:
        better = epoch == stage.epochs
    if better:
        progress.best_epoch = epoch
        if session.engine.first:
            save_model(
                _candidate(session, stage, epoch), *stage.networks(), _model_info(session, stage, role, progress)
            )
    return values


def _report(session: Session, stage: Stage, progress: _Progress, values: dict[str, float], window: _Window) -> None:
    epoch = (progress.round - 1) // stage.rounds + 1
    if session.engine.first:
        session.log.write(stage.name, epoch, progress.round, values)
    session.report(
        {
            "event": "step",
            "stage": stage.name,
            "epoch": epoch,
            "epochs": stage.epochs,
            "round": progress.round,
            "rounds": stage.epochs * stage.rounds,
            "images_per_s": window.images_per_s(),
            "rates": stage.rates(),
        }
        | values
    )


def _candidate(session: Session, stage: Stage, epoch: int) -> Path:
    return session.paths.checkpoints / f"{stage.name}-e{epoch:04d}.safetensors"


def _model_info(session: Session, stage: Stage, role: View, progress: _Progress) -> ModelInfo:
    score = progress.best
    return replace(
        info_of(session.config, session.data, role, session.config.method),
        backbone=stage.backbone,
        epoch=progress.best_epoch,
        val_accuracy=None if score is None else score.accuracy,
        val_loss=None if score is None else score.loss,
        val_uar=None if score is None else score.uar,
    )


def _save(session: Session, stage: Stage, progress: _Progress, last: Update) -> None:
    """Writes the state to continue from.

    The model of a better epoch is on the disk before this state names it, and the earlier one is deleted afterwards, so
    a run that is killed anywhere in between finds the file that its last checkpoint names.

    Raises:
        TrainingError: a tensor is not finite, so that training could not continue from the state.
    """
    if not session.engine.first:
        return
    tensors, values = stage.state()
    spoilt = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)
    if spoilt is not None:
        raise TrainingError(_not_finite(session, stage, last, f"{spoilt} is not finite"))
    best = progress.best
    header = values | {
        "kind": "training",
        "stage": stage.name,
        "round": progress.round,
        "best_epoch": progress.best_epoch,
        "best": None if best is None else [best.accuracy, -best.loss],
        "best_uar": None if best is None else best.uar,
        "metrics_bytes": session.log.size_bytes(),
        "metrics_crc32": session.log.crc32(),
        "run": session.run,
        "precision_state": session.engine.precision_state(),
        # All random draws follow from the seed and the round's number, so there is no random state to store.
        "seed": session.config.seed,
    }
    save(session.paths.last, tensors, header)
    kept = _candidate(session, stage, progress.best_epoch)
    for path in session.paths.checkpoints.glob(f"{stage.name}-e*.safetensors"):
        if path != kept:
            path.unlink()


def _restore(session: Session, stage: Stage) -> _Progress:
    """Restores the stage from the last checkpoint; does nothing if that is missing or of another stage.

    Raises:
        DamagedError: it, or the model of the best epoch that it names, is damaged or of another run.
    """
    last = session.paths.last
    if not session.engine.agreed(last.is_file()):
        return _Progress()
    saved = saved_progress(session)
    if saved is None or saved.stage != stage.name:
        return _Progress()
    tensors, header = load(last)
    try:
        stage.restore(tensors, header)
        session.engine.restore_precision(saved.precision_state)
    except (CheckpointError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedError(f"{last} does not fit this run ({one_line(error)})") from error
    if saved.best_epoch or saved.best is not None:
        kept = _candidate(session, stage, saved.best_epoch)
        if not kept.is_file():
            raise DamagedError(f"{kept} is missing, though {last.name} names it")
        if load(kept)[1].get("epoch") != saved.best_epoch:
            raise DamagedError(f"{kept} is the model of another epoch")
    session.say(f"{stage.name}: continuing after round {saved.round}")
    return _Progress(saved.round, saved.best_epoch, saved.score)
