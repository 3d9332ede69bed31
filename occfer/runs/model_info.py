"""What a model file says of its model, in every format: a checkpoint, an ONNX file, an exported program.

Nothing here needs torch, because exported models are used without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occfer.data.vocabulary import LONGEST_WORD, MOST_CLASSES
from occfer.errors import CheckpointError
from occfer.models import Stem
from occsynth.reading import record_of

LARGEST_SIDE_PX = 4096
MOST_MANIFESTS = 500


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model file says of its model.

    Attributes:
        method: its key.
        branch: `occluded` or `clean`.
        view: the images that the branch was trained on, `occluded` or `clean`.
        backbone: a key of `occfer.models.BACKBONES`, or `timm:NAME`.
        classes: the vocabulary; output i is `classes[i]`.
        size_px: side of the images it was trained on.
        align: how those faces were aligned.
        epoch: the epoch that was kept, counted from 1; 0 for initial weights.
        val_accuracy, val_loss: of that epoch; None without validation samples.
        val_uar: the same; None in files of version 0.1 too.
        data: the content of the run's data.json: its manifests with digests, and counts.
        config: of the run.
        versions: of torch and occfer.
        stem: `full` or `small`, see `occfer.models.classifier.Classifier`.
        network_px: side to which the network enlarges faces; None: they stay as they are.
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
    stem: Stem = "full"
    network_px: int | None = None
    val_uar: float | None = None


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
    info = record_of(ModelInfo, dict(header), str(path), CheckpointError)
    if wrong := _wrong(info):
        raise CheckpointError(f"{path} cannot be a model of occfer: {wrong}")
    data_facts(info.data, f"{path}: data")
    config_facts(info.config, f"{path}: config")
    return info


def _wrong(info: ModelInfo) -> str:
    """What is impossible about the values; empty if nothing is."""
    for name in ("method", "branch", "view", "backbone", "align"):
        if len(getattr(info, name)) > LONGEST_WORD:
            return f"its {name} is not a word"
    words = info.classes
    if not 0 < len(words) <= MOST_CLASSES:
        return f"it has {len(words):,} classes"
    if len(set(words)) < len(words) or not all(0 < len(each) <= LONGEST_WORD and each.isprintable() for each in words):
        return "its classes are not printable words that all differ"
    if not 1 <= info.size_px <= LARGEST_SIDE_PX:
        return f"its size_px is not between 1 and {LARGEST_SIDE_PX}"
    if info.network_px is not None and not 1 <= info.network_px <= LARGEST_SIDE_PX:
        return f"its network_px is not between 1 and {LARGEST_SIDE_PX}"
    return ""


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """What a run or an evaluation says of a manifest that it used.

    Attributes:
        name, database, sha256: of the manifest.
        mode: of the manifest; empty where only its name tells it.
        test_only: whether it was only tested on.
    """

    name: str
    sha256: str
    database: str = ""
    mode: str = ""
    test_only: bool = False


@dataclass(frozen=True, slots=True)
class RowFacts:
    """How many samples trained, selected and tested a model."""

    train: int = 0
    val: int = 0
    test: int = 0


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What is used of data.json."""

    manifests: tuple[ManifestFacts, ...] = ()
    fold: int | None = None
    rows: RowFacts | None = None


@dataclass(frozen=True, slots=True)
class ConfigFacts:
    """What is used of config.json without making a `TrainConfig` of it, which another version may have written."""

    manifests: tuple[str, ...] = ()
    test_manifests: tuple[str, ...] = ()


def data_facts(data: Mapping[str, Any], where: str) -> DataFacts:
    """What is used of a run's data.json; raises CheckpointError, naming `where`, for other types or too much of it."""
    facts = record_of(DataFacts, dict(data), where, CheckpointError)
    _refuse_many(facts.manifests, where)
    return facts


def config_facts(config: Mapping[str, Any], where: str) -> ConfigFacts:
    """As `data_facts`, for a run's config.json."""
    facts = record_of(ConfigFacts, dict(config), where, CheckpointError)
    _refuse_many((*facts.manifests, *facts.test_manifests), where)
    return facts


def _refuse_many(manifests: Sequence[object], where: str) -> None:
    """Raises CheckpointError for more manifests than anyone would look for, one folder after the other."""
    if len(manifests) > MOST_MANIFESTS:
        raise CheckpointError(f"{where} names {len(manifests):,} manifests; no run has more than {MOST_MANIFESTS}")
