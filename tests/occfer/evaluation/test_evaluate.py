"""Testing trained models: on what, with which branch, and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from occfer.config import TrainConfig
from occfer.errors import CheckpointError, ConfigError, DataError, ReportError
from occfer.evaluation.evaluate import EvaluateOptions, Evaluation, evaluate
from occfer.metrics.predictions import read_predictions
from occfer.runs.run_folder import Run
from occfer.training.folds import train_folds
from occfer.training.train import train
from occsynth.manifest import Row
from tests.occfer.toy_builds import Build, add_tiny_backbone, edited, without_clean, write_build

MakeBuild = Callable[..., Path]


@dataclass(frozen=True)
class Trained:
    """Runs that several tests read and none changes, on fold 0 of toy-r16, whose test people are s000 and s003."""

    root: Path
    manifest: Path
    full: Run
    clean: Run


def quick(*manifests: Path, **settings: Any) -> TrainConfig:
    small: dict[str, Any] = {
        "fold": 0, "backbone": "tiny", "weights": "none", "epochs": 1, "pretrain_epochs": 1, "batch_size": 8,
        "device": "cpu",
    }  # fmt: skip
    return TrainConfig(manifests=manifests, **(small | settings))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    add_tiny_backbone()
    root = tmp_path_factory.mktemp("trained")
    manifest = write_build(root / "builds", Build())
    full = train(quick(manifest, method="full", out=root / "full"))
    clean = train(quick(manifest, method="clean", out=root / "clean"))
    return Trained(root, manifest, full, clean)


@pytest.fixture(autouse=True)
def known_backbone(trained: Trained, tiny_backbone: None) -> None:
    """The backbone `tiny` is in the table in every test."""


def check(trained: Trained, *manifests: Path, **options: Any) -> Evaluation:
    given: dict[str, Any] = {"checkpoint": trained.full.folder, "device": "cpu"}
    return evaluate(EvaluateOptions(manifests=manifests, **(given | options)))


def subjects(found: Evaluation) -> set[str]:
    return {pair.subject for pair in found.predictions.pairs}


def test_the_training_manifest_gives_the_runs_own_result(trained: Trained) -> None:
    found = check(trained, trained.manifest)
    assert (found.folder / "predictions.csv").read_bytes() == trained.full.predictions.read_bytes()
    shared = set(found.summary) & set(trained.full.metrics)
    assert {"accuracy", "interval", "uar", "confusion", "by_coverage"} <= shared
    assert {name: found.summary[name] for name in shared} == {name: trained.full.metrics[name] for name in shared}
    written = json.loads((found.folder / "metrics.json").read_text())
    assert written.pop("checksums").keys() == {"metrics.json", "predictions.csv"} and written == found.summary
    assert found.folder == trained.full.folder / "evaluation" / "toy-r16"
    assert found.notes == ("toy: fold 0, 14 of 42 pairs",)
    assert found.title == "full on toy (r16)"


def test_other_modes_of_the_database_keep_to_the_models_fold(trained: Trained, make_build: MakeBuild) -> None:
    other = make_build(name="toy-r24", mode="r24")
    found = check(trained, trained.manifest, other, out=trained.root / "two modes")
    assert subjects(found) == {"s000", "s003"}
    assert {mode: entry["n"] for mode, entry in found.summary["by_mode"].items()} == {"r16": 14, "r24": 14}
    assert found.summary["overlap"] == 0


def test_all_pairs_of_another_database_are_tested(trained: Trained, make_build: MakeBuild) -> None:
    other = make_build(name="new-r16", database="new", seed=5, size_px=32)
    found = check(trained, other, out=trained.root / "new")
    assert found.summary["n"] == 42
    assert found.notes == ("new: all pairs, 42 of 42 pairs", "images of 32 px were resized to 24 px (new-r16)")
    assert check(trained, other, fold=1, out=trained.root / "new 1").summary["n"] == 14


@pytest.mark.parametrize(("splits", "part"), [(("train", "test"), "test"), (("train", "val"), "val")])
def test_the_official_part_of_another_database(
    trained: Trained, make_build: MakeBuild, splits: tuple[str, str], part: str
) -> None:
    other = make_build(name="new-r16", database="new", seed=5, folds=0, splits=splits)
    found = check(trained, other, out=trained.root / "official")
    assert found.summary["n"] == 21
    assert found.notes == (f"new: its official {part} part, 21 of 42 pairs",)
    assert check(trained, other, part="all", out=trained.root / "official").summary["n"] == 42


def test_real_occlusions_need_no_clean_images(trained: Trained, make_build: MakeBuild) -> None:
    real = make_build(name="new-real", database="new", mode="real", seed=5, edit=edited(without_clean))
    found = check(trained, real, out=trained.root / "real")
    assert found.summary["n"] == 42
    with pytest.raises(DataError, match=r"method clean is tested on clean images, which 42 pairs do not have"):
        check(trained, real, checkpoint=trained.clean.folder, out=trained.root / "real")


def test_only_the_method_clean_sees_clean_images(trained: Trained) -> None:
    """The occluded branch gives the same answers when the clean images are replaced."""

    def repainted(row: Row) -> Row:
        return replace(row, clean=row.occluded, clean_pixels_sha256=row.occluded_pixels_sha256)

    swapped = write_build(trained.root / "swapped", Build(edit=edited(repainted)))
    before, after = (check(trained, path, out=trained.root / "blind") for path in (trained.manifest, swapped))
    assert before.predictions.probabilities.tolist() == after.predictions.probabilities.tolist()
    options = {"checkpoint": trained.clean.folder, "out": trained.root / "seeing"}
    seeing = [check(trained, path, **options) for path in (trained.manifest, swapped)]
    assert seeing[0].summary["view"] == "clean"
    assert seeing[0].predictions.probabilities.tolist() != seeing[1].predictions.probabilities.tolist()


def test_people_and_pictures_of_the_training_are_refused(trained: Trained) -> None:
    words = (
        r"28 of 42 pairs show people or pictures that the model was trained on \(s001 of toy first\).*--allow-overlap"
    )
    with pytest.raises(DataError, match=words):
        check(trained, trained.manifest, part="all")
    with pytest.raises(DataError, match="14 of 14 pairs"):
        check(trained, trained.manifest, fold=1)
    found = check(trained, trained.manifest, part="all", allow_overlap=True)
    assert (found.summary["n"], found.summary["overlap"]) == (42, 28)
    assert found.notes[1].startswith("28 of 42 pairs show people or pictures")
    assert found.folder.name == "toy-r16-all"


def test_pictures_under_another_name_are_recognised(trained: Trained) -> None:
    """A copy of the database without subjects, under another key."""

    def renamed(row: Row) -> Row:
        return replace(row, database="copy", subject="", pair_id=f"x{row.pair_id}")

    copy = write_build(trained.root / "copy", Build(name="copy-r16", edit=edited(renamed)))
    with pytest.raises(DataError, match=r"28 of 42 pairs show .* \('xs001_anger' first\)"):
        check(trained, copy)


def test_a_model_far_from_its_manifest_says_that_nothing_was_checked(trained: Trained, tmp_path: Path) -> None:
    """The manifest is looked for where it was, then beside those that are tested; its content must be the same."""
    home = tmp_path / "trained"
    manifest = write_build(home, Build())
    run = train(quick(manifest, out=tmp_path / "run"))
    shutil.move(home, tmp_path / "moved")
    moved = tmp_path / "moved" / "manifests" / "toy-r16.csv"
    with pytest.raises(DataError, match="28 of 42 pairs"):
        check(trained, moved, checkpoint=run.folder, part="all")
    new = write_build(tmp_path / "new", Build(name="new-r16", database="new", seed=5))
    found = check(trained, new, checkpoint=run.folder)
    assert found.notes[1].startswith("not checked whether the model was trained on any of these faces: ")
    assert "toy-r16.csv not found" in found.notes[1]
    other = write_build(tmp_path / "other", Build(seed=9))
    found = check(trained, other, checkpoint=run.folder, part="all")
    assert "toy-r16 has changed since the training" in found.notes[1]


def test_an_expression_that_the_model_does_not_know(trained: Trained, make_build: MakeBuild, tmp_path: Path) -> None:
    few = make_build(name="few-r16", database="few", words=("anger", "fear"))
    run = train(quick(few, out=tmp_path / "few"))
    with pytest.raises(DataError, match=r"holds disgust \(2 pairs\), happiness .* trained on anger, fear only"):
        check(trained, trained.manifest, checkpoint=run.folder, fold=0)


def test_the_validation_part_of_a_database_with_a_test_part(trained: Trained, make_build: MakeBuild) -> None:
    other = make_build(name="new-r16", database="new", seed=5, folds=0, splits=("train", "val", "test"))
    found = check(trained, other, part="val")
    assert found.notes == ("new: its official val part, 14 of 42 pairs",)
    assert {pair.pair_id[:4] for pair in found.predictions.pairs} == {"s001", "s004"}
    assert found.folder.name == "new-r16-val"
    with pytest.raises(DataError, match="no pairs to test on"):
        check(trained, trained.manifest, part="val")


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"checkpoint": Path("nowhere.safetensors")}, CheckpointError, "nowhere.safetensors not found"),
        ({"checkpoint": Path(__file__).parent}, DataError, "holds no trained model"),
        ({"fold": 7}, DataError, "fold 7: toy has the folds 0, 1, 2"),
        ({"manifests": ()}, DataError, "no manifest given"),
    ],
)
def test_what_is_refused(trained: Trained, options: dict[str, Any], kind: type[Exception], words: str) -> None:
    manifests = options.pop("manifests", (trained.manifest,))
    with pytest.raises(kind, match=words):
        check(trained, *manifests, **options)


def test_a_training_run_is_not_overwritten(trained: Trained) -> None:
    with pytest.raises(ReportError, match="holds a training run, whose results would be lost"):
        check(trained, trained.manifest, out=trained.full.folder)


def test_all_folds_test_every_pair_once(trained: Trained, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    config = quick(trained.manifest, method="resnet", fold=None, out=tmp_path / "folds")
    found = train_folds(config, on_step=events.append)
    assert [event["fold"] for event in events if event["event"] == "fold"] == [0, 1, 2]
    assert found.metrics["n"] == 42 == len({pair.key for pair in found.predictions.pairs})
    for fold, run in found.runs.items():
        assert {pair.fold for pair in read_predictions(run.predictions).pairs} == {fold}
    correct = sum(run.metrics["correct"] for run in found.runs.values())
    assert found.metrics["accuracy"] == correct / 42
    assert found.metrics["folds"]["accuracy"]["n"] == 3
    stamp = found.runs[2].checkpoint.stat().st_mtime_ns
    with pytest.raises(ConfigError, match="holds runs already: continue with --resume"):
        train_folds(config)
    (config.out / "fold-1" / "metrics.json").unlink()
    again = train_folds(replace(config, resume=True))
    assert again.metrics == found.metrics
    assert again.runs[2].checkpoint.stat().st_mtime_ns == stamp
    tested = check(trained, trained.manifest, checkpoint=config.out)
    assert tested.summary["folds_trained"] == [0, 1, 2]
    assert tested.summary["folds"] == found.metrics["folds"]
    assert (tested.folder / "predictions.csv").read_bytes() == (config.out / "predictions.csv").read_bytes()


def test_all_folds_of_manifests_without_folds_are_an_error(trained: Trained, make_build: MakeBuild) -> None:
    official = make_build(name="official-r16", database="official", folds=0, splits=("train", "test"))
    with pytest.raises(DataError, match="--fold all: official-r16 has no folds"):
        train_folds(quick(official, fold=None))
    three, two = make_build(name="a-r16", database="a"), make_build(name="b-r16", database="b", folds=2)
    with pytest.raises(DataError, match=r"the databases have different folds \(b has 0, 1\)"):
        train_folds(quick(three, two, fold=None))
    with pytest.raises(ConfigError, match="leave out --test-manifest"):
        train_folds(quick(three, fold=None, test_manifests=(two,)))
    with pytest.raises(ConfigError, match="leave fold 0 out"):
        train_folds(quick(three))
