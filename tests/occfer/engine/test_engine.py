"""Training whole runs of a tiny network: what is updated when, on what, and what a run leaves behind."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from occfer.config import TrainConfig
from occfer.data.augmentation import Augmentation
from occfer.engine import scoring
from occfer.engine.engine import Engine, make_fabric
from occfer.engine.launch import launch
from occfer.engine.run_data import RunData, prepare
from occfer.engine.stages import GuidedStage, TeacherLogits
from occfer.errors import CheckpointError, ConfigError, DataError, TrainingError, UnknownNameError
from occfer.events import Event
from occfer.methods import METHODS, Guidance, Teacher
from occfer.models.classifier import build_classifier
from occfer.runs.checkpoint import load
from occfer.runs.environment import device_in_words, torch_device
from occfer.runs.metrics_log import COLUMNS
from occfer.runs.run_folder import open_run
from occfer.training.train import train
from tests.occfer.toy_builds import WORDS, edited, without_clean

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]


def events_of(config: TrainConfig, **options: Any) -> list[Event]:
    seen: list[Event] = []
    train(config, on_step=seen.append, **options)
    return seen


def notes_of(events: list[Event]) -> str:
    return "\n".join(event["text"] for event in events if event["event"] == "note")


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load(path)[0]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def with_stage(config: TrainConfig, use: Callable[[GuidedStage, RunData, Engine], None], networks: int = 1) -> None:
    """Builds stage 2 of a run whose branches have random weights, and uses it.

    Args:
        networks: of the teacher.
    """

    def work(engine: Engine, _: Any) -> None:
        data = prepare(config, engine, None)
        student, *teachers = (build_classifier("tiny", len(data.split.classes)) for _ in range(1 + networks))
        method = METHODS[config.method]
        stage = GuidedStage(
            method, student, teachers if method.needs_teacher else [], data=data, config=config, engine=engine
        )
        use(stage, data, engine)

    launch(config, work, lambda _: None)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_leaves_a_whole_run_folder(
    make_build: MakeBuild, make_config: MakeConfig, method: str
) -> None:
    config = make_config(make_build(), method=method)
    description = METHODS[method]
    run = train(config)
    assert run == open_run(config.out)
    assert TrainConfig.from_json(json.loads((run.folder / "config.json").read_text())) == config
    log = log_of(run.folder)
    assert tuple(log[0]) == COLUMNS
    terms = {name for name in COLUMNS[3 : COLUMNS.index("d") + 1] if any(line[name] for line in log)}
    assert terms == {"total", "sup", *description.losses, *(["d"] if description.needs_discriminator else [])}
    expected = [f"{role}-branch" for role in description.branches] + (["guidance"] if description.stage2 else [])
    assert list(dict.fromkeys(line["stage"] for line in log)) == expected
    kept = {path.name for path in (run.folder / "checkpoints").iterdir()}
    assert kept == {"best.safetensors", *(f"{role}-branch.safetensors" for role in description.branches)}
    model = run.load()
    assert model.info.method == method and model.info.branch == description.branch
    assert model.info.classes == WORDS
    assert (model.decoder is not None) == description.needs_decoder
    with run.predictions.open(newline="") as file:
        predictions = list(csv.DictReader(file))
    assert len(predictions) == run.metrics["n"] == 14
    for line in predictions:
        assert line["truth"] == line["pair_id"].partition("_")[2]
        assert sum(float(line[f"p_{word}"]) for word in WORDS) == pytest.approx(1, abs=1e-6)


def test_predictions_are_the_selected_models_on_the_test_samples(
    make_build: MakeBuild, make_config: MakeConfig
) -> None:
    config = make_config(make_build(), method="clean-on-occluded")
    run = train(config)
    model = run.load()

    def work(engine: Engine, _: Any) -> None:
        data = prepare(config, engine, None)
        images = data.store.occluded(data.test).permute(0, 3, 1, 2).float() / 255
        expected = model.classifier(images).double().softmax(dim=1).numpy()
        with run.predictions.open(newline="") as file:
            written = np.array([[float(line[f"p_{word}"]) for word in WORDS] for line in csv.DictReader(file)])
        assert np.allclose(written, expected, atol=1e-6)

    launch(config, work, lambda _: None)


def test_two_runs_on_one_cpu_give_the_same_bits(make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(make_build(), crop_px=2, colour=0.1)
    before = torch.random.get_rng_state()
    first = train(replace(config, out=tmp_path / "first"))
    assert torch.equal(before, torch.random.get_rng_state())
    with torch.random.fork_rng():
        torch.manual_seed(99)
        second = train(replace(config, out=tmp_path / "second"))
    assert same(weights_of(first.checkpoint), weights_of(second.checkpoint))
    assert (first.folder / "metrics.csv").read_bytes() == (second.folder / "metrics.csv").read_bytes()
    assert first.predictions.read_bytes() == second.predictions.read_bytes()


def test_another_seed_gives_another_model(make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(make_build(), method="resnet", val_fraction=0.0)
    runs = [train(replace(config, out=tmp_path / str(seed), seed=seed)) for seed in (0, 1)]
    assert not same(*(weights_of(run.checkpoint) for run in runs))


def test_a_round_is_k1_discriminator_and_k2_student_updates_on_fresh_batches(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    players: list[str] = []
    for name in ("discriminator_step", "student_step"):
        original = getattr(Guidance, name)

        def spy(self: Guidance, *args: Any, _name: str = name, _original: Any = original, **options: Any) -> Any:
            players.append(_name.partition("_")[0])
            return _original(self, *args, **options)

        monkeypatch.setattr(Guidance, name, spy)
    config = make_config(make_build(), method="full", discriminator_updates=2, student_updates=3)

    def use(stage: GuidedStage, data: RunData, _: Engine) -> None:
        assert stage.rounds == -(-len(data.train) // config.batch_size)
        rounds = [stage.round(number) for number in range(2 * stage.rounds)]
        assert players == (["discriminator"] * 2 + ["student"] * 3) * len(rounds)
        for player, turns in (("discriminator", slice(0, 2)), ("student", slice(2, 5))):
            batches = [update.indices for updates in rounds for update in updates[turns]]
            per_pass = stage.rounds
            for start in range(0, len(batches) - per_pass + 1, per_pass):
                together = np.concatenate(batches[start : start + per_pass])
                assert sorted(together) == sorted(data.train), f"{player}: a pass is without replacement"
        first = [rounds[0][index].indices.tolist() for index in (0, 2)]
        assert first[0] != first[1], "each player has a pass of its own"

    with_stage(config, use)


def test_the_control_gets_as_many_supervised_updates_as_the_guided_methods(
    make_build: MakeBuild, make_config: MakeConfig
) -> None:
    counts = {}
    for method in ("resnet-long", "full"):

        def use(stage: GuidedStage, data: RunData, _: Engine, method: str = method) -> None:
            updates = [update for number in range(stage.rounds) for update in stage.round(number)]
            counts[method] = sum("sup" in update.terms for update in updates)

        with_stage(make_config(make_build(), method=method, student_updates=2), use)
    assert counts["resnet-long"] == counts["full"] == 2 * 3


def test_the_clean_branch_is_the_same_before_and_after(make_build: MakeBuild, make_config: MakeConfig) -> None:
    def use(stage: GuidedStage, data: RunData, _: Engine) -> None:
        teacher = stage.teacher
        assert teacher is not None
        before = {name: tensor.clone() for name, tensor in teacher.classifier.state_dict().items()}
        student = {name: tensor.clone() for name, tensor in stage.network.state_dict().items()}
        for number in range(stage.rounds):
            stage.round(number)
        assert same(before, teacher.classifier.state_dict())
        changed = stage.network.state_dict()
        assert not any(torch.equal(student[name], changed[name]) for name in changed if name.endswith("weight"))

    with_stage(make_config(make_build(), method="full", crop_px=1), use)


@pytest.mark.parametrize("method", ["sim+lir", "full", "adv"])
@pytest.mark.parametrize("flip", [True, False])
def test_the_teachers_logits_are_computed_once(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, method: str, flip: bool
) -> None:
    def use(stage: GuidedStage, data: RunData, engine: Engine) -> None:
        called: list[str] = []
        for name in ("logits", "features"):
            original = getattr(Teacher, name)

            def spy(
                self: Teacher, images: Tensor, _name: str = name, _original: Any = original, **options: Any
            ) -> Tensor:
                called.append(_name)
                answered: Tensor = _original(self, images, **options)
                return answered

            monkeypatch.setattr(Teacher, name, spy)
        for number in range(stage.rounds):
            stage.round(number)
        assert set(called) == ({"features"} if METHODS[method].needs_teacher_features else set())

    with_stage(make_config(make_build(), method=method, flip=flip), use)


@pytest.mark.parametrize("networks", [1, 2])
def test_cached_logits_are_the_teachers_own(make_build: MakeBuild, make_config: MakeConfig, networks: int) -> None:
    def use(stage: GuidedStage, data: RunData, engine: Engine) -> None:
        assert stage.teacher is not None
        cached = TeacherLogits.compute(stage.teacher, data, engine)
        batches = data.batches(config, engine, "student", with_clean=True, stage2=True)
        for number in range(3):
            batch = batches.batch(number)
            assert batch.clean is not None
            assert torch.allclose(cached.of(batch), stage.teacher.logits(batch.clean), atol=1e-5)
            assert 0 < batch.flipped.sum() < len(batch.indices)

    config = make_config(make_build(), method="sim", pairing="category")
    with_stage(config, use, networks)


def test_moving_or_recolouring_pictures_asks_the_teacher_each_time(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    original = Teacher.logits

    def spy(self: Teacher, images: Tensor) -> Tensor:
        asked.append(len(images))
        return original(self, images)

    monkeypatch.setattr(Teacher, "logits", spy)
    assert not Augmentation(crop_px=1).only_flips
    config = make_config(make_build(), method="sim", crop_px=1)

    def use(stage: GuidedStage, *_: Any) -> None:
        stage.round(0)

    with_stage(config, use)
    assert asked


def test_thirty_two_pairs_can_be_memorised(make_build: MakeBuild, make_config: MakeConfig) -> None:
    def few(rows: list[Any]) -> list[Any]:
        trained = [row for row in rows if row.fold != 0][:32]
        return sorted([*trained, *(row for row in rows if row.fold == 0)], key=lambda row: row.pair_id)

    config = make_config(
        make_build(subjects=9, edit=few), method="full", val_fraction=0.0, pretrain_epochs=25, epochs=5,
        pretrain_rate=1e-2, rate=1e-3, flip=False, batch_size=16,
    )  # fmt: skip
    run = train(config)
    model = run.load()

    def work(engine: Engine, _: Any) -> None:
        data = prepare(config, engine, None)
        assert len(data.train) == 32
        images = data.store.occluded(data.train).permute(0, 3, 1, 2).float() / 255
        assert model.classifier(images).argmax(dim=1).tolist() == data.labels[data.train].tolist()

    launch(config, work, lambda _: None)


@pytest.mark.parametrize(
    "select, merit",
    [
        ("accuracy", lambda line: (float(line["val_accuracy"]), -float(line["val_loss"]))),
        ("uar", lambda line: (float(line["val_uar"]), -float(line["val_loss"]))),
        ("loss", lambda line: -float(line["val_loss"])),
    ],
)
def test_the_epoch_that_did_best_on_validation_is_kept(
    make_build: MakeBuild, make_config: MakeConfig, select: str, merit: Callable[[dict[str, str]], Any]
) -> None:
    config = make_config(make_build(), method="resnet-long", epochs=4, rate=3e-3, pretrain_epochs=3, select=select)
    run = train(config)
    scored = [line for line in log_of(run.folder) if line["stage"] == "guidance" and line["val_accuracy"]]
    assert [line["epoch"] for line in scored] == ["0", "1", "2", "3", "4"]
    best = max(scored, key=merit)
    assert run.load().info.epoch == int(best["epoch"])
    assert {name: run.metrics[name] for name in ("val_accuracy", "val_loss", "val_uar")} == {
        name: float(best[name]) for name in ("val_accuracy", "val_loss", "val_uar")
    }


def test_without_validation_samples_the_last_epoch_is_kept(make_build: MakeBuild, make_config: MakeConfig) -> None:
    config = make_config(make_build(), method="resnet", pretrain_epochs=2, val_fraction=0.0)
    events = events_of(config)
    assert "the last epoch of each stage is kept" in notes_of(events)
    info = open_run(config.out).load().info
    assert (info.epoch, info.val_accuracy) == (2, None)


def test_no_epochs_keep_the_initial_weights(make_build: MakeBuild, make_config: MakeConfig) -> None:
    run = train(make_config(make_build(), method="resnet", pretrain_epochs=0))
    assert run.load().info.epoch == 0


def test_the_test_samples_are_predicted_once_a_view_at_the_end(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, set[int]]] = []
    original = scoring.predict_samples
    for module in ("engine.stages", "engine.two_stages"):

        def spy(
            engine: Any, network: Any, store: Any, view: Any, indices: Any, _module: str = module, **more: Any
        ) -> Any:
            asked.append((_module, str(view), set(indices.tolist())))
            return original(engine, network, store, view, indices, **more)

        monkeypatch.setattr(f"occfer.{module}.predict_samples", spy)
    config = make_config(make_build(), method="full", epochs=2)
    train(config)
    tested = [(view, indices) for module, view, indices in asked if module == "engine.two_stages"]
    assert sorted(view for view, _ in tested) == ["clean", "occluded"] and tested[0][1] == tested[1][1]
    assert [module for module, _, _ in asked[-2:]] == ["engine.two_stages"] * 2
    assert not any(indices & tested[0][1] for module, _, indices in asked if module != "engine.two_stages")


@pytest.mark.parametrize("term", ["sup", "d"])
def test_a_loss_that_is_not_finite_stops_and_names_the_batch(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    player = "student_step" if term == "sup" else "discriminator_step"
    original = getattr(Guidance, player)
    calls: list[int] = []

    def spoil(self: Guidance, *args: Any, **options: Any) -> dict[str, torch.Tensor]:
        calls.append(1)
        terms: dict[str, torch.Tensor] = original(self, *args, **options)
        return terms | {term: torch.tensor(float("nan"))} if len(calls) == 5 else terms

    monkeypatch.setattr(Guidance, player, spoil)
    config = make_config(make_build(), method="adv", epochs=3)
    with pytest.raises(
        TrainingError, match=rf"guidance: the loss term {term} became nan; the batch was: s0\d\d_.*last\.safetensors"
    ) as error:
        train(config)
    assert str(error.value).count("s0") in {6, 7, 8}
    tensors, header = load(config.out / "checkpoints" / "last.safetensors")
    assert (header["stage"], header["round"]) == ("guidance", 3)
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    monkeypatch.undo()
    assert train(replace(config, resume=True)).metrics["n"] == 14


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"pretrain_rate": 1e30}, "the validation loss became nan"),
        (
            {"pretrain_rate": 1e38, "weight_decay": 1e38, "optimizer": "sgd", "val_fraction": 0.0},
            r"branch\.\S+ is not finite",
        ),
    ],
)
def test_a_network_that_the_last_update_broke_is_not_saved(
    make_build: MakeBuild, make_config: MakeConfig, settings: dict[str, Any], what: str
) -> None:
    """One update, whose own loss is finite."""
    config = make_config(make_build(), method="resnet", batch_size=64, **settings)
    with pytest.raises(TrainingError, match=rf"occluded-branch: {what}; the batch was: s0.*checkpoint: none yet"):
        train(config)
    assert not (config.out / "checkpoints" / "last.safetensors").exists()


def test_pairings_are_refused_with_the_reason_or_work(make_build: MakeBuild, make_config: MakeConfig) -> None:
    manifest = make_build()
    with pytest.raises(ConfigError, match="--method full cannot be trained with --pairing category: its loss lir"):
        train(make_config(manifest, method="full", pairing="category"))
    for method, pairing in (("sim", "category"), ("adv", "unpaired")):
        config = make_config(manifest, method=method, pairing=pairing)
        assert train(replace(config, out=config.out / method)).metrics["method"] == method


def test_unknown_names_are_errors_that_list_the_known_ones(make_build: MakeBuild, make_config: MakeConfig) -> None:
    manifest = make_build()
    for field, kind in (("method", "method"), ("backbone", "backbone"), ("optimizer", "optimizer")):
        with pytest.raises(UnknownNameError, match=f"unknown {kind} 'magic'; choose one of"):
            train(make_config(manifest, **{field: "magic"}))


def test_methods_share_pre_trained_branches(make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(make_build(), method="sim", branch_cache=tmp_path / "branches")
    first = train(replace(config, out=tmp_path / "sim"))
    assert len(list((tmp_path / "branches").glob("[!.]*"))) == 2
    second = replace(config, method="full", out=tmp_path / "full")
    assert notes_of(events_of(second)).count("branch from") == 2
    for role in ("occluded", "clean"):
        files = [folder / "checkpoints" / f"{role}-branch.safetensors" for folder in (first.folder, second.out)]
        assert same(*(weights_of(path) for path in files))
    # Another mode of the same faces can share only the clean branch.
    other = make_config(
        make_build(name="toy-r8", mode="r8"), method="sim", branch_cache=tmp_path / "branches", out=tmp_path / "r8"
    )
    notes = notes_of(events_of(other))
    assert "clean branch from" in notes and "occluded branch from" not in notes
    changed = replace(config, pretrain_rate=1e-3, out=tmp_path / "changed")
    assert "branch from" not in notes_of(events_of(changed))


def test_the_occluded_branch_of_stage_1_can_teach_beside_the_clean_one(
    make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path
) -> None:
    """Only its state after stage 1, also after a restart in the middle of stage 2."""
    shared = {"branch_cache": tmp_path / "branches", "epochs": 2, "method": "kd", "crop_px": 2, "rate": 1e-2}
    manifest = make_build()
    alone = train(make_config(manifest, out=tmp_path / "alone", **shared))
    config = make_config(manifest, out=tmp_path / "both", teacher="both", **shared)
    both = train(config)
    distilled = [[line["kd"] for line in log_of(run.folder) if line["kd"]] for run in (alone, both)]
    assert len(distilled[0]) == len(distilled[1]) > 1
    assert all(one != other for one, other in zip(*distilled, strict=True))

    class StoppedError(Exception):
        pass

    def stop(event: Event) -> None:
        if event["event"] == "step" and event["stage"] == "guidance" and event["epoch"] == 2:
            raise StoppedError

    again = replace(config, out=tmp_path / "again", checkpoint_every=1)
    with pytest.raises(StoppedError):
        train(again, on_step=stop)
    assert same(weights_of(train(replace(again, resume=True)).checkpoint), weights_of(both.checkpoint))


def test_branches_can_be_given_as_files(make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path) -> None:
    manifest = make_build()
    first = train(make_config(manifest, method="sim", out=tmp_path / "first"))
    branches = {
        f"{role}_branch": first.folder / "checkpoints" / f"{role}-branch.safetensors" for role in ("clean", "occluded")
    }
    second = train(make_config(manifest, method="sim", out=tmp_path / "second", **branches))
    assert [(line["stage"], line["epoch"]) for line in log_of(second.folder)] == [("guidance", "0"), ("guidance", "1")]
    assert same(weights_of(first.checkpoint), weights_of(second.checkpoint))
    swapped = {"clean_branch": branches["occluded_branch"]}
    with pytest.raises(CheckpointError, match=r"--clean-branch .* is the branch occluded; this run needs clean"):
        train(make_config(manifest, method="sim", out=tmp_path / "third", **swapped))
    fewer = make_build(name="few", words=WORDS[:4])
    with pytest.raises(CheckpointError, match=r"knows the classes anger, disgust.*this run needs anger, disgust, fear"):
        train(make_config(fewer, method="sim", out=tmp_path / "fourth", **branches))


def test_live_occlusions_are_used_for_training_only(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[str, int]] = set()

    def blacken(clean: np.ndarray, face: str, _mode: str, epoch: int) -> np.ndarray:
        seen.add((face, epoch))
        return np.zeros_like(clean)

    config = make_config(make_build(), method="sim", live_occlusion="r16", epochs=2, workers=0)
    monkeypatch.setattr("occfer.training.train.live_occluder", lambda *_: blacken)
    train(config)
    assert {epoch for _, epoch in seen} == {0, 1, 2}
    trained = {f"s00{subject}" for subject in (1, 2, 4, 5)}
    assert {face.removeprefix("toy/").partition("_")[0] for face, _ in seen} < trained


def test_a_run_says_that_live_occlusions_lack_landmarks(make_build: MakeBuild, make_config: MakeConfig) -> None:
    said: list[str] = []
    config = make_config(make_build(), method="resnet", live_occlusion="r16", workers=0)
    train(config, on_step=lambda event: said.append(str(event.get("text", ""))))
    assert sum(".landmarks.npz is missing or damaged: live occlusions are placed" in text for text in said) == 1


def test_a_live_occlusion_of_an_unknown_mode_is_refused(make_build: MakeBuild, make_config: MakeConfig) -> None:
    config = make_config(make_build(), live_occlusion="lips")
    with pytest.raises(ConfigError, match=r"--live-occlusion lips: unknown mode 'lips'; choose one of"):
        train(config)
    assert not config.out.exists()


def test_a_run_folder_is_not_overwritten(make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path) -> None:
    manifest = make_build()
    config = make_config(manifest, method="resnet")
    run = train(config)
    stamp = run.checkpoint.stat().st_mtime_ns
    with pytest.raises(ConfigError, match="holds a run already: continue with --resume"):
        train(config)
    assert train(replace(config, resume=True)).metrics == run.metrics
    assert run.checkpoint.stat().st_mtime_ns == stamp
    with pytest.raises(ConfigError, match=r"other settings: --rate 2e-05 -> 0\.5; --seed 0 -> 1"):
        train(replace(config, resume=True, rate=0.5, seed=1))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    with pytest.raises(ConfigError, match=r"did not make, such as letter\.txt\. Choose another folder with --out$"):
        train(replace(config, out=tmp_path / "mine"))
    make_build(subjects=4)
    with pytest.raises(ConfigError, match="the manifests have changed since the run"):
        train(replace(config, resume=True))


def test_samples_that_are_left_out_are_reported_and_listed(make_build: MakeBuild, make_config: MakeConfig) -> None:
    twin = make_build(
        name="far", database="faraway", folds=0, subjects=2, size_px=24,
        edit=edited(lambda row: replace(row, source_pixels_sha256="twin") if row.pair_id == "s001_fear" else row),
    )  # fmt: skip
    manifest = make_build(
        edit=edited(lambda row: replace(row, source_pixels_sha256="twin") if row.pair_id == "s004_anger" else row)
    )
    config = make_config(manifest, test_manifests=(twin,), fold=None, size_px=16, method="resnet")
    notes = notes_of(events_of(config))
    assert "1 training samples show a test image and were left out (s004_anger" in notes
    assert "112 images of another size were resized to 16 px" in notes
    data = json.loads((config.out / "data.json").read_text())
    assert data["duplicates"] == ["toy/r16/s004_anger"]
    assert [each["test_only"] for each in data["manifests"]] == [False, True]


def test_a_reference_on_clean_images_needs_them(make_build: MakeBuild, make_config: MakeConfig) -> None:
    wild = make_build(name="wild", database="wild", mode="real", folds=0, subjects=1, edit=edited(without_clean))
    with pytest.raises(DataError, match="--method clean is tested on clean images, which 7 test samples do not have"):
        train(make_config(make_build(), wild, method="clean"))


@pytest.mark.parametrize("settings", [{"precision": "bf16"}, {"channels_last": True}, {"optimizer": "sgd"}])
def test_other_precisions_and_layouts_train(
    make_build: MakeBuild, make_config: MakeConfig, settings: dict[str, Any]
) -> None:
    run = train(make_config(make_build(), method="full", ema=0.9, clip=1.0, **settings))
    assert all(tensor.isfinite().all() for tensor in weights_of(run.checkpoint).values())


def test_compiled_networks_train_the_same_model(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Captured as usual, but run by torch's own kernels, because generating code takes minutes."""
    plain = train(make_config(make_build(), method="adv", epochs=2, ema=0.5, clip=1.0, out=tmp_path / "plain"))
    traced: list[str] = []
    compile_with = torch.compile

    def compile_eagerly(module: torch.nn.Module, **_: Any) -> Any:
        traced.append(type(module).__name__)
        return compile_with(module, backend="eager")

    monkeypatch.setattr(torch, "compile", compile_eagerly)
    compiled = train(replace(plain.config, compile=True, out=tmp_path / "traced"))
    assert set(traced) == {"Classifier", "GuidedStudent", "Discriminator"}
    first, second = (weights_of(run.checkpoint) for run in (plain, compiled))
    assert first.keys() == second.keys()
    assert all(torch.allclose(first[name], second[name], atol=1e-5) for name in first)


