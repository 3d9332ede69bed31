"""Shared branches of stage 1: what their digest depends on, and that it stays what it is.

Since both branches begin with one draw of weights, the digests are not those of version 0.1, which drew them apart.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from occfer.config import TrainConfig
from occfer.config_fields import changing
from occfer.data.arrays import View
from occfer.data.batch_maker import LiveOcclusion
from occfer.engine.branches import branch_digest, cached_branch, initial_branch
from occfer.engine.engine import one_process
from occfer.engine.run_data import prepare
from occfer.errors import CheckpointError
from occfer.faces.live_occlusion import live_occluder
from occfer.files import digest
from occfer.runs.checkpoint import load, load_model
from occfer.runs.run_folder import RunPaths
from occfer.setting import setting_of
from occfer.training.train import train

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]
# Another value for every setting of stage 1.
OTHER: dict[str, Any] = {
    "backbone": "resnet18", "weights": "imagenet", "pretrain_epochs": 7, "batch_size": 5, "pretrain_rate": 0.5,
    "schedule": "cosine", "warmup_epochs": 0.5, "clip": 1.0, "ema": 0.5, "label_smoothing": 0.5, "balance": "weights",
    "optimizer": "sgd", "weight_decay": 0.5, "flip": False, "crop_px": 3, "colour": 0.5, "precision": "bf16",
    "rotate_deg": 9.0, "scale": 0.5, "grey_share": 0.5, "erase_share": 0.5, "clean_share": 0.5,
    "stem": "small", "network_px": 112, "labels": "votes", "select": "uar", "live_occlusion": "eyes",
}  # fmt: skip


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
    one_run = {"clean_branch", "occluded_branch"}
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


@pytest.mark.parametrize("backbone", ["tiny", "mobilenet_v2"])
def test_both_branches_begin_with_equal_weights(make_build: MakeBuild, make_config: MakeConfig, backbone: str) -> None:
    """Last layers included. Drawn apart, their first convolutions had a correlation of zero."""
    config = make_config(make_build(), method="adv", backbone=backbone, pretrain_epochs=0, epochs=0)
    run = train(config)
    occluded, clean = (load(RunPaths(run.folder).branch(role))[0] for role in ("occluded", "clean"))
    assert occluded.keys() == clean.keys()
    assert all(torch.equal(value, clean[name]) for name, value in occluded.items())
    weights = next(value for value in occluded.values() if value.ndim == 4)
    assert weights.std() > 0
    other, _ = initial_branch(replace(config, seed=1), 24, 7)
    assert not torch.equal(next(other.parameters()), weights)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stem": "small"}, "has the stem full; this run needs small"),
        ({"network_px": 32}, "has the network size none; this run needs 32"),
        ({"backbone": "resnet18"}, "has the backbone tiny; this run needs resnet18"),
    ],
)
def test_a_branch_of_another_network_is_refused(
    make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    first = make_config(make_build(), method="resnet", pretrain_epochs=0, out=tmp_path / "first")
    branch = RunPaths(train(first).folder).branch("occluded")
    with pytest.raises(CheckpointError, match=f"--occluded-branch .* {said}"):
        train(replace(first, occluded_branch=branch, out=tmp_path / "second", **changes))


@pytest.mark.parametrize("changes", [{"stem": "small"}, {"network_px": 40}, {"network_px": 16}], ids=str)
def test_a_run_keeps_its_stem_and_network_size_to_the_end(
    make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Trained with every head that fits, shared, tested, and asked again from its file."""
    shrinks = changes.get("network_px", 24) < 24
    method = "adv" if shrinks else "full"  # the decoder restores at most eight times the feature
    config = make_config(make_build(), method=method, branch_cache=tmp_path / "branches", **changes)
    run = train(config)
    model = load_model(run.checkpoint)
    assert {name: getattr(model.info, name) for name in changes} == changes
    assert model.classifier.feature_stride == {"small": 4, 40: 4.8, 16: 12}[next(iter(changes.values()))]
    assert (model.info.size_px, model.decoder is None) == (24, shrinks)
    again = train(replace(config, out=tmp_path / "again"))
    assert again.metrics == run.metrics
    plain = train(replace(config, out=tmp_path / "plain", stem="full", network_px=None))
    assert len(list((tmp_path / "branches").glob("*.safetensors"))) == 4
    assert plain.metrics != run.metrics


def test_branches_of_live_occlusions_are_shared_by_runs_that_draw_the_same(
    make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path
) -> None:
    """Not by a run of another mode or seed, nor if a function draws of which nothing is known."""
    manifest = make_build()

    def branches(live: LiveOcclusion, config: TrainConfig) -> list[str]:
        data = prepare(config, one_process("cpu"), live)
        paths = [cached_branch(role, data, config, one_process("cpu")) for role in ("occluded", "clean")]
        return [str(path and path.name) for path in paths]

    config = make_config(manifest, method="sim", live_occlusion="eyes", branch_cache=tmp_path / "branches")
    occluded, clean = branches(live_occluder("eyes", [manifest], 0), config)
    assert branches(live_occluder("eyes", [manifest], 0), replace(config, method="kd")) == [occluded, clean]
    for other in (live_occluder("mouth", [manifest], 0), live_occluder("eyes", [manifest], 1)):
        changed, same = branches(other, config)
        assert changed != occluded and same == clean
    assert branches(lambda image, *_: image, config) == ["None", clean]

    train(config)
    assert {path.name for path in (tmp_path / "branches").glob("*.safetensors")} == {occluded, clean}
