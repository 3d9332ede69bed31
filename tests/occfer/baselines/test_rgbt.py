"""RGBT: filters, templates and distances against slow references, the machine against scikit-learn, and whole runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import SVC

from occfer.baselines.classical.fitted import fitted_indices, grey_faces, inner_folds, load_fitted, people_of
from occfer.baselines.classical.gabor import ORIENTATIONS, SIZES_PX, kernels, magnitudes, sigma_px
from occfer.baselines.classical.gabor_templates import SIDES_PX, Template, distances, draw_templates
from occfer.baselines.classical.rgbt import load_rgbt, scaled
from occfer.baselines.classical.svm import fit_svm, machine_of
from occfer.config import TrainConfig
from occfer.engine.engine import one_process
from occfer.engine.run_data import prepare
from occfer.errors import CheckpointError, DataError
from occfer.evaluation.evaluate import EvaluateOptions, evaluate
from occfer.runs.checkpoint import load, save
from occfer.training.train import train
from tests.occfer.toy_builds import Build, write_build

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]


@pytest.fixture
def config(make_build: MakeBuild, make_config: MakeConfig) -> TrainConfig:
    return make_config(make_build(), method="rgbt", rgbt_templates=20)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file, made once."""
    folder = tmp_path_factory.mktemp("model")
    manifest = write_build(folder / "builds", Build())
    settings = TrainConfig(
        manifests=(manifest,), method="rgbt", fold=0, rgbt_templates=20, device="cpu", out=folder / "run"
    )
    return train(settings).checkpoint


def images_of(count: int, size_px: int = 24) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(count).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)


def test_the_filters_numbers() -> None:
    assert SIZES_PX == (5, 7, 9, 11, 13, 15, 17, 19) and ORIENTATIONS == 4
    assert [round(sigma_px(size), 4) for size in (5, 7, 19)] == [2.02, 2.8064, 8.1296]


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_filters_are_gabors_formula(size_px: int) -> None:
    sigma, reach = sigma_px(size_px), size_px // 2
    wavelength, gamma = sigma / 0.8, 0.3
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    for index, (even, odd) in enumerate(kernels(size_px)):
        theta = index * np.pi / 4
        along, across = x * np.cos(theta) + y * np.sin(theta), -x * np.sin(theta) + y * np.cos(theta)
        envelope = np.exp(-(along**2 + gamma**2 * across**2) / (2 * sigma**2))
        for kernel, wave in ((even, np.cos), (odd, np.sin)):
            wanted = envelope * wave(2 * np.pi * along / wavelength)
            wanted -= wanted.mean()
            assert abs(np.vdot(kernel, wanted / np.linalg.norm(wanted))) == pytest.approx(1, abs=1e-6)
            assert kernel.sum() == pytest.approx(0, abs=1e-5)


def test_even_skin_gives_no_response_and_stripes_one_at_their_orientation() -> None:
    assert magnitudes(np.full((1, 48, 48), 0.7, np.float32)).max() < 1e-5
    y, x = np.mgrid[:48, :48]
    wavelength = sigma_px(9) / 0.8
    for orientation in range(ORIENTATIONS):
        theta = orientation * np.pi / ORIENTATIONS
        stripes = np.sin(2 * np.pi * (x * np.cos(theta) + y * np.sin(theta)) / wavelength).astype(np.float32)
        answers = magnitudes(np.stack([stripes, 2 * stripes]))
        middle = answers[:, 2, :, 12:36, 12:36].mean(axis=(2, 3))
        assert middle[0].argmax() == orientation
        assert np.allclose(2 * answers[0], answers[1], atol=1e-5)


@pytest.mark.parametrize("side", SIDES_PX)
@pytest.mark.parametrize("corner", ["first", "middle", "last"])
def test_distances_are_the_least_over_the_window(side: int, corner: str) -> None:
    """Also where the window leaves the face."""
    at = {"first": 0, "middle": 17, "last": 48 - side}[corner]
    rng = np.random.default_rng(side)
    images = images_of(3)
    template = Template(3, at, 48 - side - at, rng.random((4, side, side), dtype=np.float32))
    answers = magnitudes(grey_faces(images, 48))[:, 3].astype(np.float64)
    found = distances((template,), images)[:, 0]
    for face, distance in enumerate(found):
        least = np.inf
        for down in range(-4, 5):
            for right in range(-4, 5):
                top, left = template.top_px + down, template.left_px + right
                if 0 <= top <= 48 - side and 0 <= left <= 48 - side:
                    own = answers[face, :, top : top + side, left : left + side]
                    least = min(least, float(np.sqrt(np.mean((own - template.values) ** 2))))
        assert distance == pytest.approx(least, rel=1e-4)


