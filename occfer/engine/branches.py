"""Where a branch of stage 1 comes from: a file, a shared folder of trained branches, or initial weights to train."""

import hashlib
from pathlib import Path

import torch

from occfer.config import TrainConfig, digest, flag
from occfer.data.arrays import View
from occfer.engine.engine import Engine
from occfer.engine.run_data import Task
from occfer.errors import CheckpointError
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.seeding import weight_seed
from occfer.models.weights import load_weights
from occfer.runs.checkpoint import Model, load_model
from occfer.runs.model_facts import ModelFacts


def initial_branch(config: TrainConfig, role: View, classes: int) -> tuple[Classifier, list[str]]:
    """A branch before any training, and what the user should be told about its weights.

    Raises:
        WeightsError: see `load_weights`.
    """
    with weight_seed(config.seed, role):
        classifier = build_classifier(config.backbone, classes)
    return classifier, load_weights(classifier, config.weights)


def load_branch(path: Path, role: View, config: TrainConfig, classes: tuple[str, ...]) -> Model:
    """A trained branch from a model file.

    Raises:
        CheckpointError: missing or damaged, or of another backbone, other classes or the other branch.
    """
    model = load_model(path)
    facts, name = model.facts, flag(f"{role}_branch")
    for what, found, wanted in (
        ("is the branch", facts.branch, role),
        ("has the backbone", facts.backbone, config.backbone),
        ("knows the classes", ", ".join(facts.classes), ", ".join(classes)),
    ):
        if found != wanted:
            raise CheckpointError(f"{name} {path} {what} {found}; this run needs {wanted}")
    return model


def branch_digest(role: View, task: Task, config: TrainConfig, engine: Engine) -> str:
    """What a pre-trained branch depends on, as a digest: runs that agree in it may share the branch."""
    weights = config.weights
    if weights not in ("imagenet", "none"):
        weights = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    return digest(
        {
            "role": role,
            "rows": task.rows_digest(role),
            "size_px": task.size_px,
            "classes": task.split.classes,
            "backbone": config.backbone,
            "weights": weights,
            "epochs": config.pretrain_epochs,
            "batch_size": config.batch_size,
            "rate": config.pretrain_rate,
            "optimizer": [config.optimizer, config.weight_decay],
            "augmentation": [config.flip, config.crop_px, config.colour],
            "seed": config.seed,
            "precision": config.precision,
            "processes": engine.world_size,
        }
    )


def cached_branch(role: View, task: Task, config: TrainConfig, engine: Engine) -> Path | None:
    """The file in the shared folder where this run's branch is, or is to be put; None without such a folder.

    Live occlusions are drawn by a function that has no digest, so an occluded branch trained on them is not shared.
    """
    if config.branch_cache is None or (role == "occluded" and task.live_occlusion is not None):
        return None
    return config.branch_cache / f"{role}-{branch_digest(role, task, config, engine)[:24]}.safetensors"


def facts_of(config: TrainConfig, task: Task, role: View, method: str) -> ModelFacts:
    """What a model file of this run says about itself, before anything is trained."""
    return ModelFacts(
        method=method,
        branch=role,
        view=role,
        backbone=config.backbone,
        classes=task.split.classes,
        size_px=task.size_px,
        align=task.corpus.sources[0].align,
        data=task.facts(config),
        config=config.to_json(),
        versions={"torch": str(torch.__version__)},
    )
