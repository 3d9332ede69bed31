"""Recipes: what each sets is a setting of every training, and a file of settings and typed flags override it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from occfer.config import TrainConfig
from occfer.config_fields import NOT_COMPARED, ONE_RUN, identity
from occfer.recipes import RECIPES, Recipe
from occfer.training.train import train
from occsynth.manifest import Row
from tests.occfer.cli.test_cli import call, error

MANIFESTS = (Path("a.csv"),)


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_recipe_sets_is_valid_and_decides_results(name: Recipe) -> None:
    recipe = RECIPES[name]
    stored = TrainConfig(manifests=MANIFESTS).to_json() | dict(recipe)
    assert TrainConfig.from_json(stored).to_json() == stored
    assert not recipe.keys() & (NOT_COMPARED | ONE_RUN)


def test_the_papers_recipe_is_what_version_0_1_did() -> None:
    config = TrainConfig.from_json(TrainConfig(manifests=MANIFESTS).to_json() | dict(RECIPES["paper"]))
    assert not identity(config, RECIPES["paper"].keys())
    assert (config.rate, config.pretrain_rate, config.optimizer, config.batch_size) == (2e-5, 1e-4, "adam", 32)


@pytest.mark.usefixtures("tiny_backbone")
def test_a_file_of_settings_and_typed_flags_override_a_recipe(make_build: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"backbone": "tiny", "weights": "none", "pretrain_epochs": 1}')
    words = ("--method", "resnet", "--fold", 0, "--no-figures", "--recipe", "modern", "--crop", 1)
    run = tmp_path / "run"
    call("train", "--manifest", make_build(), *words, "--config", tmp_path / "settings.json", "--out", run)
    stored = json.loads((run / "config.json").read_text())
    expected = {**RECIPES["modern"], "crop_px": 1, "backbone": "tiny", "weights": "none", "pretrain_epochs": 1}
    assert {name: stored[name] for name in expected} == expected


@pytest.mark.usefixtures("tiny_backbone")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "faces of 24 px lose much of their detail in the first layers: --recipe modern keeps more"),
        ({"stem": "small"}, None),
        ({"network_px": 48}, None),
        ({"size_px": 72, "stem": "small"}, "faces of 72 px need no --stem small"),
        ({"size_px": 72}, None),
    ],
)
def test_train_tells_which_stem_suits_the_size_of_the_faces(
    make_build: Callable[..., Path], make_config: Callable[..., TrainConfig], settings: dict[str, Any], said: str | None
) -> None:
    notes: list[str] = []
    config = replace(make_config(make_build(), method="resnet"), **settings)
    train(config, on_step=lambda event: notes.append(event.get("text", "")), test=False)
    found = [note for note in notes if note.startswith("faces of")]
    assert len(found) == (said is not None) and all(note.startswith(said or "") for note in found)


def without_most_fear(rows: list[Row]) -> list[Row]:
    """Fear is shown by the first person alone."""
    return [row for row in rows if row.expression != "fear" or row.subject == "s000"]


@pytest.mark.usefixtures("tiny_backbone")
@pytest.mark.parametrize(
    ("edit", "settings", "told"),
    [
        (without_most_fear, {}, True),
        (without_most_fear, {"network_px": 48}, True),
        (without_most_fear, {"select": "uar"}, False),
        (without_most_fear, {"val_fraction": 0.0}, False),
        (None, {}, False),
    ],
)
def test_train_proposes_the_mean_recall_where_classes_are_uneven(
    make_build: Callable[..., Path],
    make_config: Callable[..., TrainConfig],
    edit: Callable[[list[Row]], list[Row]] | None,
    settings: dict[str, Any],
    told: bool,
) -> None:
    notes: list[str] = []
    config = make_config(make_build(edit=edit, subjects=8), method="resnet", fold=1, **settings)
    train(config, on_step=lambda event: notes.append(event.get("text", "")), test=False)
    found = [note for note in notes if note.startswith("the classes are uneven")]
    assert len(found) == told and all("--select uar" in note for note in found)


@pytest.mark.usefixtures("tiny_backbone")
def test_clean_faces_go_with_the_modern_recipe_where_no_discriminator_looks(
    make_build: Callable[..., Path], tmp_path: Path
) -> None:
    words = ["train", "--manifest", make_build(), "--recipe", "modern", "--clean-share", 0.25, "--live-occlusion", ""]
    words += ["--fold", 0, "--backbone", "tiny", "--weights", "none", "--epochs", 1, "--pretrain-epochs", 1]
    run, saved = tmp_path / "run", tmp_path / "mine.toml"
    for others in (["--out", run], ["--save-config", saved]):
        said = error(*words, "--method", "full", *others)
        assert said.endswith("use --discriminator-batch fresh, or --clean-share 0")
        assert not run.exists() and not saved.exists()
    call(*words, "--method", "kd", "--no-figures", "--out", run)
    stored = json.loads((run / "config.json").read_text())
    assert (stored["clean_share"], stored["discriminator_batch"]) == (0.25, "shared")
