"""The training loop: the rounds of one stage, from a checkpoint or from the start, to the epoch that is kept."""

import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from occfer.config import TrainConfig
from occfer.data.arrays import View
from occfer.engine.branches import facts_of
from occfer.engine.engine import Engine
from occfer.engine.run_data import Task
from occfer.engine.scoring import Score, score_rows
from occfer.engine.stages import Stage, Update
from occfer.errors import TrainingError
from occfer.events import Event, OnStep
from occfer.runs.checkpoint import load, save, save_model
from occfer.runs.metrics_log import MetricsLog
from occfer.runs.model_facts import ModelFacts
from occfer.runs.run_folder import RunPaths


@dataclass(slots=True, eq=False)
class Session:
    """What every part of one process's run uses."""

    engine: Engine
    config: TrainConfig
    task: Task
    paths: RunPaths
    log: MetricsLog
    on_step: OnStep

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
        round: rounds done.
        best_epoch: the epoch that is kept, counted from 1; 0 while there is none.
        best: its score; None without validation rows.
    """

    round: int = 0
    best_epoch: int = 0
    best: Score | None = None


def run_stage(session: Session, stage: Stage, role: View, final: Path) -> None:
    """All rounds of a stage that are not done yet; the model of its best epoch becomes the file `final`.

    Raises:
        TrainingError: a loss or a network is not finite; the last checkpoint is from before it.
    """
    config = session.config
    progress = _restore(session, stage)
    if session.engine.first:
        session.log.open_board(stage.name, progress.round)
    window = _Window(time.perf_counter())
    try:
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
            if saves:
                _save(session, stage, progress, window.updates[-1])
            window = _Window(time.perf_counter())
    finally:
        stage.close()
    if session.engine.first:
        if progress.best_epoch == 0:
            save_model(final, *stage.networks(), _facts(session, stage, role, progress))
        else:
            _candidate(session, stage, progress.best_epoch).replace(final)
    session.engine.wait()


@dataclass(slots=True, eq=False)
class _Window:
    """The updates since the last line of the log; their losses stay on the device until then."""

    began_s: float
    updates: list[Update] = field(default_factory=list)

    def means(self, session: Session, stage: Stage) -> dict[str, float]:
        """The mean of each term over the window and the processes.

        Raises:
            TrainingError: one of them is not finite.
        """
        names = [(update, name) for update in self.updates for name in update.terms]
        stacked = torch.stack([update.terms[name].detach().double() for update, name in names])
        # A term that is not finite in one process is not finite in the sum.
        values = (session.engine.summed(stacked) / session.engine.world_size).tolist()
        by_name: dict[str, list[float]] = defaultdict(list)
        for (update, name), value in zip(names, values, strict=True):
            if not abs(value) < float("inf"):
                raise TrainingError(_not_finite(session, stage, update, f"the loss term {name} became {value}"))
            by_name[name].append(value)
        return {name: sum(each) / len(each) for name, each in by_name.items()}

    def images_per_s(self) -> float:
        """Images that went into updates, over all processes, per second."""
        return sum(len(update.rows) for update in self.updates) / max(time.perf_counter() - self.began_s, 1e-9)


def _not_finite(session: Session, stage: Stage, update: Update, what: str) -> str:
    pairs = ", ".join(session.task.corpus.samples[row].pair_id for row in update.rows)
    kept = session.paths.last if session.paths.last.is_file() else "none yet"
    return (
        f"{stage.name}: {what}; the batch was: {pairs}. Last good checkpoint: {kept}. "
        "Look at these images, or lower the learning rate or a term's weight"
    )


def _judge(session: Session, stage: Stage, role: View, progress: _Progress, last: Update) -> dict[str, float]:
    """Scores the network on the validation rows and keeps it if it is the best so far; without rows, if it is last.

    The same in every process, for all see the same logits.

    Raises:
        TrainingError: the validation loss is not finite, which may well follow a last update whose losses were.
    """
    epoch = progress.round // stage.rounds
    values: dict[str, float] = {}
    if len(session.task.val):
        session.engine.share_buffers(stage.network)
        score = score_rows(stage.predict(session.task.val), session.task.labels[session.task.val])
        values = {"val_accuracy": score.accuracy, "val_loss": -score.minus_loss}
        if not values["val_loss"] < float("inf"):
            what = f"the validation loss became {values['val_loss']}"
            raise TrainingError(_not_finite(session, stage, last, what))
        better = progress.best is None or score > progress.best
        progress.best = score if better else progress.best
    else:
        better = epoch == stage.epochs
    if better:
        progress.best_epoch = epoch
        if session.engine.first:
            save_model(_candidate(session, stage, epoch), *stage.networks(), _facts(session, stage, role, progress))
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
        }
        | values
    )


def _candidate(session: Session, stage: Stage, epoch: int) -> Path:
    return session.paths.checkpoints / f"{stage.name}-e{epoch:04d}.safetensors"


def _facts(session: Session, stage: Stage, role: View, progress: _Progress) -> ModelFacts:
    score = progress.best
    return replace(
        facts_of(session.config, session.task, role, session.config.method),
        backbone=stage.backbone,
        epoch=progress.best_epoch,
        val_accuracy=None if score is None else score.accuracy,
        val_loss=None if score is None else -score.minus_loss,
    )


def _save(session: Session, stage: Stage, progress: _Progress, last: Update) -> None:
    """The state to go on from. A better epoch's file is there before it is named, the one before is removed after.

    Raises:
        TrainingError: something in it is not finite, so that nothing could go on from it.
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
        "best": None if best is None else [best.accuracy, best.minus_loss],
        "metrics_bytes": session.log.size_bytes(),
        "precision_state": session.engine.precision_state(),
        # Everything random is drawn from the seed and a number that follows from the round: no state to keep.
        "seed": session.config.seed,
    }
    save(session.paths.last, tensors, header)
    kept = _candidate(session, stage, progress.best_epoch)
    for path in session.paths.checkpoints.glob(f"{stage.name}-e*.safetensors"):
        if path != kept:
            path.unlink()


def _restore(session: Session, stage: Stage) -> _Progress:
    """The stage as the last checkpoint left it; untouched if that is of another stage or missing."""
    last = session.paths.last
    if not session.engine.agreed(last.is_file()):
        return _Progress()
    tensors, header = load(last)
    if header["stage"] != stage.name:
        return _Progress()
    stage.restore(tensors, header)
    session.engine.restore_precision(header["precision_state"])
    session.say(f"{stage.name}: going on after round {header['round']}")
    best = header["best"]
    return _Progress(header["round"], header["best_epoch"], None if best is None else Score(*best))
