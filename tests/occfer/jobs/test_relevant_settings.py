"""Which settings matter to which row."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from occfer.config import TrainConfig
from occfer.config_fields import NOT_COMPARED
from occfer.errors import WeightsError
from occfer.jobs.relevant_settings import content_of, only_own, settings_of
from occfer.method_table import METHOD_TABLE
from occfer.training.train import train

# Not offered where many runs are made, or only a matter of the log.
ELSEWHERE = {"occluded_branch", "clean_branch", "log_every"}
OTHER: dict[str, Any] = {
    "lambda_sim": 9.0, "lambda_lir": 0.9, "lambda_adv": 0.7, "lambda_rec": 0.6, "lambda_kd": 0.3, "temperature": 9.0,
    "lambda_hint": 0.2, "decoder_rate": 0.5, "decoder_width": 8, "student_norm": "batch",
    "discriminator_norm": "spectral",
    "discriminator_batch": "shared", "similarity_space": "logits", "teacher": "both",
    "discriminator_rate": 0.5, "discriminator_updates": 2, "epochs": 3, "rate": 0.5, "student_updates": 2,
    "live_occlusion": "eyes",
    "pairing": "category", "baseline_epochs": 7, "rgbt_templates": 5, "forest_trees": 5, "train_on": "occluded",
}  # fmt: skip


def test_every_setting_matters_to_some_row() -> None:
    """A new setting must be told here, or a changed one would not redo what depends on it."""
    known = frozenset().union(*(settings_of(row) for row in METHOD_TABLE))
    assert {field.name for field in fields(TrainConfig)} - NOT_COMPARED - ELSEWHERE <= known


def test_rows_depend_on_their_own_losses_and_stages() -> None:
    losses = {"lambda_sim": "sim", "lambda_lir": "lir", "lambda_adv": "adv", "lambda_rec": "rec"}
    losses |= {"lambda_kd": "kd", "temperature": "kd", "lambda_hint": "hint"}
    for row, loss in ((row, loss) for row in METHOD_TABLE for loss in losses):
        has = losses[loss] in METHOD_TABLE[row].losses
        assert (loss in settings_of(row)) == has, (row, loss)
    assert {row for row in METHOD_TABLE if "pretrain_rate" in settings_of(row)} == {
        row for row in METHOD_TABLE if METHOD_TABLE[row].branches
    }
    assert {row for row in METHOD_TABLE if "rgbt_templates" in settings_of(row)} == {"rgbt"}
    assert not {"epochs", "rate", "pairing"} & settings_of("resnet")
    assert {row for row in METHOD_TABLE if "landmarks_from" in settings_of(row)} == {
        row for row in METHOD_TABLE if METHOD_TABLE[row].needs_points
    }


@pytest.mark.parametrize("row", ["resnet", "resnet-long", "sim", "adv", "full"])
def test_settings_that_do_not_matter_leave_the_content_alone(row: str) -> None:
    config = TrainConfig(manifests=(Path("a.csv"),), method=row, fold=1)
    content = content_of(config, ["abc"], [])
    for name, value in OTHER.items():
        changed = content_of(replace(config, **{name: value}), ["abc"], [])
        assert (changed != content) == (name in settings_of(row)), name
    assert content_of(replace(config, out=Path("x"), device="cpu"), ["abc"], []) == content
    assert content_of(replace(config, manifests=(Path("b.csv"),)), ["abc"], []) == content
    assert content_of(config, ["abd"], []) != content


def test_weights_count_by_their_content(tmp_path: Path) -> None:
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / name).write_text(text)
    config = TrainConfig(manifests=(Path("a.csv"),), method="sim")
    a, b, c = (content_of(replace(config, weights=str(tmp_path / name)), [], []) for name in "abc")
    assert a == b != c
    with pytest.raises(WeightsError, match="no such file"):
        content_of(replace(config, weights="gone"), [], [])


@pytest.mark.parametrize("row", ["resnet", "sim"])
def test_settings_that_do_not_matter_leave_a_real_run_alone(
    row: str, make_build: Callable[..., Path], make_config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    config = make_config(make_build(subjects=3), method=row)
    others = {name: value for name, value in OTHER.items() if name not in settings_of(row)}
    assert others
    plain = train(replace(config, out=tmp_path / "plain"))
    changed = train(replace(config, out=tmp_path / "changed", **others))
    own = train(replace(only_own(replace(config, **others)), out=tmp_path / "own"))
    assert plain.predictions.read_bytes() == changed.predictions.read_bytes() == own.predictions.read_bytes()
