"""Which settings of a training run matter to which row: a change of any other one leaves its result as it is."""

import hashlib
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from occfer.config import NOT_COMPARED, TrainConfig
from occfer.errors import WeightsError
from occfer.method_table import method_named
from occfer.methods import Method

# Manifests count by their content, see `content_of`; the method is always there.
_ALWAYS = frozenset({"manifests", "test_manifests", "method", "fold", "size_px", "val_fraction", "seed"})
_IMAGES = frozenset({"batch_size", "flip", "crop_px", "colour", "precision"})
_STAGE1 = _IMAGES | {"backbone", "weights", "pretrain_epochs", "pretrain_rate", "optimizer", "weight_decay"}
_STAGE2 = frozenset({"epochs", "rate", "student_updates"})
_LOSSES: dict[str, frozenset[str]] = {
    "sim": frozenset({"lambda_sim", "similarity_space"}),
    "lir": frozenset({"lambda_lir", "inequality_reduction", "force"}),
    "adv": frozenset({"lambda_adv", "discriminator_rate", "discriminator_updates"}),
    "rec": frozenset({"lambda_rec"}),
}
_PATCHES = frozenset(
    {
        "baseline_epochs", "baseline_rate", "baseline_batch_size", "baseline_updates", "weights", "batch_size",
        "precision",
    }
)  # fmt: skip
_BASELINES: dict[str, frozenset[str]] = {
    "pg-cnn": _PATCHES,
    "gacnn": _PATCHES,
    "rgbt": frozenset({"train_on", "rgbt_templates"}),
    "wls-rf": frozenset({"train_on", "landmarks_from", "forest_trees"}),
}


def settings_of(row: str) -> frozenset[str]:
    """Fields of `TrainConfig` that the row's result depends on.

    Raises:
        UnknownNameError: no such row.
    """
    found = method_named(row)
    if found.kind == "baseline":
        return _ALWAYS | _BASELINES[row] if row in _BASELINES else _every_setting()
    return _ALWAYS | _of_method(found)


def _of_method(method: Method) -> frozenset[str]:
    names = set(_STAGE1)
    if method.stage2:
        names |= _STAGE2
    if method.losses:
        names |= {"pairing"}
    return frozenset(names.union(*(_LOSSES.get(loss, _every_setting()) for loss in method.losses)))


def _every_setting() -> frozenset[str]:
    return frozenset(field.name for field in fields(TrainConfig)) - NOT_COMPARED


def only_own(config: TrainConfig) -> TrainConfig:
    """The configuration with every setting that does not matter to its row at its default.

    So two configurations that give the same result are equal, but for where and how they run.
    """
    own = settings_of(config.method) | NOT_COMPARED
    return TrainConfig.from_json({name: value for name, value in config.to_json().items() if name in own})


def content_of(config: TrainConfig, manifests: list[str], test_manifests: list[str]) -> dict[str, Any]:
    """What a run's result depends on, as JSON values: its row's settings, and digests in place of files.

    Args:
        config: of the run.
        manifests, test_manifests: SHA-256 of its manifests.

    Raises:
        WeightsError: the file of initial weights is not there.
    """
    plain = config.to_json()
    content = {name: plain[name] for name in sorted(settings_of(config.method))}
    content |= {"manifests": manifests, "test_manifests": test_manifests}
    if content.get("weights", "none") not in ("imagenet", "none"):
        path = Path(content["weights"])
        if not path.is_file():
            raise WeightsError(f"--weights {path}: no such file; name one, or imagenet, or none")
        content["weights"] = _file_sha256(path, path.stat().st_mtime_ns)
    return content


@cache
def _file_sha256(path: Path, _: int) -> str:
    """Of a file as it was at some time; thousands of runs start from the same weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
