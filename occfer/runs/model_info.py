"""What a model file says of its model, in every format: a checkpoint, an ONNX file, an exported program.

Nothing here needs torch, because exported models are used without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from occfer.errors import CheckpointError

LARGEST_SIDE_PX = 4096
LONGEST_WORD = 100


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model file says of its model.

    Attributes:
        method: its key.
        branch: `occluded` or `clean`.
        view: the images that the branch was trained on, `occluded` or `clean`.
        backbone: a key of `occfer.models.BACKBONES`.
        classes: the vocabulary; output i is `classes[i]`.
        size_px: side of the images it was trained on.
        align: how those faces were aligned.
        epoch: the epoch that was kept, counted from 1; 0 for initial weights.
        val_accuracy, val_loss: of that epoch; None without validation samples.
        data: the content of the run's data.json: its manifests with digests, and counts.
        config: of the run.
        versions: of torch and occfer.
    """

    method: str
    branch: str
    view: str
    backbone: str
    classes: tuple[str, ...]
    size_px: int
    align: str = ""
    epoch: int = 0
    val_accuracy: float | None = None
    val_loss: float | None = None
    data: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def info_of_header(header: Mapping[str, Any], path: Path) -> ModelInfo:
    """The information in a file's header, which is not trusted: types and ranges are checked.

    Args:
        header: JSON values, with `kind` `model`; names that this version does not know are left out.
        path: of the file, for errors.

    Raises:
        CheckpointError: it is not the header of a model, or a value is missing or impossible.
    """
    if header.get("kind") != "model":
        raise CheckpointError(
            f"{path} holds the state of an unfinished run, not a model; take best.safetensors, or continue with "
            "--resume"
        )
    known = {each.name for each in fields(ModelInfo)}
    try:
        info = ModelInfo(**{name: value for name, value in header.items() if name in known})
    except TypeError as error:
        raise CheckpointError(f"{path} is incomplete: {error}") from error
    if wrong := _wrong(info):
        raise CheckpointError(f"{path} cannot be a model of occfer: {wrong}")
    object.__setattr__(info, "classes", tuple(info.classes))
    return info


def _wrong(info: ModelInfo) -> str:
    """What is impossible about the values; empty if nothing is."""
    for name in ("method", "branch", "view", "backbone", "align"):
        value = getattr(info, name)
        if not isinstance(value, str) or len(value) > LONGEST_WORD:
            return f"its {name} is not a word"
    words = info.classes
    if not isinstance(words, list | tuple) or not words or not all(isinstance(each, str) for each in words):
        return "its classes are not words"
    if len(set(words)) < len(words) or not all(0 < len(each) <= LONGEST_WORD and each.isprintable() for each in words):
        return "its classes are not printable words that all differ"
    if type(info.size_px) is not int or not 1 <= info.size_px <= LARGEST_SIDE_PX:
        return f"its size_px is not between 1 and {LARGEST_SIDE_PX}"
    return ""
