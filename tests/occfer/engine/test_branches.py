"""Shared branches of stage 1: what their digest depends on, and that it is the one of version 0.1."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from occfer.config import TrainConfig
from occfer.config_fields import changing
from occfer.data.arrays import View
from occfer.engine.branches import branch_digest
from occfer.engine.engine import one_process
from occfer.engine.run_data import prepare
from occfer.files import digest

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]
# Another value for every setting of stage 1.
OTHER: dict[str, Any] = {
    "backbone": "resnet18", "weights": "imagenet", "pretrain_epochs": 7, "batch_size": 5, "pretrain_rate": 0.5,
    "schedule": "cosine", "warmup_epochs": 0.5, "clip": 1.0, "ema": 0.5, "label_smoothing": 0.5, "balance": "weights",
    "optimizer": "sgd", "weight_decay": 0.5, "flip": False, "crop_px": 3, "colour": 0.5, "precision": "bf16",
}  # fmt: skip


@pytest.mark.parametrize("role", ["occluded", "clean"])
def test_a_branch_is_shared_under_the_name_that_version_0_1_gave_it(
    make_build: MakeBuild, make_config: MakeConfig, role: View
) -> None:
    config = make_config(make_build(), crop_px=2, colour=0.25, weight_decay=0.125, seed=4)
    engine = one_process("cpu")
    data = prepare(config, engine, None)
    version_0_1 = {
        "role": role,
        "rows": data.images_digest(role),
        "size_px": 24,
        "classes": data.split.classes,
        "backbone": "tiny",
        "weights": "none",
        "epochs": 1,
        "batch_size": 8,
        "rate": 1e-4,
        "optimizer": ["adam", 0.125],
        "augmentation": [True, 2, 0.25],
        "seed": 4,
        "precision": "32",
        "processes": 1,
    }
    assert branch_digest(role, data, config, engine) == digest(version_0_1)


def test_every_setting_of_stage_1_is_in_the_digest_and_no_other(make_build: MakeBuild, make_config: MakeConfig) -> None:
    config = make_config(make_build())
    engine = one_process("cpu")
    data = prepare(config, engine, None)
    plain = branch_digest("clean", data, config, engine)
    one_run = {"clean_branch", "occluded_branch", "live_occlusion"}
    assert OTHER.keys() == changing(frozenset({"clean branch", "occluded branch"})) - one_run
    for name, value in OTHER.items():
        assert branch_digest("clean", data, replace(config, **{name: value}), engine) != plain, name
    others: dict[str, Any] = {"epochs": 9, "lambda_sim": 9.0, "rate": 0.5, "method": "sim", "out": Path("x")}
    assert others.keys() <= {field.name for field in fields(TrainConfig)} - OTHER.keys()
    assert branch_digest("clean", data, replace(config, **others), engine) == plain