def test_templates_are_parts_of_the_faces_that_they_may_be_drawn_from() -> None:
    images = images_of(9)
    indices = np.array([1, 4, 7])
    answers = magnitudes(grey_faces(images, 48))

    def drawn(seed: int) -> tuple[Template, ...]:
        return draw_templates(lambda some: images[some], indices, 80, np.random.default_rng(seed))

    templates = drawn(0)
    assert {each.values.shape[-1] for each in templates} == set(SIDES_PX)
    assert {each.scale for each in templates} == set(range(8))
    for each in templates:
        side = each.values.shape[-1]
        own = answers[indices, each.scale, :, each.top_px : each.top_px + side, each.left_px : each.left_px + side]
        assert (own == each.values).all(axis=(1, 2, 3)).sum() == 1
    # the distance of a face to its own templates is almost 0
    assert (distances(templates, images[indices]).min(axis=0) < 1e-3).all()
    assert all(np.array_equal(one.values, other.values) for one, other in zip(templates, drawn(0), strict=True))
    assert not all(np.array_equal(one.values, other.values) for one, other in zip(templates, drawn(1), strict=True))


def test_features_are_clipped_to_the_training_range() -> None:
    low, high = (np.array(each, np.float32) for each in ([0, 1, 2], [1, 3, 2]))
    found = scaled(np.array([[-1, 2, 2], [0.5, 9, 3]], np.float32), low, high)
    assert found.tolist() == [[0, 0.5, 0], [0.5, 1, 1]]


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_scores_are_the_mean_margins_of_scikit_learns_machines(kernel: str, classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = np.arange(60) % classes
    features = (rng.random((60, 8)) + 0.3 * np.eye(8)[labels]).astype(np.float32)
    others = rng.random((20, 8), dtype=np.float32)
    fitted = SVC(kernel=kernel, C=3.0, gamma=0.7, decision_function_shape="ovo").fit(features.astype(float), labels)
    margins = fitted.decision_function(others.astype(float))
    scores = machine_of(fitted, classes).scores(others)
    wanted = np.zeros((20, classes))
    if classes == 2:
        wanted[:, 1], wanted[:, 0] = margins, -margins
    else:
        pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
        for margin, (i, j) in zip(margins.T, pairs, strict=True):
            wanted[:, i] += margin / (classes - 1)
            wanted[:, j] -= margin / (classes - 1)
    assert np.allclose(scores, wanted, atol=1e-9)


def test_a_class_that_a_fold_lacks_is_never_the_answer() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 3 + (np.arange(40) % 3 > 0)  # no class 1
    features = (rng.random((40, 4)) + np.eye(4)[labels]).astype(np.float32)
    scores = machine_of(SVC(kernel="rbf", gamma=1.0).fit(features, labels), 5).scores(features)
    assert set(scores.argmax(axis=1)) == {0, 2, 3} and scores.shape == (40, 5)


def test_the_machine_is_chosen_by_folds_of_people_and_calibrated() -> None:
    """Labels that only identify the person cannot be predicted for others, so the folds' answers are near chance."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 6)
    labels = np.arange(120) % 3
    told = (np.eye(3)[labels] + rng.normal(0, 0.4, (120, 3))).clip(0, 1).astype(np.float32)
    svm, said = fit_svm(told, labels, people, rng)
    accuracy = float(said.split("accuracy ")[1].split()[0])
    assert 0.7 < accuracy <= 1 and " 5 inner folds" in said
    probabilities = svm.probabilities(told)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(axis=1) == svm.scores(told).argmax(axis=1)).all()
    sure = probabilities.max(axis=1).mean()
    assert abs(sure - (probabilities.argmax(axis=1) == labels).mean()) < 0.15
    by_person = rng.integers(0, 3, 20)[people]
    identity = np.eye(20, dtype=np.float32)[people]
    assert float(fit_svm(identity, by_person, people, rng)[1].split("accuracy ")[1].split()[0]) < 0.7
    assert fit_svm(told, labels, people, rng)[1] == said


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3)), min_size=8, max_size=60))
def test_inner_folds_keep_people_apart(faces: list[tuple[int, int]]) -> None:
    """Everybody shows the classes 0 and 1, and some people others too."""
    faces = faces + [(person, label) for person in {each[0] for each in faces} | {9, 10} for label in (0, 1)]
    people, labels = (np.array(each) for each in zip(*faces, strict=True))
    folds = inner_folds(labels, people)
    assert sorted(np.concatenate([out for _, out in folds]).tolist()) == list(range(len(faces)))
    for fit, out in folds:
        assert not set(fit) & set(out)
        assert not set(people[fit]) & set(people[out])


def test_people_who_show_one_class_each_cannot_be_kept_apart() -> None:
    labels = np.repeat([0, 1], 6)
    folds = inner_folds(labels, labels)
    assert all(set(labels[fit]) == {0, 1} for fit, _ in folds)
    with pytest.raises(DataError, match="2 training faces are too few to hold some out"):
        inner_folds(np.array([0, 1]), np.array([0, 1]))


def test_each_face_of_an_unknown_person_counts_as_a_person(make_build: MakeBuild, make_config: MakeConfig) -> None:
    known, other = make_build(), make_build(name="toy-r8", mode="r8")
    unknown = make_build(name="web-r16", database="web", subjects=0, folds=3)
    data = prepare(make_config(known, other, unknown), one_process("cpu"), None)
    indices = fitted_indices(data)
    people = people_of(data, indices)
    samples = [data.corpus.samples[index] for index in indices]
    for one, first in zip(people, samples, strict=True):
        for two, second in zip(people, samples, strict=True):
            alike = first.database == second.database and (
                first.subject == second.subject if first.subject else first.source_sha256 == second.source_sha256
            )
            assert (one == two) == alike


def test_a_run_from_manifest_to_predictions(config: TrainConfig) -> None:
    run = train(config)
    assert run.metrics["n"] == 14 and run.metrics["accuracy"] > 2 / 7
    path, info, arrays = load_fitted(run.folder)
    assert info.method == "rgbt" and info.view == "clean" and info.versions.keys() == {"torch", "scikit-learn"}
    assert len(arrays["templates.places"]) == 20 and path == run.checkpoint
    tested = evaluate(EvaluateOptions(checkpoint=run.folder, manifests=config.manifests, device="cpu"))
    same = {name: run.metrics[name] for name in ("accuracy", "n", "uar", "confusion", "ece")}
    assert {name: tested.summary[name] for name in same} == same
    assert (tested.folder / "predictions.csv").read_text() == run.predictions.read_text()


def test_two_runs_end_in_the_same_bytes(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any number of threads."""
    first = train(config)
    kept = first.folder.rename(tmp_path / "kept")
    monkeypatch.setattr("occfer.baselines.classical.svm.cpu_count", lambda: 3)
    again = train(config)
    for name in ("checkpoints/best.safetensors", "predictions.csv", "metrics.json"):
        assert (kept / name).read_bytes() == (again.folder / name).read_bytes()


def test_settings_reach_the_model(model: Path, config: TrainConfig, tmp_path: Path) -> None:
    said: list[str] = []
    changed: dict[str, dict[str, Any]] = {
        "occluded": {"train_on": "occluded", "landmarks_from": "occluded"},
        "other": {"seed": 1, "rgbt_templates": 30},
    }
    runs = {
        name: train(
            replace(config, out=tmp_path / name, **changes),
            on_step=lambda event: said.append(event["text"]) if event["event"] == "note" else None,
        )
        for name, changes in changed.items()
    }
    assert not any("landmarks" in text for text in said)
    base, occluded, other = (load_fitted(path) for path in (model, runs["occluded"].folder, runs["other"].folder))
    assert (base[1].view, occluded[1].view) == ("clean", "occluded")
    places, values = "templates.places", "templates.values"
    assert np.array_equal(base[2][places], occluded[2][places])
    assert not np.array_equal(base[2][values], occluded[2][values])
    assert len(other[2][places]) == 30 and not np.array_equal(base[2][places], other[2][places][:20])


def test_an_interrupted_run_is_continued(config: TrainConfig, tmp_path: Path) -> None:
    kept = train(config).folder.rename(tmp_path / "kept")

    def interrupt(event: dict[str, Any]) -> None:
        if "templates" in event.get("text", ""):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, on_step=interrupt)
    assert not (config.out / "metrics.json").exists()
    again = train(replace(config, resume=True))
    for name in ("checkpoints/best.safetensors", "predictions.csv", "metrics.json"):
        assert (kept / name).read_bytes() == (again.folder / name).read_bytes()