def test_missing_devices_are_named(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    manifest = make_build()
    with pytest.raises(ConfigError, match=r"this machine has 0 CUDA device"):
        train(make_config(manifest, device="cuda", devices=4))
    with pytest.raises(ConfigError, match="--device mps: PyTorch finds no GPU of a Mac on this machine; choose"):
        train(make_config(manifest, device="mps"))
    with pytest.raises(ConfigError, match="--precision fp16 needs a CUDA device"):
        train(make_config(manifest, precision="fp16"))
    with pytest.raises(ConfigError, match=r"--num-nodes 2: start one process group on every node with torchrun"):
        train(make_config(manifest, num_nodes=2))
    with pytest.raises(ConfigError, match=r"--devices 2 starts processes, and what they run cannot be pickled"):
        monkeypatch.setattr("occfer.training.train.live_occluder", lambda *_: lambda clean, *_: clean)
        train(make_config(manifest, devices=2, live_occlusion="r16"))


def test_a_mac_trains_on_its_one_gpu_in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    config = TrainConfig(manifests=(Path("any.csv"),), device="mps")
    with pytest.raises(ConfigError, match="--device mps --devices 2: a Mac has one GPU"):
        make_fabric(replace(config, devices=2))
    for precision in ("bf16", "fp16"):
        with pytest.raises(
            ConfigError, match=f"--precision {precision} needs a CUDA device or a CPU; on mps choose 32"
        ):
            make_fabric(replace(config, precision=precision))
    assert torch_device("mps").type == "mps" and torch_device("auto").type != "mps"
    assert device_in_words("mps").startswith("GPU of a Mac (")


def test_steps_are_reported(make_build: MakeBuild, make_config: MakeConfig) -> None:
    config = make_config(make_build(), method="full", log_every=2)
    steps = [event for event in events_of(config) if event["event"] == "step"]
    last = steps[-1]
    assert (last["stage"], last["epoch"], last["epochs"], last["round"], last["rounds"]) == ("guidance", 1, 1, 3, 3)
    assert last["images_per_s"] > 0 and {"sim", "lir", "adv", "rec", "d", "sup", "total", "val_loss"} <= set(last)
    assert [event["round"] for event in steps if event["stage"] == "guidance"] == [0, 2, 3]
