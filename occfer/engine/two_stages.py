"""How a run trains and asks the paper's methods: stage 1 for the branches, stage 2 for the occluded branch."""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from occfer.config import TrainConfig
from occfer.data.arrays import View
from occfer.engine.branches import cached_branch, given_branch, initial_branch, load_branch, own_branch
from occfer.engine.engine import Engine
from occfer.engine.loop import Session, run_stage, saved_progress
from occfer.engine.network_predictor import NetworkPredictor
from occfer.engine.scoring import predict_samples
from occfer.engine.stages import GuidedStage, PretrainStage, branch_stage
from occfer.engine.trainer import RunAnswers
from occfer.errors import CheckpointError, ConfigError, DamagedError
from occfer.methods import Method, check_clean_share, check_pairing
from occfer.runs.checkpoint import Model, load_model, save_model
from occfer.runs.predictor import Predictor
from occfer.runs.run_folder import TRAIN
from occfer.settings import TeacherChoice
from occsynth.files import replacing
from occsynth.ownership import take_turn

# The branches of stage 1 that look at the clean face in stage 2, the clean branch first.
_TEACHERS: dict[TeacherChoice, tuple[View, ...]] = {"clean": ("clean",), "both": ("clean", "occluded")}


@dataclass(frozen=True, slots=True)
class TwoStages:
    """The trainer of a method with branches, see `occfer.engine.trainer.Trainer`.

    Attributes:
        method: what is trained.
    """

    method: Method

    def check(self, config: TrainConfig) -> None:
        """Refuses a pairing that is too loose, and clean faces that would pass for occluded ones."""
        check_pairing(config.method, self.method, config.pairing)
        check_clean_share(self.method, config)

    def fit(self, session: Session) -> None:
        """Trains the branches that the method needs, then guides the occluded one, and writes the model file last."""
        if session.engine.agreed(session.paths.best.is_file()):
            return
        session.engine.led(lambda: _miss_no_branch(session, self.method))
        for role in self.method.branches:
            _pretrain(session, role)
        if self.method.stage2:
            _guide(session, self.method)
        else:
            _adopt(session, self.method.branches[0])

    def load(self, path: Path, engine: Engine, batch_size: int) -> Predictor:
        """The branch that the method tests, from a model file."""
        return NetworkPredictor(load_model(path), engine, batch_size)

    def answer_test(self, session: Session, view: View) -> RunAnswers | None:
        """Predicts the test samples with the selected model, all processes together."""
        data, engine = session.data, session.engine
        model = load_model(session.paths.best)
        engine.place(model.classifier)
        logits = predict_samples(engine, model.classifier, data.store, view, data.test)
        if not engine.first:
            return None
        return RunAnswers(model.info, torch.softmax(logits.double(), dim=1).numpy())


def _miss_no_branch(session: Session, method: Method) -> None:
    """Raises DamagedError if a branch is lost that was trained before the stage that the run goes on from."""
    saved = saved_progress(session)
    if saved is None:
        return
    for role in method.branches:
        if saved.stage == branch_stage(role):
            return
        if not session.paths.branch(role).is_file():
            raise DamagedError(f"{session.paths.branch(role)} is missing, though the run has come to {saved.stage}")


def _pretrain(session: Session, role: View) -> None:
    """Stage 1 for one branch, unless there is such a branch already."""
    config, engine = session.config, session.engine
    if engine.agreed(session.paths.branch(role).is_file()):
        return
    given = config.clean_branch if role == "clean" else config.occluded_branch
    cached = None if given else cached_branch(role, session.data, config, engine)
    if given is not None:
        given_branch(given, role, config, session.data.split.classes)
        _take(session, role, given)
    elif cached is None:
        _train(session, role)
    else:
        with ExitStack() as turn:
            if engine.led(lambda: _fault(session, role, cached)) is not None:
                _wait_for_turn(session, role, cached, turn)
            fault = engine.led(lambda: _fault(session, role, cached))
            if fault is None:
                _take(session, role, cached)
            else:
                if fault:
                    session.say(f"{fault}; the {role} branch is trained again")
                _train(session, role)
                if engine.first:
                    _copy(session.paths.branch(role), cached)
    engine.wait()


def _fault(session: Session, role: View, cached: Path) -> str | None:
    """Why a shared branch cannot be taken, empty if it is not there; None if it can."""
    if not cached.is_file():
        return ""
    try:
        load_branch(cached, role, session.config, session.data.split.classes)
    except CheckpointError as error:
        return str(error)
    return None


def _wait_for_turn(session: Session, role: View, cached: Path, turn: ExitStack) -> None:
    """Returns when no other run trains the same branch; the right to train it lasts until the stack is closed."""

    def ask() -> str:
        try:
            return take_turn(turn, cached, TRAIN)
        except OSError as error:
            why = error.strerror or error
            raise ConfigError(f"--branch-cache {cached.parent} cannot be written to ({why}); choose another") from error

    told = False
    # asked again and again, because processes that wait for the first one's word give up after some minutes
    while other := session.engine.led(ask):
        if not told:
            session.say(f"{role} branch: waiting for {other}, which trains the same one")
            told = True


def _take(session: Session, role: View, given: Path) -> None:
    session.say(f"{role} branch from {given}")
    if session.engine.first:
        _copy(given, session.paths.branch(role))


def _train(session: Session, role: View) -> None:
    config, data, engine = session.config, session.data, session.engine
    classifier, notes = initial_branch(config, data.size_px, len(data.split.classes))
    for note in notes:
        session.say(f"{role} branch: {note}")
    stage = PretrainStage(role, classifier, data=data, config=config, engine=engine)
    run_stage(session, stage, role, session.paths.branch(role))


def _guide(session: Session, method: Method) -> None:
    """Stage 2, on fresh copies of the branches."""
    config, data = session.config, session.data
    # The files, not the networks of stage 1: those may still carry the wrappers of several processes.
    student = _own(session, "occluded").classifier.requires_grad_(True)
    roles = _TEACHERS[config.teacher] if method.needs_teacher else ()
    teachers = [_own(session, role).classifier for role in roles]
    stage = GuidedStage(method, student, teachers, data=data, config=config, engine=session.engine)
    run_stage(session, stage, "occluded", session.paths.best)


def _own(session: Session, role: View) -> Model:
    return own_branch(session.paths.branch(role), role, session.config, session.data.split.classes)


def _adopt(session: Session, role: View) -> None:
    """A method without stage 2: its branch is the final model."""
    if session.engine.first:
        model = _own(session, role)
        info = replace(model.info, method=session.config.method)
        save_model(session.paths.best, model.classifier.state_dict(), None, info)
    session.engine.wait()


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as part:
        shutil.copyfile(source, part)
