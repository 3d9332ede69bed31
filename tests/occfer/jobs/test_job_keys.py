"""The keys of jobs stay what they are.

They are not those of version 0.1: since both branches begin with one draw of weights, its jobs are redone. What the
settings of a job contribute is as before.

A job whose key changes is run again, and a table's jobs take days. So neither a renamed setting nor another default of
an unrelated one may change them. If a test fails here on purpose, because the same settings now give another result,
raise `occfer.jobs.graph.SCHEMA` and write the new keys down.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from occfer.config import TrainConfig
from occfer.files import digest
from occfer.jobs.relevant_settings import content_of, only_own
from occfer.protocols.reproduce import prepare_plan
from occfer.protocols.request import Request
from occfer.setting import NOT_ADDED, setting_of

# Settings of every kind away from their defaults.
CHANGED: dict[str, Any] = {
    "backbone": "resnet18", "weights": "none", "size_px": 48, "pretrain_epochs": 3, "epochs": 2, "lambda_sim": 1.5,
    "flip": False, "crop_px": 4, "colour": 0.2, "optimizer": "adamw", "weight_decay": 0.01, "seed": 3, "fold": 2,
    "train_on": "occluded", "baseline_updates": 2, "precision": "bf16", "similarity_space": "logits",
}  # fmt: skip
# What version 0.1 did, where a setting was added since and its default is another one.
BEFORE: dict[str, Any] = {
    each.name: setting_of(each).before
    for each in fields(TrainConfig)
    if setting_of(each).before not in (NOT_ADDED, each.default)
}
# Method to the first digits of the digest of its content, with the default settings and with those.
CONTENTS = {
    "resnet": ("95225792ff531da2", "5509df6c50fa2275"),
    "resnet-long": ("04dd8339c632ea7c", "0db58699f3c81f6e"),
    "sim": ("fed3a898f60e451b", "fe3da8d7da4a6294"),
    "full": ("0f864688dfaec3fc", "4a84ca743abe4066"),
    "clean": ("5e5b1bbb6a8af7ae", "ec87e233fcdb7b6d"),
    "pg-cnn": ("119c892abdb6f10d", "c1b57e1123fa9a76"),
    "rgbt": ("308c22514a8d6d2c", "9b31cf0f5270cb4a"),
    "wls-rf": ("3d46ca0820132f93", "0520259daf7dffcd"),
}
# The folders of the jobs that a part of each table takes; they end with the keys, which follow from content and needs.
FOLDERS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "table1": (
        {"databases": ("raf-db",), "methods": ("full",)},
        {
            "resnet-raf-db-seed0-b27fd115952dacee",
            "clean-raf-db-seed0-86d42a182598345a",
            "full-raf-db-seed0-93a5aa2959af9c0b",
            "full-raf-db-seed0-on-raf-db-ck+-93e49c311ae88099",
        },
    ),
    "table2": (
        {"modes": ("r8",), "folds": (0,), "methods": ("wls-rf", "pg-cnn", "resnet", "full")},
        {
            "wls-rf-ck+-r8-fold0-seed0-6aea73adcb61b982",
            "pg-cnn-ck+-r8-fold0-seed0-e141afcd4f3b6321",
            "resnet-ck+-r8-fold0-seed0-efec1fb5305c9f8a",
            "clean-ck+-fold0-seed0-bcc18be61afac2b3",
            "full-ck+-r8-fold0-seed0-933825d25fb708c9",
        },
    ),
    "table3": (
        {"methods": ("sim",)},
        {
            "resnet-raf-db+affectnet-seed0-0aa9fad7d544ca7a",
            "clean-on-occluded-raf-db+affectnet-seed0-2fb15b1ea50456c9",
            "sim-raf-db+affectnet-seed0-0d7437998b87332e",
        },
    ),
}


@pytest.mark.parametrize("method", CONTENTS)
def test_the_content_of_a_run_is_the_same(method: str) -> None:
    configs = (TrainConfig(manifests=(Path("a.csv"),), method=method, **BEFORE | more) for more in ({}, CHANGED))
    found = tuple(digest(content_of(only_own(config), ["abc"], ["d"])) for config in configs)
    assert tuple(each[:16] for each in found) == CONTENTS[method]


@pytest.mark.parametrize("what", FOLDERS)
def test_the_folders_of_a_tables_jobs_are_the_same(tmp_path: Path, what: str) -> None:
    options, folders = FOLDERS[what]
    request = Request(
        what=what,
        builds=tmp_path,
        out=tmp_path,
        seeds=1,
        align="own",
        settings={"weights": "none"} | BEFORE,
        **options,
    )
    assert {job.folder.name for job in prepare_plan(request).plan.jobs} == folders
