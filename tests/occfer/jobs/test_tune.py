"""`occfer tune`: what it searches, that it continues, and that it never looks at the test samples."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.errors import ConfigError
from occfer.jobs.search_space import TuneOptions, Value, choices, parsed
from occfer.jobs.trial_jobs import RUNS
from occfer.runs.run_folder import open_run
from occsynth.manifest import Row
from tests.occfer.toy_builds import Build, edited, write_build

SMALL = ("--backbone", "tiny", "--weights", "none", "--batch-size", "8", "--device", "cpu", "--workers", "1")
SHORT = ("--epochs", "1", "--pretrain-epochs", "1")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: None) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


def call(*words: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.stdout, result.stderr


def trials(out: str = "tune") -> list[dict[str, str]]:
    with Path(out, "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def options(method: str = "full", grid: dict[str, tuple[Value, ...]] | None = None, **settings: Any) -> TuneOptions:
    base = TrainConfig(manifests=(Path("a.csv"),), method=method, **settings)
    return TuneOptions(base=base, grid=grid or {})


def test_the_weights_of_the_methods_losses_are_searched() -> None:
    found = choices(options(lambda_sim=3.0))
    assert list(found) == ["lambda_sim", "lambda_lir", "lambda_adv", "lambda_rec"]
    assert found["lambda_sim"] == (0.01, 0.1, 0.5, 1.0, 3.0)
    assert found["lambda_lir"] == (0.01, 0.1, 0.5, 1.0)
    assert list(choices(options("sim", {"rate": (1e-5,), "epochs": (10.0, 20.0)}))) == ["lambda_sim", "rate", "epochs"]
    assert choices(options("sim", {"epochs": (10.0,)}))["epochs"] == (10, 30)


@pytest.mark.parametrize(
    "name, words, values",
    [
        ("schedule", ["linear", "cosine"], ("linear", "cosine")),
        ("flip", ["true", "false"], (True, False)),
        ("epochs", ["10", "2e1"], (10, 20)),
        ("rate", ["1e-5", "1"], (1e-5, 1.0)),
        ("size_px", ["none", "48"], (None, 48)),
        ("backbone", ["resnet18"], ("resnet18",)),
    ],
)
def test_words_become_values_of_their_settings_type(name: str, words: list[str], values: tuple[Value, ...]) -> None:
    found = parsed(name, words)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_values_have_one_order_however_they_are_given() -> None:
    grid: dict[str, tuple[Value, ...]] = {"flip": (False,), "schedule": ("step", "linear"), "size_px": (96, 48)}
    found = choices(options("resnet", grid))
    assert found == {"flip": (False, True), "schedule": ("constant", "linear", "step"), "size_px": (None, 48, 96)}


@pytest.mark.parametrize(
    ("method", "grid", "message"),
    [
        ("resnet", {}, "no loss weights to search"),
        ("sim", {"lambda_adv": (0.1,)}, "--grid lambda-adv: not a setting that the method sim depends on"),
        ("sim", {"flip": (1.0,)}, "--grid flip=1: must be true or false"),
        ("sim", {"epochs": (1.5,)}, "--grid epochs=1.5: must be a whole number"),
        ("sim", {"rate": (0.0,)}, "--grid rate=0: must be greater than 0"),
        ("sim", {"schedule": ("linear", "round")}, "--grid schedule=round: choose one of constant, linear, cosine"),
        ("sim", {"epochs": (True,)}, "--grid epochs=true: must be a whole number"),
        ("sim", {"epochs": (None,)}, "--grid epochs=none: --epochs must have a value"),
        ("sim", {"devices": (2.0,)}, "--grid devices: not a setting"),
        ("sim", {"method": ("full",)}, "--grid method: not a setting"),
        ("sim", {"fold": (1,)}, "--grid fold: not a setting"),
        ("sim", {"cache_dir": ("a",)}, "--grid cache-dir: not a setting"),
        ("sim", {"select": ("uar",)}, "--grid select: trials are ranked by it"),
        ("sim", {"seed": (1, 2)}, "--grid seed: the best of several seeds is only the luckiest; choose it with --seed"),
        ("sim", {"val_fraction": (0.0,)}, "--grid val-fraction: trials must be ranked on the same validation samples"),
        ("sim", {"classes": (8,)}, "--grid classes: trials must be ranked on the same validation samples"),
        ("lir", {"lambda_lir": (0.5, 2.0, 3.0)}, "--grid lambda-lir=2,3: --lambda-lir 2 is above 1"),
        ("lir", {"lambda_lir": (2.0,), "rate": (1e-3,)}, "so supervision is reversed; choose at most 1, or --force"),
        ("full", {"pairing": ("unpaired",)}, "--grid pairing=unpaired: --method full cannot be trained with --pairing"),
    ],
)
def test_what_cannot_be_searched_is_said(method: str, grid: dict[str, tuple[Value, ...]], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        choices(options(method, grid))
    assert message in str(raised.value)


def test_a_value_is_refused_only_if_it_conflicts_with_every_value_of_the_other_settings() -> None:
    assert choices(options("lir", {"lambda_lir": (2.0,), "force": (True,)}))["lambda_lir"] == (0.5, 2.0)
    shared: dict[str, tuple[Value, ...]] = {"discriminator_batch": ("shared",)}
    found = choices(options("adv", {**shared, "clean_share": (0.0,)}, clean_share=0.25))
    assert (found["discriminator_batch"], found["clean_share"]) == (("fresh", "shared"), (0.0, 0.25))
    with pytest.raises(
        ConfigError, match=r"^--grid discriminator-batch=shared: .* use --discriminator-batch fresh, or"
    ):
        choices(options("adv", {**shared, "clean_share": (0.1,)}, clean_share=0.25))


def test_settings_that_conflict_before_anything_is_searched_are_said_as_in_training() -> None:
    with pytest.raises(ConfigError, match=r"^--method full cannot be trained with --pairing unpaired"):
        choices(options("full", {"pairing": ("paired",)}, pairing="unpaired"))


def test_a_search_walks_samples_goes_on_and_feeds_other_commands(tmp_path: Path) -> None:
    manifest = write_build(tmp_path / "builds", Build(subjects=6))
    words: tuple[object, ...] = ("tune", "--manifest", manifest, "--method", "adv", *SMALL, *SHORT)
    words += ("--grid", "lambda-adv=0.1,9", "--grid", "rate=1e-2,1e-3")
    stdout, stderr = call(*words, "--trials", 7)
    found = trials()
    # the walk: three weights at the rate that stands, then the other two rates at the best weight
    assert [(each["lambda_adv"], each["rate"]) for each in found[:3]] == [
        ("0.02", "2e-05"), ("0.1", "2e-05"), ("9.0", "2e-05")
    ]  # fmt: skip
    assert [each["phase"] for each in found] == ["walk"] * 5 + ["sampler"] * 2
    best_weight = max(found[:3], key=lambda each: (float(each["validation_accuracy"]), -float(each["validation_loss"])))
    assert {each["lambda_adv"] for each in found[3:5]} == {best_weight["lambda_adv"]}
    places = [(each["lambda_adv"], each["rate"]) for each in found]
    assert len(set(places)) == len(places)
    best = max(found, key=lambda each: (float(each["validation_accuracy"]), -float(each["validation_loss"])))
    result = json.loads(Path("tune/config.json").read_text())
    assert (result["lambda_adv"], result["rate"]) == (float(best["lambda_adv"]), float(best["rate"]))
    assert (result["backbone"], result["epochs"]) == ("tiny", 1) and "device" not in result
    assert stdout.splitlines()[-1] == "config\ttune/config.json"

    assert not list(Path("tune").rglob("predictions.csv"))
    for run in Path("tune/runs").glob("train-*/"):
        assert set(open_run(run).metrics) == {"method", "epoch", "val_accuracy", "val_loss", "val_uar"}
    assert len(list(Path("tune/branches").glob("[!.]*"))) == 2

    _, stderr = call(*words, "--trials", 9)
    assert "continuing after 7 trials" in stderr
    assert trials()[:7] == found and len(trials()) == 9
    call(*words, "--trials", 30, "--out", "tune")
    assert len(trials()) == 9  # three weights by three rates, each once

    again = ("--manifest", manifest, "--fold", 0, "--method", "adv", "--config", "tune/config.json")
    call("train", *again, "--no-figures", "--out", "run", "--device", "cpu", "--epochs", 2)
    config = open_run(Path("run")).config
    result = json.loads(Path("tune/config.json").read_text())  # of all nine trials
    assert (config.lambda_adv, config.rate, config.epochs) == (result["lambda_adv"], result["rate"], 2)


def test_words_and_switches_are_searched_ranked_by_uar_and_kept_as_they_are(tmp_path: Path) -> None:
    manifest = write_build(tmp_path / "builds", Build(subjects=6))
    words: tuple[object, ...] = ("tune", "--manifest", manifest, "--method", "resnet", *SMALL, "--pretrain-epochs", 2)
    words += ("--pretrain-rate", 1e-2, "--select", "uar", "--grid", "flip=false,true", "--grid", "balance=weights")
    stdout, stderr = call(*words, "--trials", 3)
    found = trials()
    assert [(each["flip"], each["balance"]) for each in found[:2]] == [("false", "none"), ("true", "none")]
    assert "trial 0 (walk): --flip false, --balance none: validation uar 0." in stderr
    best = max(found, key=lambda each: (float(each["validation_uar"]), -float(each["validation_loss"])))
    result = json.loads(Path("tune/config.json").read_text())
    assert (result["flip"], result["balance"]) == (best["flip"] == "true", best["balance"])
    assert stdout.splitlines()[1].split("\t")[2:4] == [best["flip"], best["balance"]]
    _, stderr = call(*words, "--trials", 9)
    assert "continuing after 3 trials" in stderr
    assert trials()[:3] == found and len(trials()) == 4
    call("train", "--manifest", manifest, "--fold", 0, "--method", "resnet", "--config", "tune/config.json",
         "--no-figures", "--out", "run", "--device", "cpu")  # fmt: skip
    config = open_run(Path("run")).config
    assert (config.flip, config.balance, config.select) == (result["flip"], result["balance"], "uar")


def test_the_test_samples_do_not_matter(tmp_path: Path) -> None:
    """A search over samples whose test part has other labels: every trial is the same."""
    words = ("--method", "sim", *SMALL, *SHORT, "--grid", "lambda-sim=9", "--trials", 3, "--folds", 0)
    turn = {"anger": "fear", "fear": "anger"}

    def swap(row: Row) -> Row:
        return replace(row, expression=turn.get(row.expression, row.expression)) if row.fold == 0 else row

    for name, edit in (("plain", None), ("swapped", edited(swap))):
        manifest = write_build(tmp_path / name, Build(edit=edit))
        call("tune", "--manifest", manifest, *words, "--out", f"tune-{name}")
    assert trials("tune-plain") == trials("tune-swapped")


def test_folds_are_averaged_and_a_failed_trial_is_none(tmp_path: Path) -> None:
    manifest = write_build(tmp_path / "builds", Build())
    words = ("tune", "--manifest", manifest, "--method", "lir", *SMALL, *SHORT, "--trials", 2)
    call(*words, "--grid", "lambda-lir=0.1", "--folds", "0,2")
    runs = [open_run(run) for run in Path("tune/runs").glob("train-*/")]
    of_first = [
        run.metrics["val_accuracy"] for run in runs if run.config.method == "lir" and run.config.lambda_lir == 0.1
    ]
    assert float(trials()[0]["validation_accuracy"]) == pytest.approx(sum(of_first) / 2)
    _, stderr = call(*words, "--grid", "rate=1e30", "--grid", "lambda-lir=0.5", "--out", "other")
    assert "failed: lir, fold 0: " in stderr
    assert [float(each["rate"]) for each in trials("other")] == [2e-5]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--folds", "7"), "--folds 7: there are the folds 0, 1, 2, or all"),
        (("--grid", "lambda-sim"), "--grid lambda-sim: must name a flag of training and its values"),
        (("--grid", "nothing=1"), "--grid nothing=1: must name a flag of training"),
        (("--grid", "rate=1e-3,"), "--grid rate=1e-3,: must name a flag of training and its values"),
        (("--grid", "rate=much"), "--grid rate=much: must be a number"),
        (("--grid", "rate=nan"), "--grid rate=nan: must be finite and greater than 0"),
        (("--grid", "epochs=2.5"), "--grid epochs=2.5: must be a whole number"),
        (("--grid", "flip=yes"), "--grid flip=yes: must be true or false"),
        (("--grid", "schedule=fast"), "--grid schedule=fast: choose one of constant, linear, cosine, step"),
        (("--val-fraction", "0"), "--val-fraction 0 leaves no validation samples"),
        (("--grid", "backbone=vgg"), "--grid backbone=vgg: unknown backbone 'vgg'; choose one of: resnet50, "),
        (("--grid", "optimizer=adamw,lamb"), "--grid optimizer=lamb: unknown optimizer 'lamb'; choose one of: adam, "),
        (("--optimizer", "lamb"), "unknown optimizer 'lamb'; choose one of: adam, "),
        (("--grid", "weights=none,gone.pt"), "--weights gone.pt: no such file; give imagenet, none, hf://ORG/NAME, "),
        (("--weights", "gone.pt"), "--weights gone.pt: no such file"),
    ],
)
def test_wrong_requests_are_one_line(make_build: Callable[..., Path], words: tuple[str, ...], message: str) -> None:
    _, stderr = call("tune", "--manifest", make_build(), "--method", "sim", *SMALL, *SHORT, *words, code=1)
    assert message in stderr.splitlines()[-1]
    assert not Path("tune", RUNS).exists(), "it was said before anything was trained"
