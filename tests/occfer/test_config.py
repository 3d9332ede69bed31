"""The configuration: defaults, errors that name the flag, and its way through JSON."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from occfer.config import OPTIMIZER_NAMES, TrainConfig, differences, digest, flag
from occfer.errors import ConfigError
from occfer.methods import OPTIMIZERS

MANIFEST = (Path("builds/manifests/toy.csv"),)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"manifests": ()}, r"no manifest given.*--manifest"),
        ({"batch_size": 1}, r"--batch-size 1: must be at least 2"),
        ({"epochs": -1}, r"--epochs -1"),
        ({"student_updates": 0}, r"--k2 0"),
        ({"discriminator_updates": -1}, r"--k1 -1"),
        ({"rate": 0.0}, r"--rate 0.0: must be greater than 0"),
        ({"pretrain_rate": float("nan")}, r"--pretrain-rate nan"),
        ({"lambda_sim": -0.1}, r"--lambda-sim -0.1"),
        ({"lambda_rec": float("nan")}, r"--lambda-rec nan"),
        ({"val_fraction": 1.0}, r"--val-fraction 1.0: must be at least 0 and less than 1"),
        ({"size_px": 4}, r"--size 4: must be at least 8 and at most 2048"),
        ({"fold": -1}, r"--fold -1: must be at least 0"),
        ({"pairing": "loose"}, r"--pairing 'loose': choose one of paired, category, unpaired"),
        ({"precision": "64"}, r"--precision '64'"),
        ({"device": "tpu"}, r"--device 'tpu'"),
        ({"similarity_space": "cosine"}, r"--similarity-space 'cosine'"),
        ({"inequality_reduction": "sum"}, r"--inequality-reduction 'sum'"),
        ({"lambda_lir": 1.5}, r"--lambda-lir 1.5 is above 1.*supervision is\s+reversed.*--force"),
    ],
)
def test_a_wrong_setting_names_its_flag(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TrainConfig(**({"manifests": MANIFEST} | settings))


def test_a_reversing_weight_can_be_forced() -> None:
    assert TrainConfig(manifests=MANIFEST, lambda_lir=2.0, force=True).lambda_lir == 2


def test_the_optimizers_are_those_of_the_table() -> None:
    assert tuple(OPTIMIZERS) == OPTIMIZER_NAMES


def test_a_loss_without_a_weight_is_named() -> None:
    with pytest.raises(ConfigError, match="the loss 'kd' has no weight: give TrainConfig a field lambda_kd"):
        TrainConfig(manifests=MANIFEST).loss_weight("kd")


def test_the_papers_numbers_are_the_defaults() -> None:
    config = TrainConfig(manifests=MANIFEST)
    assert (config.rate, config.discriminator_rate, config.backbone) == (2e-5, 1e-4, "resnet50")


def test_it_goes_through_json() -> None:
    config = TrainConfig(manifests=MANIFEST, fold=3, branch_cache=Path("branches"), weights="none", rate=1e-3)
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    with pytest.raises(ConfigError, match="unknown fields in the configuration: lambda_9"):
        TrainConfig.from_json(config.to_json() | {"lambda_9": 1})
    assert isinstance(TrainConfig.from_json(config.to_json() | {"rate": 1}).rate, float)


def test_differences_are_those_that_change_the_result() -> None:
    config = TrainConfig(manifests=MANIFEST)
    other = replace(config, seed=4, size_px=48, out=Path("elsewhere"), resume=True, device="cpu")
    assert differences(config, other) == ["--size None -> 48", "--seed 0 -> 4"]


def test_digests_follow_the_content_and_not_the_order() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1}) != digest({"a": 1, "b": [2, 1]})
    assert flag("test_manifests") == "--test-manifest"
