"""WLS-RF as a baseline: weights of the trees, whole runs, resumption, landmarks, and malformed files."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from typer.testing import CliRunner

from occfer.baselines.classical import RGBT, WLS_RF
from occfer.baselines.classical.channels import integral_channels
from occfer.baselines.classical.fitted import load_fitted
from occfer.baselines.classical.wls_rf import WlsRfPredictor, in_face, load_wls_rf
from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.data.arrays import Images, Points
from occfer.data.manifests import read_corpus, read_points
from occfer.data.packs import read_rgb
from occfer.engine.engine import one_process
from occfer.errors import CheckpointError, ConfigError, DataError, ExportError, MethodError
from occfer.evaluation.evaluate import EvaluateOptions, evaluate
from occfer.evaluation.reconstruct import ReconstructOptions, reconstruct
from occfer.inference.export import export
from occfer.method_table import load_predictor, shown_name
from occfer.runs.checkpoint import load, save
from occfer.runs.run_folder import Run
from occfer.training.train import train
from tests.builds import DEMO_ROOT, build_demo
from tests.occfer.damage import DAMAGES, damage
from tests.occfer.engine.killed_runs import finish, start
from tests.occfer.toy_builds import WORDS, Build, face_points, pictures, write_build

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]
Tensors = dict[str, torch.Tensor]

RESULTS = ("checkpoints/best.safetensors", "predictions.csv", "metrics.json")


@pytest.fixture
def config(make_build: MakeBuild, make_config: MakeConfig) -> TrainConfig:
    """By the manifest's landmarks: in toy pictures no face is found."""
    return make_config(make_build(landmarks=True), method="wls-rf", forest_trees=10, landmarks_from="clean")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of ten trees, made once."""
    folder = tmp_path_factory.mktemp("wls-rf")
    manifest = write_build(folder / "builds", Build(landmarks=True))
    return train(
        TrainConfig(
            manifests=(manifest,),
            method="wls-rf",
            fold=0,
            forest_trees=10,
            landmarks_from="clean",
            device="cpu",
            out=folder / "run",
        )
    )


@pytest.fixture(scope="module")
def predictor(run: Run) -> WlsRfPredictor:
    return load_wls_rf(run.folder, one_process("cpu"))


@pytest.fixture(scope="module")
def faces() -> tuple[Images, Points]:
    """Seven occluded toy faces and their landmarks, 24 px."""
    build = Build()
    images = np.stack([pictures(build, 0, word)[1] for word in WORDS])
    return images, np.stack([face_points(build, 0, word) for word in WORDS])


def notes_of(config: TrainConfig) -> tuple[Run, list[str]]:
    said: list[str] = []
    done = train(config, on_step=lambda event: said.append(event.get("text", "")))
    return done, [each for each in said if each]


def test_reports_call_it_a_reconstruction() -> None:
    assert (RGBT.method.shown_title, WLS_RF.method.shown_title) == ("RGBT (reconstruction)", "WLS-RF (reconstruction)")
    stdout = CliRunner().invoke(app, ["methods"]).stdout
    assert "\nrgbt\tRGBT (reconstruction)\t" in stdout and "\nwls-rf\tWLS-RF (reconstruction)\t" in stdout
    assert [shown_name(name) for name in ("rgbt", "wls-rf", "pg-cnn", "full", "later")] == [
        "rgbt (reconstruction)", "wls-rf (reconstruction)", "pg-cnn", "full", "later",
    ]  # fmt: skip


def test_trees_are_weighted_by_the_area_that_seems_visible(
    predictor: WlsRfPredictor, faces: tuple[Images, Points]
) -> None:
    images, points_xy = faces
    alphas = predictor.confidences(images, points_xy)
    assert ((alphas >= 0) & (alphas <= 1)).all() and alphas.std() > 0.05
    forest = predictor.forest
    sums, inside = integral_channels(images), in_face(points_xy, 24)
    for face, found in enumerate(predictor.probabilities(images, points_xy)):
        total = np.zeros(7)
        for tree in forest.trees:
            own = forest.mesh.area_fraction * tree.mask
            alpha = (own * alphas[face]).sum() / own.sum()
            total += alpha * tree.predict(inside, sums)[face]
        assert np.allclose(found, total / total.sum(), atol=1e-6)


def test_local_predictions_are_the_mean_of_the_trees_that_look_there(
    predictor: WlsRfPredictor, faces: tuple[Images, Points]
) -> None:
    images, points_xy = faces
    local = predictor.local_predictions(images, points_xy)
    assert local.shape == (7, len(predictor.forest.mesh.triangles), 7) and np.allclose(local.sum(axis=2), 1)
    answers = predictor.forest.answers(in_face(points_xy, 24), integral_channels(images))
    for triangle, looked in enumerate(predictor.forest.masks.T):
        assert np.allclose(local[:, triangle], answers[:, looked if looked.any() else slice(None)].mean(axis=1))


def test_batches_and_unknown_faces_do_not_matter(predictor: WlsRfPredictor, faces: tuple[Images, Points]) -> None:
    images, points_xy = faces
    all_at_once = predictor.probabilities(images, points_xy)
    in_threes = WlsRfPredictor(predictor.info, predictor.forest, 3)
    assert np.allclose(in_threes.probabilities(images, points_xy), all_at_once, atol=1e-9)
    missing = points_xy.copy()
    missing[2] = np.nan
    mean = (predictor.forest.mesh.mean_xy + 0.5) * (24 / 64) - 0.5
    replaced = points_xy.copy()
    replaced[2] = mean
    assert np.allclose(predictor.probabilities(images, missing), predictor.probabilities(images, replaced), atol=1e-3)
    with pytest.raises(DataError, match="needs its 68 landmarks"):
        predictor.probabilities(images)


def test_a_run_from_manifest_to_predictions(run: Run) -> None:
    assert run.metrics["n"] == 14 and run.metrics["accuracy"] > 2 / 7
    _, info, arrays = load_fitted(run.folder)
    assert (info.method, info.view, info.backbone) == ("wls-rf", "clean", "")
    assert len(arrays["trees.nodes"]) == 10
    assert {path.name for path in run.checkpoint.parent.iterdir()} == {"best.safetensors"}
    tested = evaluate(EvaluateOptions(checkpoint=run.folder, manifests=run.config.manifests, device="cpu"))
    same = {name: run.metrics[name] for name in ("accuracy", "n", "uar", "confusion", "ece")}
    assert {name: tested.summary[name] for name in same} == same
    assert (tested.folder / "predictions.csv").read_text() == run.predictions.read_text()


def test_commands_that_need_a_network_refuse_it(run: Run, tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="'wls-rf' trains no decoder"):
        reconstruct(
            ReconstructOptions(
                checkpoint=run.folder, manifests=run.config.manifests, device="cpu", out=tmp_path / "grid.png"
            )
        )
    with pytest.raises(ExportError, match="is of the method 'wls-rf', which cannot be exported"):
        export(run.folder, tmp_path / "model.onnx", kind="onnx")


def test_two_runs_end_in_the_same_bytes(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any number of threads."""
    kept = train(config).folder.rename(tmp_path / "kept")
    monkeypatch.setattr("occfer.baselines.classical.wls_rf.cpu_count", lambda: 3)
    again = train(config).folder
    assert [(kept / name).read_bytes() for name in RESULTS] == [(again / name).read_bytes() for name in RESULTS]


