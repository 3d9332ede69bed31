"""Where a branch of stage 1 comes from: a file, a shared folder of trained branches, or initial weights to train."""

from pathlib import Path

import torch

from occfer.config import TrainConfig
from occfer.config_fields import ONE_RUN, changing, flag, identity
from occfer.data.arrays import View
from occfer.data.batch_maker import KnownOcclusion
from occfer.engine.engine import Engine
from occfer.engine.run_data import RunData
from occfer.errors import CheckpointError, DamagedError
from occfer.files import digest, file_sha256
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.hub import weights_file
from occfer.models.seeding import weight_seed
from occfer.models.weights import load_weights
from occfer.runs.checkpoint import Model, load_model
from occfer.runs.model_info import ModelInfo

# What decides how both branches begin: one draw, so that their trunks are equal until they are trained. Version 0.1
# drew them apart. A branch from another start must not be shared, so this is part of the digest.
DRAW = "branch"


def initial_branch(config: TrainConfig, size_px: int, classes: int) -> tuple[Classifier, list[str]]:
    """An untrained branch, the same for both roles, and notes for the user about its initial weights.

    Twin trunks must start alike: otherwise channel 5 of one says something else than channel 5 of the other, and the
    losses that compare their features align what does not belong together.

    Args:
        config: of the run.
        size_px: side of the stored faces.
        classes: number of expressions.

    Raises:
        WeightsError: see `load_weights`.
        ConfigError: the backbone has no small stem.
    """
    with weight_seed(config.seed, DRAW):
        classifier = untrained(config, size_px, classes)
    return classifier, load_weights(classifier, config.weights)


def untrained(config: TrainConfig, size_px: int, classes: int) -> Classifier:
    """The network of a configuration, drawn from torch's current random stream."""
    return build_classifier(config.backbone, classes, stem=config.stem, size_px=size_px, network_px=config.network_px)


def load_branch(path: Path, role: View, config: TrainConfig, classes: tuple[str, ...]) -> Model:
    """A trained branch from a model file.

    Raises:
        CheckpointError: it is missing or damaged, or has another backbone, stem or network size, other classes or
            the other role.
    """
    model = load_model(path)
    info = model.info
    for what, found, wanted in (
        ("is the branch", info.branch, role),
        ("has the backbone", info.backbone, config.backbone),
        ("has the stem", info.stem, config.stem),
        ("has the network size", info.network_px or "none", config.network_px or "none"),
        ("knows the classes", ", ".join(info.classes), ", ".join(classes)),
    ):
        if found != wanted:
            raise CheckpointError(f"{path} {what} {found}; this run needs {wanted}")
    return model


def given_branch(path: Path, role: View, config: TrainConfig, classes: tuple[str, ...]) -> Model:
    """As `load_branch`, for a file that the user names; the error names the flag."""
    try:
        return load_branch(path, role, config, classes)
    except CheckpointError as error:  # DamagedError is for the run's own files, which may be made again
        raise CheckpointError(f"{flag(f'{role}_branch')} {error}") from error


def own_branch(path: Path, role: View, config: TrainConfig, classes: tuple[str, ...]) -> Model:
    """As `load_branch`, for a file that the run itself has made or taken over; whatever is wrong is a DamagedError."""
    try:
        return load_branch(path, role, config, classes)
    except CheckpointError as error:
        raise DamagedError(str(error)) from error


# Names of settings in a branch's digest since version 0.1. Another name would give every shared branch another digest,
# and train it again.
_FIRST_NAMES = {"pretrain_epochs": "epochs", "pretrain_rate": "rate"}
_FIRST_LISTS = {"optimizer": ("optimizer", "weight_decay"), "augmentation": ("flip", "crop_px", "colour")}


def branch_digest(role: View, data: RunData, config: TrainConfig, engine: Engine) -> str:
    """What a pre-trained branch depends on, as a digest: runs that agree in it may share the branch."""
    content = identity(config, changing(frozenset({f"{role} branch"})) - ONE_RUN)
    if config.weights not in ("imagenet", "none"):
        content["weights"] = file_sha256(weights_file(config.weights))
    content |= {name: [content.pop(each) for each in names] for name, names in _FIRST_LISTS.items()}
    content = {_FIRST_NAMES.get(name, name): value for name, value in content.items()}
    if role == "occluded" and isinstance(data.live_occlusion, KnownOcclusion):
        content |= {"live_occlusion": data.live_occlusion.digest, "clean_rows": data.images_digest("clean")}
    return digest(
        content
        | {
            "role": role,
            "rows": data.images_digest(role),
            "size_px": data.size_px,
            "classes": data.split.classes,
            "seed": config.seed,
            "draw": DRAW,
            # several processes sum gradients in another order, so the weights differ in their last digits
            "processes": engine.world_size,
        }
    )


def cached_branch(role: View, data: RunData, config: TrainConfig, engine: Engine) -> Path | None:
    """The file in the shared folder where this run's branch is, or is to be put; None without such a folder.

    An occluded branch that live occlusions train is shared only if these have a digest.
    """
    live = data.live_occlusion if role == "occluded" else None
    if config.branch_cache is None or not (live is None or isinstance(live, KnownOcclusion)):
        return None
    return config.branch_cache / f"{role}-{branch_digest(role, data, config, engine)[:24]}.safetensors"


def info_of(config: TrainConfig, data: RunData, role: View, method: str) -> ModelInfo:
    """What a model file of this run says about itself, before anything is trained."""
    return ModelInfo(
        method=method,
        branch=role,
        view=role,
        backbone=config.backbone,
        classes=data.split.classes,
        size_px=data.size_px,
        align=data.corpus.manifests[0].align,
        data=data.to_json(config),
        config=config.to_json(),
        versions={"torch": str(torch.__version__)},
        stem=config.stem,
        network_px=config.network_px,
    )
