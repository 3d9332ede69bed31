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

# What users of FER code expect for small faces: resolution, a rate that falls to 0, smoothed labels, and other
# occlusions in each epoch, as every other augmentation is drawn anew. [D]
_MODERN: dict[str, Any] = {
    "stem": "small",
    "live_occlusion": "manifest",
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "batch_size": 64,
    "pretrain_epochs": 8,
    "pretrain_rate": 1e-3,
    "epochs": 8,
    "rate": 5e-4,
    "schedule": "linear",
    "warmup_epochs": 0.5,
    "label_smoothing": 0.1,
    "crop_px": 4,
    # The paper states no weights. These paid on a part of FER+'s faces and not on all, see docs/results/ferplus.md.
    "similarity_space": "logits",
    "lambda_sim": 0.2,
    "lambda_lir": 0.1,
    "lambda_adv": 0.01,
    "lambda_rec": 0.1,
    "discriminator_batch": "shared",
    "discriminator_norm": "spectral",
}

RECIPES: dict[Recipe, Mapping[str, Any]] = {"paper": _PAPER, "modern": _MODERN}
"""Fields of `TrainConfig` by recipe, as JSON values; a field that a recipe does not name keeps its default."""