def test_an_interrupted_run_keeps_its_trees(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, forest_trees=101)  # in two parts
    kept = train(config).folder.rename(tmp_path / "kept")
    whole: list[str] = []

    def interrupt(event: dict[str, Any]) -> None:
        if event.get("text") == "wls-rf: 100 of 101 trees":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, on_step=interrupt)
    part = config.out / "checkpoints/wls-rf-trees-000000.safetensors"
    made_at = part.stat().st_mtime_ns
    with pytest.raises(ConfigError, match="continue with --resume"):
        train(config)

    def watch(event: dict[str, Any]) -> None:
        whole.append(event.get("text", ""))
        assert not part.exists() or part.stat().st_mtime_ns == made_at

    again = train(replace(config, resume=True), on_step=watch).folder
    assert "wls-rf: 101 of 101 trees" in whole and not part.exists()
    assert [(kept / name).read_bytes() for name in RESULTS] == [(again / name).read_bytes() for name in RESULTS]


@pytest.mark.parametrize("how", [*DAMAGES, "of another run"])
def test_damaged_trees_of_an_interrupted_run_are_grown_again(config: TrainConfig, tmp_path: Path, how: str) -> None:
    config = replace(config, forest_trees=101)  # in two parts

    def interrupt(event: dict[str, Any]) -> None:
        if event.get("text") == "wls-rf: 100 of 101 trees":
            raise KeyboardInterrupt

    other = replace(config, seed=1, out=tmp_path / "other")
    kept = train(config).folder.rename(tmp_path / "kept")
    for each in (config, other) if how == "of another run" else (config,):
        with pytest.raises(KeyboardInterrupt):
            train(each, on_step=interrupt)
    name = "checkpoints/wls-rf-trees-000000.safetensors"
    if how == "of another run":
        (config.out / name).write_bytes((other.out / name).read_bytes())
    else:
        damage(config.out / name, how)
    said: list[str] = []
    again = train(replace(config, resume=True), on_step=lambda event: said.append(event.get("text", ""))).folder
    assert any(text.endswith("its trees are grown again") for text in said) == (how != "missing")
    assert [(kept / name).read_bytes() for name in RESULTS] == [(again / name).read_bytes() for name in RESULTS]


