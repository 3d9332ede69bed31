"""occfer.training.two_stages: docstring to write."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from occfer.data.image_store import View
from occfer.engine.branches import cached_branch, initial_branch, load_branch
from occfer.engine.loop import Session, run_stage
from occfer.engine.stages import GuidedStage, PretrainStage
from occfer.methods import Method
from occfer.runs.checkpoint import load_model, save_model


def _fit_method(session: Session, method: Method) -> None:
    for role in method.branches:
        _pretrain(session, role)
    if method.stage2:
        _guide(session, method)
    else:
        _adopt(session, method)


def _pretrain(session: Session, role: View) -> None:
    """Stage 1 for one branch, unless there is such a branch already."""
    config, task, engine = session.config, session.task, session.engine
    final = session.paths.branch(role)
    if engine.agreed(final.is_file()):
        return
    given = config.clean_branch if role == "clean" else config.occluded_branch
    cached = None if given else cached_branch(role, task, config, engine)
    if given is None and cached is not None and engine.agreed(cached.is_file()):
        given = cached
    if given is not None:
        load_branch(given, role, config, task.split.classes)
        session.say(f"{role} branch from {given}")
        if engine.first:
            _copy(given, final)
    else:
        classifier, notes = initial_branch(config, role, len(task.split.classes))
        for note in notes:
            session.say(f"{role} branch: {note}")
        run_stage(session, PretrainStage(role, classifier, task=task, config=config, engine=engine), role, final)
        if cached is not None and engine.first:
            cached.parent.mkdir(parents=True, exist_ok=True)
            _copy(final, cached)
    engine.wait()


def _guide(session: Session, method: Method) -> None:
    """Stage 2, on fresh copies of the branches."""
    config, task = session.config, session.task
    if session.engine.agreed(session.paths.best.is_file()):
        return
    # The files, not the networks of stage 1: those may still carry the wrappers of several processes.
    student = load_model(session.paths.branch("occluded")).classifier.requires_grad_(True)
    teacher = load_model(session.paths.branch("clean")).classifier if method.needs_teacher else None
    stage = GuidedStage(method, student, teacher, task=task, config=config, engine=session.engine)
    run_stage(session, stage, "occluded", session.paths.best)


def _adopt(session: Session, method: Method) -> None:
    """A method without stage 2: its branch is the final model."""
    if session.engine.first:
        model = load_model(session.paths.branch(method.branch))
        facts = replace(model.facts, method=session.config.method)
        save_model(session.paths.best, model.classifier.state_dict(), None, facts)
    session.engine.wait()


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")  # several runs may fill one --branch-cache
    shutil.copyfile(source, part)
    part.replace(target)
