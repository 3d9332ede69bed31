"""The configuration: defaults, errors that name the flag, and its way through JSON."""

import json
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from occfer.baselines import BASELINES
from occfer.config import TrainConfig
from occfer.config_fields import NOT_COMPARED, differences, flag, identity
from occfer.errors import ConfigError
from occfer.files import digest
from occfer.losses import LOSSES
from occfer.methods import OPTIMIZERS
from occfer.setting import EVERYTHING, GUIDANCE, LOG, PANELS, STAGE_1, STAGE_2, baseline, loss, setting_of
from occfer.settings import OPTIMIZER_NAMES

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
        ({"rate": "fast"}, r"--rate 'fast': must be a number"),
        ({"rate": float("inf")}, r"--rate inf: must be finite and greater than 0"),
        ({"batch_size": "32"}, r"--batch-size '32': must be a number"),
        ({"seed": None}, r"--seed must have a value"),
        ({"crop_px": -(10**400)}, r"--crop -1000.*: must be at least 0"),
        ({"guide": "hidden", "pairing": "category"}, r"--guide hidden needs --pairing paired"),
        ({"guide": "edges"}, r"--guide 'edges': choose one of everywhere, hidden, seen"),
        ({"decoder_rate": 0.0}, r"--decoder-rate 0.0: must be greater than 0"),
        ({"student_norm": "none"}, r"--student-norm 'none': choose one of frozen, batch"),
        ({"temperature": 0.0}, r"--temperature 0.0: must be greater than 0"),
        ({"lambda_lir": 1.5}, r"--lambda-lir 1.5 is above 1.*supervision is\s+reversed.*--force"),
    ],
)
def test_a_wrong_setting_names_its_flag(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TrainConfig(**({"manifests": MANIFEST} | settings))


WRONG_KINDS: dict[Any, tuple[tuple[Any, str], ...]] = {
    bool: ((3, "true or false"), ("no", "true or false"), (0.0, "true or false"), ([], "true or false")),
    int: ((1.5, "a whole number"), (True, "a whole number"), ("3", "a number"), ([3], "a whole number")),
    float: ((True, "a number"), ("0.1", "a number"), ([0.1], "a number"), ({}, "a number")),
    str: ((3, "a text"), (True, "a text"), (["full"], "a text"), ({}, "a text")),
    Path: ((3, "a path"), (True, "a path"), (["a"], "a path"), ("a\0b", "a path")),
    tuple[Path, ...]: (
        ("a.csv", "several paths"), (3, "several paths"), ([3], "several paths"), ({"a": "b"}, "several paths"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("field", fields(TrainConfig), ids=lambda field: field.name)
def test_a_value_of_another_type_is_refused_with_its_flag(field: Field[Any]) -> None:
    """From a file and in Python; nothing is converted, so "no" is not a yes and 1.5 epochs are not one."""
    content = TrainConfig(manifests=MANIFEST).to_json()
    hint = get_type_hints(TrainConfig)[field.name]
    if get_origin(hint) is Literal:
        cases: tuple[tuple[Any, str], ...] = ((3, ""), (True, ""), ([], ""), ({}, ""), (None, ""))
    else:
        optional = type(None) in get_args(hint)
        cases = WRONG_KINDS[hint if hint in WRONG_KINDS else get_args(hint)[0]]
        cases += () if optional or field.name == "manifests" else ((None, "must have a value"),)
    for value, kind in cases:
        with pytest.raises(ConfigError) as raised:
            TrainConfig.from_json(content | {field.name: value})
        said = str(raised.value)
        assert said.startswith(f"{flag(field.name)} ") and kind in said and "\n" not in said, said
        with pytest.raises(ConfigError):
            TrainConfig(**({"manifests": MANIFEST} | {field.name: value}))


def test_a_number_that_no_float_holds_is_refused() -> None:
    with pytest.raises(ConfigError, match="--lambda-sim 1000"):
        TrainConfig.from_json(TrainConfig(manifests=MANIFEST).to_json() | {"lambda_sim": 10**400})


def test_a_reversing_weight_can_be_forced() -> None:
    assert TrainConfig(manifests=MANIFEST, lambda_lir=2.0, force=True).lambda_lir == 2


def test_the_optimizers_are_those_of_the_table() -> None:
    assert tuple(OPTIMIZERS) == OPTIMIZER_NAMES


def test_a_loss_without_a_weight_is_named() -> None:
    with pytest.raises(ConfigError, match="the loss 'flow' has no weight: give TrainConfig a field lambda_flow"):
        TrainConfig(manifests=MANIFEST).loss_weight("flow")


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
    others: dict[str, Any] = {"landmarks_from": "clean", "forest_trees": 7}
    assert differences(config, replace(config, **others)) == [], "full has no trees, and needs no landmarks"
    assert differences(replace(config, method="pg-cnn"), replace(config, method="pg-cnn", **others)) == [
        "--landmarks-from occluded -> clean"
    ]


def test_digests_follow_the_content_and_not_the_order() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1}) != digest({"a": 1, "b": [2, 1]})
    assert flag("test_manifests") == "--test-manifest"


# As a run of version 0.1 wrote it.
CONFIG_0_1 = """{"manifests": ["builds/manifests/demo-r16.csv"], "test_manifests": [], "method": "full", "fold": 0,
"size_px": 48, "backbone": "resnet18", "weights": "none", "pairing": "paired", "live_occlusion": "", "epochs": 1,
"pretrain_epochs": 1, "batch_size": 32, "rate": 2e-05, "discriminator_rate": 0.0001, "pretrain_rate": 0.0001,
"optimizer": "adam", "weight_decay": 0.0, "discriminator_updates": 1, "student_updates": 1, "lambda_sim": 3.0,
"lambda_lir": 0.5, "lambda_adv": 0.02, "lambda_rec": 0.3, "similarity_space": "softmax",
"inequality_reduction": "per-sample", "force": false, "train_on": "clean", "landmarks_from": "clean",
"baseline_epochs": 30, "baseline_rate": 0.001, "baseline_batch_size": 128, "baseline_updates": 0,
"rgbt_templates": 1000, "forest_trees": 500, "val_fraction": 0.1, "flip": true, "crop_px": 0, "colour": 0.0,
"seed": 0, "device": "auto", "devices": 1, "num_nodes": 1, "precision": "32", "channels_last": false,
"compile": false, "checkpoint_every": 0, "log_every": 10, "resident_fraction": 0.4, "occluded_branch": null,
"clean_branch": null, "branch_cache": null, "cache_dir": null, "out": "runs/demo", "resume": false}"""


def test_a_configuration_of_version_0_1_is_read_and_written_as_it_was() -> None:
    """Defaults and their order are part of the format: a run that was begun before must go on."""
    content = json.loads(CONFIG_0_1)
    given = (
        "manifests", "fold", "size_px", "backbone", "weights", "epochs", "pretrain_epochs", "landmarks_from", "out",
    )  # fmt: skip
    config = TrainConfig.from_json({name: content[name] for name in given})
    added = {field.name for field in fields(TrainConfig) if setting_of(field).added}
    assert [each for each in config.to_json().items() if each[0] not in added] == list(content.items())
    assert TrainConfig.from_json(content) == config


def test_what_may_differ_at_resume_changes_nothing() -> None:
    assert {
        "out", "resume", "checkpoint_every", "cache_dir", "branch_cache", "resident_fraction",
        "device", "devices", "num_nodes", "channels_last", "compile", "workers",
    } == NOT_COMPARED  # fmt: skip


@pytest.mark.parametrize("field", fields(TrainConfig), ids=lambda field: field.name)
def test_every_setting_is_described(field: Field[Any]) -> None:
    described = setting_of(field)
    assert described.help[0].isupper() and described.help.endswith(".")
    assert described.panel in PANELS
    known = {*EVERYTHING, *STAGE_1, *STAGE_2, *GUIDANCE, *LOG, *loss(*LOSSES), *baseline(*BASELINES)}
    assert described.changes <= known


def test_a_setting_that_version_0_1_did_not_have_changes_no_digest_while_it_does_what_that_version_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = TrainConfig(manifests=(Path("a.csv"),), colour=0.25)
    stored = config.to_json()
    del stored["colour"]
    with monkeypatch.context() as patched:  # as if `colour` were new, and its default not what was done before
        described = TrainConfig.__dataclass_fields__["colour"]
        patched.setattr(described, "metadata", {"setting": replace(setting_of(described), before=0.5)})
        assert "colour" in identity(config, ["colour", "seed"])
        assert identity(replace(config, colour=0.5), ["colour", "seed"]) == {"seed": 0}
        assert TrainConfig.from_stored(stored).colour == 0.5
        assert TrainConfig.from_json(stored).colour == 0.0
    assert TrainConfig.from_stored(stored).colour == 0.0
