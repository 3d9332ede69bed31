"""PG-CNN and gACNN as baselines: from manifest to predictions, resumed, tested again; narrow networks."""

import csv
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from typer.testing import CliRunner

from occfer.baselines.patches import patch_baseline
from occfer.baselines.patches.images import cut, resized
from occfer.baselines.patches.network import PatchNetwork, PatchSizes
from occfer.baselines.patches.stage import PatchStage
from occfer.baselines.patches.training_points import MEAN_FACE, TrainingPoints
from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.data.image_store import ImageStore
from occfer.data.manifests import read_points
from occfer.engine.engine import Engine, one_process
from occfer.engine.launch import launch
from occfer.engine.run_data import RunData, prepare
from occfer.errors import CheckpointError, ConfigError, DataError, TrainingError
from occfer.evaluation.evaluate import EvaluateOptions, evaluate
from occfer.events import Event, OnStep
from occfer.method_table import TRAINERS, load_predictor
from occfer.models.seeding import weight_seed
from occfer.runs.checkpoint import load, load_model, read_model_info, save
from occfer.runs.run_folder import open_run
from occfer.training.train import train
from occsynth.manifest import Row
from tests.occfer.toy_builds import WORDS, edited

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]

NARROW = PatchSizes(blocks=(2, 4, 4, 8, 8), gate=(4, 4), feature=4, global_feature=6, hidden=16)


@pytest.fixture(autouse=True)
def narrow_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two baselines with a fraction of their widths."""
    monkeypatch.setitem(TRAINERS, "pg-cnn", patch_baseline("PG-CNN", NARROW))
    monkeypatch.setitem(TRAINERS, "gacnn", patch_baseline("gACNN", NARROW, global_unit=True))


@pytest.fixture
def manifest(make_build: MakeBuild) -> Path:
    """24 pairs, 4 classes: with fold 0 tested, 12 train, 4 validate, 8 test."""
    return make_build(words=WORDS[:4], landmarks=True)


@pytest.fixture
def config(make_config: MakeConfig, manifest: Path) -> TrainConfig:
    """Two epochs of two updates of 12 images, in three parts of 4, by the manifest's landmarks."""
    return make_config(
        manifest, method="pg-cnn", baseline_epochs=2, baseline_batch_size=12, batch_size=4, landmarks_from="clean"
    )


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load(path)[0]