@pytest.mark.slow
def test_a_killed_run_is_continued(make_build: MakeBuild, tmp_path: Path) -> None:
    """Killed while the first file of trees is written, and while the model file is."""
    words = ["train", "--manifest", str(make_build(landmarks=True)), "--method", "wls-rf", "--forest-trees", "10"]
    words += ["--fold", "0", "--device", "cpu", "--no-figures", "--out", "run"]
    kill = ("half a checkpoint",)
    assert finish(start(tmp_path, words, kill, 1)) == -signal.SIGKILL
    assert finish(start(tmp_path, [*words, "--resume"], kill, 2)) == -signal.SIGKILL
    assert finish(start(tmp_path, [*words, "--resume"])) == 0, (tmp_path / "said").read_text()
    killed = (tmp_path / "run").rename(tmp_path / "killed")
    assert finish(start(tmp_path, words)) == 0
    assert [(killed / name).read_bytes() for name in RESULTS] == [
        (tmp_path / "run" / name).read_bytes() for name in RESULTS
    ]
    assert {path.name for path in (killed / "checkpoints").iterdir()} == {"best.safetensors"}


def test_settings_reach_the_model(run: Run, config: TrainConfig, tmp_path: Path) -> None:
    arrays = load_fitted(run.folder)[2]
    for changes in ({"train_on": "occluded"}, {"seed": 1}):
        other = load_fitted(train(replace(config, out=tmp_path / str(changes), **changes)).folder)[2]
        assert arrays["nodes.threshold"].tolist() != other["nodes.threshold"].tolist()
        # The autoencoder is fitted to clean faces whatever trains the trees, and without random draws.
        assert np.array_equal(arrays["confidence.basis"], other["confidence.basis"])


