"""What a model says about itself, wherever it is kept: a checkpoint, an ONNX file, an exported program.

Nothing here needs torch, so that an exported model is used without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from occfer.errors import CheckpointError

LARGEST_SIDE_PX = 4096
LONGEST_WORD = 100


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model file says about itself.

    Attributes:
        method, branch, view: the method's key; `occluded` or `clean`; the images that the branch was trained on.
        backbone: a key of `occfer.models.BACKBONES`.
        classes: the vocabulary; output i is `classes[i]`.
        size_px: side of the images it was trained on.
        align: how those faces were aligned.
        epoch: the one that was kept, counted from 1; 0 for initial weights.
        val_accuracy, val_loss: by which it was kept; None without a validation part.
        data: names and digests of the manifests, and counts of rows.
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


def facts_of_header(header: Mapping[str, Any], path: Path) -> ModelFacts:
    """The facts in a file's header, which is not trusted: types and ranges are checked.

    Args:
        header: JSON values, with `kind` `model`; names that this version does not know are left out.
        path: of the file, for errors.

    Raises:
        CheckpointError: it is no model's header, or a fact is missing or cannot be one.
    """
    if header.get("kind") != "model":
        raise CheckpointError(
            f"{path} holds the state of an unfinished run, not a model; take best.safetensors, or go on with --resume"
        )
    known = {each.name for each in fields(ModelFacts)}
    try:
        facts = ModelFacts(**{name: value for name, value in header.items() if name in known})
    except TypeError as error:
        raise CheckpointError(f"{path} is incomplete: {error}") from error
    if wrong := _wrong(facts):
        raise CheckpointError(f"{path} cannot be a model of occfer: {wrong}")
    object.__setattr__(facts, "classes", tuple(facts.classes))
    return facts


def _wrong(facts: ModelFacts) -> str:
    """What of the facts cannot be, or nothing."""
    for name in ("method", "branch", "view", "backbone", "align"):
        value = getattr(facts, name)
        if not isinstance(value, str) or len(value) > LONGEST_WORD:
            return f"its {name} is no word"
    words = facts.classes
    if not isinstance(words, list | tuple) or not words or not all(isinstance(each, str) for each in words):
        return "its classes are no words"
    if len(set(words)) < len(words) or not all(0 < len(each) <= LONGEST_WORD and each.isprintable() for each in words):
        return "its classes are not different, printable words"
    if type(facts.size_px) is not int or not 1 <= facts.size_px <= LARGEST_SIDE_PX:
        return f"its size_px is not between 1 and {LARGEST_SIDE_PX}"
    return ""
