"""Shared branches of stage 1: what their digest depends on, and that it stays what it is.

Since both branches begin with one draw of weights, the digests are not those of version 0.1, which drew them apart.
"""

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
    "rotate_deg": 9.0, "scale": 0.5, "grey_share": 0.5, "erase_share": 0.5, "clean_share": 0.5,
    "stem": "small", "network_px": 112,
}  # fmt: skip
from occfer.setting import setting_of


@pytest.mark.parametrize("role", ["occluded", "clean"])
def test_a_branch_is_shared_under_the_name_that_it_always_had(
    make_build: MakeBuild, make_config: MakeConfig, role: View
) -> None:
    config = make_config(make_build(), crop_px=2, colour=0.25, weight_decay=0.125, seed=4)
    engine = one_process("cpu")
    data = prepare(config, engine, None)
    content = {
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
        "draw": "branch",
        "precision": "32",
        "processes": 1,
    }
    assert branch_digest(role, data, config, engine) == digest(content)


def test_every_setting_of_stage_1_is_in_the_digest_and_no_other(make_build: MakeBuild, make_config: MakeConfig) -> None:
    config = make_config(make_build())
    engine = one_process("cpu")
    data = prepare(config, engine, None)
    roles: tuple[View, ...] = ("clean", "occluded")
    plain = {role: branch_digest(role, data, config, engine) for role in roles}
    one_run = {"clean_branch", "occluded_branch", "live_occlusion"}
    assert OTHER.keys() == changing(frozenset({"clean branch", "occluded branch"})) - one_run
    for name, value in OTHER.items():
        for role in roles:
            changed = branch_digest(role, data, replace(config, **{name: value}), engine) != plain[role]
            changes = setting_of(TrainConfig.__dataclass_fields__[name]).changes
            assert changed == (f"{role} branch" in changes), (name, role)
    others: dict[str, Any] = {"epochs": 9, "lambda_sim": 9.0, "rate": 0.5, "method": "sim", "out": Path("x")}
    assert others.keys() <= {field.name for field in fields(TrainConfig)} - OTHER.keys()
    for role in roles:
        assert branch_digest(role, data, replace(config, **others), engine) == plain[role]