def test_landmarks_can_be_looked_for_on_occluded_faces(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = read_corpus(config.manifests)
    by_pixels = {}
    for sample, points in zip(corpus.samples, read_points(corpus, 24), strict=True):
        image = read_rgb(corpus.manifests[0].root / sample.occluded)
        by_pixels[image.tobytes()] = points

    asked: list[bool] = []

    def find(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
        asked.append(len(asked) % 5 != 0)
        return by_pixels[image.tobytes()] if asked[-1] else None

    monkeypatch.setattr("occfer.faces.landmarks.find_points", find)
    tested, said = notes_of(replace(config, landmarks_from="occluded", out=tmp_path / "tested"))
    assert "landmarks found on 11 of 14 occluded faces; the mean face is used for the other 3" in said
    assert len(asked) == 14
    asked.clear()
    again = evaluate(EvaluateOptions(checkpoint=tested.folder, manifests=config.manifests, device="cpu"))
    assert "landmarks found on 11 of 14 occluded faces; the mean face is used for the other 3" in again.notes
    assert (again.folder / "predictions.csv").read_text() == tested.predictions.read_text()
    clean = train(replace(config, out=tmp_path / "clean"))
    assert clean.predictions.read_text() != tested.predictions.read_text()
    asked.clear()
    settings = replace(config, landmarks_from="occluded", train_on="occluded", out=tmp_path / "both")
    said = notes_of(settings)[1]
    assert "wls-rf, training: landmarks found on 22 of 28 occluded faces; the mean face is used for the other 6" in said


def test_it_needs_landmarks(make_build: MakeBuild, make_config: MakeConfig) -> None:
    with pytest.raises(DataError, match=r"landmarks.npz not found; make it with `occsynth landmarks"):
        train(make_config(make_build(), method="wls-rf", forest_trees=2))


def _put(name: str, value: float, at: tuple[int, ...] = (0,)) -> Callable[[Tensors], None]:
    def put(tensors: Tensors) -> None:
        tensors[name][at] = value

    return put


def _loop(tensors: Tensors) -> None:
    inner = int((tensors["nodes.left"] >= 0).nonzero()[0, 0])
    tensors["nodes.left"][inner] = 0


def _astray(tensors: Tensors) -> None:
    inner = int((tensors["nodes.left"] >= 0).nonzero()[0, 0])
    tensors["nodes.right"][inner] = 10**6


def _unknown_feature(tensors: Tensors) -> None:
    inner = int((tensors["nodes.left"] >= 0).nonzero()[0, 0])
    tensors["nodes.feature"][inner] = 10**6


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda tensors: tensors.pop("mesh.triangles"), "it has no mesh.triangles"),
        (_put("mesh.triangles", 68, (0, 0)), "mesh.triangles holds numbers outside 0 to 67"),
        (lambda tensors: tensors["mesh.mean_xy"].zero_(), "the mean face has no area"),
        (_put("confidence.median", float("inf")), "confidence.median is not finite"),
        (lambda tensors: tensors.update({"trees.masks": tensors["trees.masks"][:, 1:]}), "trees.masks is bool"),
        (_put("trees.nodes", 0), "trees.nodes holds numbers outside 1"),
        (_put("trees.nodes", 2**62), "trees.nodes holds numbers outside 1"),
        (_put("trees.features", -1), "trees.features holds numbers outside 0"),
        (_put("trees.nodes", 10**6), "trees.masks|nodes.threshold"),
        (_put("features.points", -1, (0, 0)), "features.points holds numbers outside 0 to 67"),
        (_put("features.channel", 9), "features.channel holds numbers outside 0 to 8"),
        (_put("features.kind", 3), "features.kind holds numbers outside 0 to 2"),
        (_loop, "the nodes of a tree lead in circles"),
        (_astray, "the nodes of a tree lead in circles"),
        (_unknown_feature, "nodes.feature holds numbers outside"),
    ],
)
def test_a_malformed_file_is_refused(run: Run, tmp_path: Path, harm: Callable[[Tensors], Any], message: str) -> None:
    tensors, header = load(run.checkpoint)
    harm(tensors)
    save(tmp_path / "lies.safetensors", tensors, header)
    with pytest.raises(CheckpointError, match=message):
        load_predictor(tmp_path / "lies.safetensors", one_process("cpu"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Builds of modes `mouth` and `r16`: 20 people of the demo database with seven expressions each."""
    folder = tmp_path_factory.mktemp("demo")
    people = sorted(path.name for path in (DEMO_ROOT / "images").iterdir())[:20]
    stems = tuple(f"{person}_{word}" for person in people for word in WORDS)
    return {manifest.info.mode: manifest.path for manifest in build_demo(folder, "mouth,r16", stems)}


def demo_config(demo: dict[str, Path], mode: str, out: Path, **settings: Any) -> TrainConfig:
    return TrainConfig(manifests=(demo[mode],), fold=0, device="cpu", out=out, **settings)


@pytest.mark.slow
def test_expressions_of_rendered_faces_are_recognised_and_hidden_triangles_trusted_less(
    demo: dict[str, Path], tmp_path: Path
) -> None:
    """Rendered faces with templates over them; the two people that are tested did not train."""
    forest = train(demo_config(demo, "mouth", tmp_path / "wls-rf", method="wls-rf", forest_trees=40))
    templates = train(demo_config(demo, "r16", tmp_path / "rgbt", method="rgbt", rgbt_templates=800))
    assert forest.metrics["accuracy"] > 0.4 and templates.metrics["accuracy"] > 0.3  # chance is 0.14
    predictor = load_wls_rf(forest.folder, one_process("cpu"))
    corpus = read_corpus([demo["mouth"]])
    tested = [index for index, sample in enumerate(corpus.samples) if sample.fold == 0]
    root, size_px = corpus.manifests[0].root, corpus.manifests[0].size_px
    points_xy = read_points(corpus, size_px)[tested]
    clean, occluded, masks = (
        np.stack([read_rgb(root / path) for path in paths])
        for paths in (
            [corpus.samples[index].clean for index in tested],
            [corpus.samples[index].occluded for index in tested],
            [corpus.samples[index].occluded.replace("/occluded/", "/mask/") for index in tested],
        )
    )
    before, after = (predictor.confidences(images, points_xy) for images in (clean, occluded))
    corners = points_xy[:, predictor.forest.mesh.triangles]
    middle = np.clip(np.rint(corners.mean(axis=2)).astype(int), 0, size_px - 1)
    hidden = masks[np.arange(len(tested))[:, None], middle[..., 1], middle[..., 0], 0] > 200
    free = (
        np.stack([cv2.dilate(mask[..., 0], np.ones((31, 31))) for mask in masks])[
            np.arange(len(tested))[:, None], middle[..., 1], middle[..., 0]
        ]
        == 0
    )
    assert hidden.sum() > 100 and free.sum() > 100
    assert after[hidden].mean() < 0.4 * before[hidden].mean()
    assert after[free].mean() > 0.9 * before[free].mean()


@pytest.mark.slow
def test_landmarks_are_found_on_real_occluded_faces(demo: dict[str, Path], tmp_path: Path) -> None:
    config = demo_config(demo, "r16", tmp_path / "run", method="wls-rf", forest_trees=20, landmarks_from="occluded")
    run, said = notes_of(config)
    assert any(text.startswith("landmarks found on ") and " of 14 occluded faces" in text for text in said)
    assert run.metrics["accuracy"] > 0.3