def same(one: Path, other: Path) -> bool:
    first, second = weights_of(one), weights_of(other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def staged(config: TrainConfig, use: Callable[[PatchStage, RunData], None], mode: str = "train") -> None:
    """Builds the stage of a run and uses it."""

    def work(engine: Engine, _: OnStep) -> None:
        data = prepare(config, engine, None)
        stage = stage_of(config, data, engine)
        stage.network.train(mode == "train")
        use(stage, data)

    launch(config, work, lambda _: None)


def stage_of(config: TrainConfig, data: RunData, engine: Engine) -> PatchStage:
    with weight_seed(config.seed, "narrow"):
        network = PatchNetwork(len(data.split.classes), NARROW)
    points_xy = read_points(data.corpus, data.size_px)
    points = TrainingPoints.of(points_xy, points_xy, data.train, data.size_px)
    return PatchStage(network, points, data=data, config=config, engine=engine)


@pytest.mark.parametrize("method", ["pg-cnn", "gacnn"])
def test_the_command_line_trains_and_tests_them(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> str:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
        return done.output

    data = ("--manifest", manifest)
    said = call(
        "train", *data, "--method", method, "--fold", 0, "--weights", "none", "--device", "cpu", "--no-figures",
        "--baseline-epochs", 1, "--baseline-batch-size", 8, "--batch-size", 8, "--val-fraction", 0,
    )  # fmt: skip
    assert f"{method}: random initial weights" in said
    assert f"{method} on toy-r16, fold 0: accuracy " in said
    run = open_run(Path(f"runs/toy-r16-{method}-fold0"))
    info = read_model_info(run.checkpoint)
    assert (info.method, info.backbone, info.epoch, info.classes) == (method, "vgg16", 1, WORDS[:4])
    with run.predictions.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == run.metrics["n"] == 8
    assert all(sum(float(line[f"p_{word}"]) for word in WORDS[:4]) == pytest.approx(1, abs=1e-6) for line in lines)
    assert len({line["p_anger"] for line in lines}) == 8
    said = call("evaluate", "--checkpoint", run.folder, *data, "--device", "cpu")
    assert f"{method} on toy (r16): accuracy {run.metrics['accuracy']:.3f}" in said
    tested = run.folder / "evaluation/toy-r16/predictions.csv"
    assert tested.read_bytes() == run.predictions.read_bytes()


@pytest.mark.slow
def test_the_loss_falls(config: TrainConfig) -> None:
    run = train(replace(config, baseline_epochs=8, baseline_rate=0.02, val_fraction=0.0))
    losses = [float(line["total"]) for line in log_of(run.folder)]
    assert losses[-1] < 0.8 * losses[0]


def test_two_runs_give_the_same_bits_and_another_seed_others(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, baseline_epochs=1)
    before = torch.random.get_rng_state()
    runs = [train(replace(config, out=tmp_path / name, seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    assert torch.equal(before, torch.random.get_rng_state())
    assert same(runs[0].checkpoint, runs[1].checkpoint) and not same(runs[0].checkpoint, runs[2].checkpoint)
    assert (runs[0].folder / "metrics.csv").read_bytes() == (runs[1].folder / "metrics.csv").read_bytes()


# What is not the authors' own, as their schedule is.
MODERN: dict[str, Any] = {"clip": 0.01, "ema": 0.5, "label_smoothing": 0.2, "balance": "sampler"}


@pytest.mark.parametrize("more", [{}, MODERN], ids=["as before", "modern"])
def test_a_run_that_was_stopped_twice_ends_in_the_same_bits(
    config: TrainConfig, tmp_path: Path, more: dict[str, Any]
) -> None:
    config = replace(config, checkpoint_every=1, log_every=1, **more)
    undisturbed = train(replace(config, out=tmp_path / "undisturbed"))
    rounds = 0

    def stop(event: Event) -> None:
        if event["event"] == "step" and event["round"] > rounds:
            raise KeyboardInterrupt

    for rounds in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            train(replace(config, resume=rounds > 1), on_step=stop)
        assert load(config.out / "checkpoints" / "last.safetensors")[1]["round"] == rounds
    resumed = train(replace(config, resume=True))
    assert same(resumed.checkpoint, undisturbed.checkpoint)
    assert (resumed.folder / "metrics.csv").read_bytes() == (undisturbed.folder / "metrics.csv").read_bytes()
    assert resumed.predictions.read_bytes() == undisturbed.predictions.read_bytes()


def test_an_epoch_shows_every_training_face_once_clean_and_once_occluded(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[int]] = {"clean": [], "occluded": []}
    original = ImageStore.view

    def spy(self: ImageStore, view: Any, indices: npt.NDArray[np.int64]) -> torch.Tensor:
        seen[view] += indices.tolist()
        return original(self, view, indices)

    monkeypatch.setattr(ImageStore, "view", spy)

    def use(stage: PatchStage, data: RunData) -> None:
        assert stage.rounds == 2
        named = np.concatenate([stage.round(number)[0].indices for number in range(2)])
        for indices in (*seen.values(), named.tolist()):
            assert sorted(set(indices)) == sorted(data.train.tolist())
        assert len(seen["clean"]) == len(seen["occluded"]) == len(data.train)

    staged(config, use)


def test_settings_of_every_row_apply_here_too(config: TrainConfig) -> None:
    def use(stage: PatchStage, data: RunData) -> None:
        losses.append(float(stage._loss(np.arange(4), np.zeros((4, 2), dtype=np.int64), 0).detach()))
        batches = np.concatenate([stage.round(number)[0].indices for number in range(stage.rounds)])
        counts = np.bincount(data.labels[batches], minlength=4)
        assert len(batches) == 2 * len(data.train) and counts.max() - counts.min() <= 1
        norm = torch.nn.utils.get_total_norm(
            [each.grad for each in stage._network.parameters() if each.grad is not None]
        )
        assert float(norm) == pytest.approx(0.01, rel=1e-3)
        kept, trained = stage.networks()[0], stage._network.state_dict()
        assert not any(torch.equal(kept[name], trained[name]) for name, _ in stage._network.named_parameters())

    losses: list[float] = []
    for smoothing in (0.2, 0.6):
        staged(replace(config, **MODERN | {"label_smoothing": smoothing}), use, mode="eval")
    assert abs(losses[0] - losses[1]) > 1e-5


def test_votes_are_learnt_in_place_of_labels(make_build: MakeBuild, config: TrainConfig) -> None:
    def voted(row: Row) -> Row:
        return replace(row, votes=f"{row.expression}:3;{WORDS[(WORDS.index(row.expression) + 1) % 4]}:2")

    manifest = make_build(name="voted-r16", words=WORDS[:4], landmarks=True, edit=edited(voted))
    losses: dict[str, float] = {}

    def use(stage: PatchStage, data: RunData) -> None:
        kind = "hard" if data.votes is None else "votes"
        losses[kind] = float(stage._loss(np.arange(4), np.zeros((4, 2), dtype=np.int64), 0).detach())

    for labels in ("hard", "votes"):
        staged(replace(config, manifests=(manifest,), labels=labels), use, mode="eval")
    assert losses.keys() == {"hard", "votes"} and abs(losses["hard"] - losses["votes"]) > 1e-6


def test_an_update_in_parts_is_the_update_of_the_whole_batch(config: TrainConfig) -> None:
    """Without the effects of batch norm and dropout, the parts' gradients must add up to the batch's."""
    found: list[dict[str, torch.Tensor]] = []

    def use(stage: PatchStage, _: RunData) -> None:
        stage.round(0)
        found.append({name: each.detach().clone() for name, each in stage.network.named_parameters()})

    for batch_size in (4, 5, 12):
        staged(replace(config, batch_size=batch_size), use, mode="eval")
    for other in found[1:]:
        assert all(torch.allclose(value, found[0][name], atol=1e-6) for name, value in other.items())


def test_the_rate_falls_to_zero_and_that_of_biases_is_twice_as_high(config: TrainConfig) -> None:
    def use(stage: PatchStage, _: RunData) -> None:
        optimizer = stage._optimizer
        rates = []
        for number in range(4):
            stage.round(number)
            rates.append([group["lr"] for group in optimizer.param_groups])
        expected = [1e-3 * (1 - number / 4) ** 0.9 for number in range(4)]
        assert np.allclose(rates, [[rate, 2 * rate] for rate in expected])
        assert [group["weight_decay"] for group in optimizer.param_groups] == [5e-4, 0]
        assert {group["momentum"] for group in optimizer.param_groups} == {0.9}
        count = sum(len(group["params"]) for group in optimizer.param_groups)
        assert count == len(list(stage.network.parameters()))

    staged(config, use)


def test_every_weight_is_trained(config: TrainConfig) -> None:
    def use(stage: PatchStage, _: RunData) -> None:
        before = {name: each.clone() for name, each in stage.network.state_dict().items()}
        stage.round(0)
        still = {name for name, each in stage.network.state_dict().items() if torch.equal(each, before[name])}
        # the batch norm after a convolution removes its bias
        assert not {name for name in still if not name.endswith("bias")}

    staged(config, use)


def test_a_random_part_moves_image_and_patches_together() -> None:
    images = torch.rand(3, 3, 232, 232)
    shift_xy = torch.tensor([[0, 0], [8, 3], [2, 8]])
    parts = cut(images, shift_xy)
    for index, (x, y) in enumerate(shift_xy.tolist()):
        assert torch.equal(parts[index], images[index, :, y : y + 224, x : x + 224])


def test_centres_move_with_the_random_part(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point that is marked in the image stays at the centre that the network is given."""
    centres: list[torch.Tensor] = []
    pictures: list[torch.Tensor] = []
    original = PatchNetwork.forward

    def spy(self: PatchNetwork, images: torch.Tensor, centres_xy: torch.Tensor) -> torch.Tensor:
        pictures.append(images)
        centres.append(centres_xy)
        return original(self, images, centres_xy)

    monkeypatch.setattr(PatchNetwork, "forward", spy)

    def marked(images: torch.Tensor, side_px: int) -> torch.Tensor:
        """Every pixel holds its own position in the whole face."""
        x = torch.arange(side_px).expand(len(images), 1, side_px, side_px)
        return torch.cat([x, x.transpose(2, 3), x], dim=1).float()

    monkeypatch.setattr("occfer.baselines.patches.stage.resized", marked)

    def use(stage: PatchStage, data: RunData) -> None:
        (update,) = stage.round(0)
        images, told = torch.cat(pictures), torch.cat(centres)
        where = told.clamp(0, 223)
        batch = torch.arange(len(images)).unsqueeze(1)
        looked_at = torch.stack([images[batch, channel, where[..., 1], where[..., 0]] for channel in (0, 1)], dim=2)
        expected = torch.from_numpy(stage._trained_centres["clean"][update.indices])
        inside = ((told == where).all(dim=2)).unsqueeze(2)
        assert torch.equal(looked_at * inside, expected * inside)
        assert inside.float().mean() > 0.9
        assert len(set(images[:, 0, 0, 0].tolist())) > 2  # the parts begin at different places

    staged(config, use)


@pytest.mark.parametrize("size_px", [48, 88, 144])
def test_native_sizes_are_resized(size_px: int) -> None:
    images = torch.full((2, size_px, size_px, 3), 51, dtype=torch.uint8)
    images[1] = 255
    found = resized(images, 224)
    assert found.shape == (2, 3, 224, 224)
    assert torch.allclose(found[0], torch.tensor(0.2)) and torch.allclose(found[1], torch.tensor(1.0))


def test_the_predictor_answers_as_validation_does(config: TrainConfig) -> None:
    run = train(config)

    def use(stage: PatchStage, data: RunData) -> None:
        weights = {name.removeprefix("classifier."): each for name, each in weights_of(run.checkpoint).items()}
        assert weights.pop(MEAN_FACE).shape == (68, 2)
        stage.network.load_state_dict(weights)
        expected = stage.predict(data.val).double().softmax(dim=1).numpy()
        predictor = load_predictor(run.checkpoint, one_process("cpu"), batch_size=3)
        assert predictor.needs_points
        points_xy = read_points(data.corpus, data.size_px)[data.val]
        images = data.store.host("occluded", data.val)
        assert np.allclose(predictor.probabilities(images, points_xy), expected, atol=1e-6)
        assert not np.allclose(predictor.probabilities(images, points_xy[:, ::-1]), expected, atol=1e-6)
        with pytest.raises(DataError, match="pg-cnn looks at 24 places of a face, so it needs the face's 68 landmarks"):
            predictor.probabilities(images)

    staged(config, use)


def test_landmarks_are_looked_for_on_occluded_faces_in_training_and_test(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default; every fifth face is not found and gets the mean face, whatever else is asked with it."""
    asked: list[str] = []
    config = replace(config, landmarks_from="occluded")
    data = prepare(config, one_process("cpu"), None)
    everyone = np.arange(len(data.labels))
    occluded = {image.tobytes(): index for index, image in enumerate(data.store.host("occluded", everyone))}
    clean_xy = read_points(data.corpus, data.size_px)

    def find(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
        index = occluded[image.tobytes()]
        asked.append(data.corpus.samples[index].pair_id)
        return clean_xy[index] + 3 if index % 5 else None

    monkeypatch.setattr("occfer.faces.landmarks.find_points", find)
    run = train(config)
    split = data.split
    assert len(asked) == len(split.train) + len(split.val) + len(split.test)
    by_clean = train(replace(config, landmarks_from="clean", out=tmp_path / "clean"))
    assert run.predictions.read_text() != by_clean.predictions.read_text()
    again = evaluate(EvaluateOptions(checkpoint=run.folder, manifests=config.manifests, device="cpu"))
    missed = sum(index % 5 == 0 for index in split.test)
    assert f"landmarks found on {8 - missed} of 8 occluded faces; the mean face is used for the other {missed}" in (
        again.notes
    )
    assert (again.folder / "predictions.csv").read_text() == run.predictions.read_text()
    predictor = load_predictor(run.checkpoint, one_process("cpu"), batch_size=8)
    images, unknown = data.store.host("occluded", data.test), np.full((8, 68, 2), np.nan, dtype=np.float32)
    stored = weights_of(run.checkpoint)[f"classifier.{MEAN_FACE}"].numpy()
    mean_face = (stored * np.float32(data.size_px) - np.float32(0.5))[None].repeat(8, 0)
    assert np.array_equal(predictor.probabilities(images, unknown), predictor.probabilities(images, mean_face))
    assert np.abs(mean_face[0] - clean_xy[data.train].mean(axis=0)).max() < 1e-3


def test_a_model_of_version_0_1_has_no_mean_face(config: TrainConfig, tmp_path: Path) -> None:
    run = train(replace(config, baseline_epochs=0))
    tensors, header = load(run.checkpoint)
    save(tmp_path / "old.safetensors", {name: each for name, each in tensors.items() if MEAN_FACE not in name}, header)
    save(tmp_path / "bad.safetensors", tensors | {f"classifier.{MEAN_FACE}": torch.zeros(3)}, header)
    load_predictor(tmp_path / "old.safetensors", one_process("cpu"), batch_size=8)
    with pytest.raises(CheckpointError, match="its mean face is not of 68 points"):
        load_predictor(tmp_path / "bad.safetensors", one_process("cpu"), batch_size=8)


def test_its_model_file_is_not_a_branch(config: TrainConfig) -> None:
    run = train(replace(config, baseline_epochs=0))
    with pytest.raises(CheckpointError, match="unknown backbone 'vgg16'"):
        load_model(run.checkpoint)


def test_training_can_start_from_an_earlier_model(config: TrainConfig, tmp_path: Path) -> None:
    first = train(config)
    second = replace(config, weights=str(first.checkpoint), baseline_epochs=0, out=tmp_path / "second")
    assert same(train(second).checkpoint, first.checkpoint)


def test_a_trial_is_called_a_trial(config: TrainConfig) -> None:
    events: list[Event] = []
    run = train(replace(config, baseline_updates=1), on_step=events.append)
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert "pg-cnn: only 2 updates, so this is a trial and not a trained model" in notes
    assert [line["round"] for line in log_of(run.folder)] == ["1", "2"]
    assert read_model_info(run.checkpoint).config["baseline_updates"] == 1


def test_no_epochs_keep_the_initial_weights(config: TrainConfig) -> None:
    run = train(replace(config, baseline_epochs=0))
    assert run.metrics["epoch"] == 0 and run.metrics["n"] == 8


def test_without_landmarks_the_error_says_what_makes_them(make_build: MakeBuild, make_config: MakeConfig) -> None:
    with pytest.raises(DataError, match=r"toy-r16\.landmarks\.npz not found; make it with `occsynth landmarks "):
        train(make_config(make_build(), method="gacnn"))


def test_a_loss_that_is_not_finite_stops_and_names_the_batch(config: TrainConfig) -> None:
    with pytest.raises(TrainingError, match=r"pg-cnn: the loss term sup became (nan|inf); the batch was: s00\d_"):
        train(replace(config, baseline_rate=1e30))


def test_live_occlusions_replace_the_manifests(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[str, int]] = set()

    def blacken(clean: npt.NDArray[np.uint8], pair_id: str, _mode: str, epoch: int) -> npt.NDArray[np.uint8]:
        seen.add((pair_id, epoch))
        return np.zeros_like(clean)

    monkeypatch.setattr("occfer.training.train.live_occluder", lambda *_: blacken)
    train(replace(config, live_occlusion="r16"))
    assert {epoch for _, epoch in seen} == {0, 1}
    assert len(seen) == 2 * 12


def test_a_batch_too_small_for_batch_norm_is_explained(config: TrainConfig) -> None:
    few = replace(config, baseline_batch_size=2)
    engine = one_process("cpu")
    data = prepare(few, engine, None)
    with pytest.raises(ConfigError, match="raise --baseline-batch-size or lower --devices"):
        stage_of(few, data, _Several(engine.fabric))


class _Several(Engine):
    """An engine that claims to be one of two processes."""

    @property
    def world_size(self) -> int:
        return 2


@pytest.mark.parametrize("settings", [{"precision": "bf16"}, {"channels_last": True}])
def test_other_precisions_and_layouts_train(config: TrainConfig, settings: dict[str, Any]) -> None:
    run = train(replace(config, baseline_epochs=1, **settings))
    assert all(each.isfinite().all() for each in weights_of(run.checkpoint).values())


def _two_processes(engine: Engine, on_step: OnStep, config: TrainConfig, folder: Path) -> None:
    torch.set_num_threads(1)
    data = prepare(config, engine, None)
    stage = stage_of(config, data, engine)
    for number in range(2):
        stage.round(number)
    engine.share_buffers(stage.network)
    logits = stage.predict(data.val)
    torch.save([stage.network.state_dict(), logits], folder / f"{engine.rank}.pt")


@pytest.mark.slow
def test_two_processes_train_one_network(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, devices=2)
    launch(config, partial(_two_processes, config=config, folder=tmp_path), lambda _: None)
    (first, logits), (second, others) = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert torch.equal(logits, others) and logits.isfinite().all()
