"""Named settings of training: one name for what a paper did, or for what trains best today.

A recipe is a starting point: a file of settings and typed flags take precedence over it, and the run's configuration
stores the values, not the name. Another recipe is one entry here.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

from occfer.config import TrainConfig
from occfer.setting import setting_of, to_plain

Recipe = Literal["paper", "modern"]

# The choices of the paper, and ours where it says nothing: every later setting as if it were not there.
_PAPER = {
    each.name: to_plain(setting_of(each).before)
    for each in fields(TrainConfig)
    if setting_of(each).added and setting_of(each).changes
}

_MODERN: dict[str, Any] = {
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "batch_size": 64,
    "pretrain_rate": 1e-3,
    "crop_px": 4,
}

RECIPES: dict[Recipe, Mapping[str, Any]] = {"paper": _PAPER, "modern": _MODERN}
"""Fields of `TrainConfig` by recipe, as JSON values; a field that a recipe does not name keeps its default."""