def _cut(name: str, count: int = 1) -> Callable[[dict[str, torch.Tensor]], None]:
    def cut(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name] = tensors[name][:-count]

    return cut


def _put(name: str, value: float, at: tuple[int, ...] = (0,)) -> Callable[[dict[str, torch.Tensor]], None]:
    def put(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name][at] = value

    return put


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda tensors: tensors.pop("svm.vectors"), "it has no svm.vectors"),
        (lambda tensors: tensors.update({"range.low": tensors["range.low"].double()}), "range.low is float64"),
        (lambda tensors: tensors.update({"range.low": tensors["range.low"].bfloat16()}), "unsupported ScalarType"),
        (_cut("range.high"), r"range.high is float32 \(19,\)"),
        (_cut("templates.values"), "templates.values has another length"),
        (_put("templates.places", 8, (3, 0)), "templates.places holds numbers outside 0 to 7"),
        (_put("templates.places", 10**9, (3, 1)), "a template lies outside its face"),
        (_put("templates.places", -1, (3, 2)), "a template lies outside its face"),
        (_put("templates.places", 47, (3, 3)), "a template lies outside its face"),
        (_put("svm.weights", float("nan"), (0, 0)), "svm.weights is not finite"),
        (_put("svm.numbers", 0, (1,)), "svm.numbers has a value that is not above 0"),
        (_cut("svm.intercepts"), r"svm.intercepts is float64 \(6,\)"),
    ],
)
def test_a_malformed_file_is_refused(
    model: Path, tmp_path: Path, harm: Callable[[dict[str, torch.Tensor]], None], message: str
) -> None:
    tensors, header = load(model)
    harm(tensors)
    save(tmp_path / "lies.safetensors", tensors, header)
    with pytest.raises(CheckpointError, match=message):
        load_rgbt(tmp_path / "lies.safetensors", one_process("cpu"))
