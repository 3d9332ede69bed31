"""Other people's ONNX files: what a network is shown, what its outputs become, and which files are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto
from scipy.special import softmax

from occfer.errors import CheckpointError, ConfigError, OccFERError
from occfer.outside.onnx_network import open_network
from occsynth.pixels.images import read_rgb
from tests.occfer.outside.networks import SIDE_PX, changed, question_of, weights, write_network
from tests.occfer.toy_builds import WORDS

FOREIGN = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
OURS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


def describe(folder: Path, *lines: str, classes: tuple[str, ...] = FOREIGN, size_px: int = SIDE_PX) -> Path:
    path = folder / "model.toml"
    path.write_text("\n".join((f"size_px = {size_px}", f"classes = {list(classes)}", *lines)) + "\n")
    return path


def stored(manifest: Path, side_px: int) -> npt.NDArray[np.uint8]:
    """The occluded pictures in the manifest's order, resized as image packs are."""
    images = [read_rgb(file) for file in question_of(manifest).files]
    return np.stack([cv2.resize(each, (side_px, side_px), interpolation=cv2.INTER_AREA) for each in images])


def answers(manifest: Path, path: Path, description: Path) -> npt.NDArray[np.float64]:
    counts: list[int] = []
    found = open_network(path, description, device="cpu", batch_size=16)
    probabilities = found.answer(question_of(manifest), counts.append).probabilities
    assert counts == [16, 32, 42], "whoever waits is told how far it is"
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    return probabilities


@pytest.mark.parametrize("first", [True, False], ids=["channels-first", "channels-last"])
@pytest.mark.parametrize("batch", [None, 1], ids=["any-batch", "one-by-one"])
def test_a_network_sees_the_numbers_that_it_was_trained_on(
    make_build: Callable[..., Path], tmp_path: Path, first: bool, batch: int | None
) -> None:
    manifest = make_build()
    path = write_network(tmp_path / "model.onnx", first=first, batch=batch)
    described = describe(tmp_path, "mean = [0.1, 0.2, 0.3]", "std = [0.5, 0.25, 2]")
    means = (stored(manifest, SIDE_PX) / 255).mean(axis=(1, 2))
    wanted = softmax((means - [0.1, 0.2, 0.3]) / [0.5, 0.25, 2] @ weights(3, 7), axis=1)
    np.testing.assert_allclose(answers(manifest, path, described), wanted, atol=1e-5)


def test_colours_and_scales(make_build: Callable[..., Path], tmp_path: Path) -> None:
    manifest = make_build()
    images = stored(manifest, SIDE_PX).astype(np.float64)
    path = write_network(tmp_path / "bgr.onnx")
    wanted = softmax((images.mean(axis=(1, 2))[:, ::-1] - 128) / 64 @ weights(3, 7), axis=1)
    described = describe(tmp_path, 'colour = "bgr"', "scale = 255", "mean = 128", "std = 64.0")
    np.testing.assert_allclose(answers(manifest, path, described), wanted, atol=1e-4)
    grey = images @ [0.299, 0.587, 0.114]
    for channels in (1, 3):
        path = write_network(tmp_path / "grey.onnx", channels=channels)
        shown = np.repeat(grey.mean(axis=(1, 2))[:, None], channels, axis=1) / 255
        found = answers(manifest, path, describe(tmp_path, 'colour = "grey"'))
        np.testing.assert_allclose(found, softmax(shown @ weights(channels, 7), axis=1), atol=2e-3)
    path = write_network(tmp_path / "bytes.onnx", kind=TensorProto.UINT8, first=False)
    wanted = softmax(images.mean(axis=(1, 2)) @ weights(3, 7), axis=1)
    np.testing.assert_allclose(answers(manifest, path, describe(tmp_path)), wanted, atol=1e-4)


def test_free_sizes_and_half_precision(make_build: Callable[..., Path], tmp_path: Path) -> None:
    manifest = make_build()
    path = write_network(tmp_path / "free.onnx", side_px=None, kind=TensorProto.FLOAT16)
    wanted = softmax((stored(manifest, 10) / 255).mean(axis=(1, 2)) @ weights(3, 7), axis=1)
    np.testing.assert_allclose(answers(manifest, path, describe(tmp_path, size_px=10)), wanted, atol=2e-3)


def test_a_crop_is_the_same_part_of_every_face(make_build: Callable[..., Path], tmp_path: Path) -> None:
    manifest = make_build()  # pictures of 24 px
    path = write_network(tmp_path / "model.onnx")
    inner = stored(manifest, 24)[:, 6:18, 3:15]
    wanted = softmax((inner / 255).mean(axis=(1, 2)) @ weights(3, 7), axis=1)
    found = answers(manifest, path, describe(tmp_path, "crop = [0.125, 0.25, 0.625, 0.75]"))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    edged = np.pad(stored(manifest, 24), ((0, 0), (6, 6), (0, 12), (0, 0)), mode="edge")
    shrunk = np.stack([cv2.resize(each, (12, 12), interpolation=cv2.INTER_AREA) for each in edged])
    wanted = softmax((shrunk / 255).mean(axis=(1, 2)) @ weights(3, 7), axis=1)
    found = answers(manifest, path, describe(tmp_path, "crop = [0, -0.25, 1.5, 1.25]"))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_outputs_that_are_no_expression_are_left_out(make_build: Callable[..., Path], tmp_path: Path) -> None:
    manifest = make_build()
    classes = ("neutral", "-", "happy", "sad", "-")
    means = (stored(manifest, SIDE_PX) / 255).mean(axis=(1, 2))
    scores = (means @ weights(3, 5))[:, [0, 2, 3]]
    for is_softmax in (False, True):
        path = write_network(tmp_path / "model.onnx", outputs=5, softmax=is_softmax, second_output=True)
        described = describe(tmp_path, classes=classes)
        facts = open_network(path, described, device="cpu").facts
        assert facts.classes == ("neutral", "happiness", "sadness")
        # both are the same: what is left of probabilities is scaled to sum to 1
        np.testing.assert_allclose(answers(manifest, path, described), softmax(scores, axis=1), atol=1e-5)


def test_what_tables_and_leaderboards_say_of_it(make_build: Callable[..., Path], tmp_path: Path) -> None:
    path = write_network(tmp_path / "model.onnx")
    plain = open_network(path, describe(tmp_path), device="cpu")
    assert (plain.facts.name, plain.facts.kind, plain.facts.classes) == ("model", "onnx", OURS)
    said = ('name = "Somebody\'s network"', 'trained_on = ["fer2013"]', 'selected_by = "accuracy on the test part"')
    found = open_network(path, describe(tmp_path, *said), device="cpu")
    assert found.facts.name == "Somebody's network"
    assert found.facts.sha256 != plain.facts.sha256 and len(plain.facts.sha256) == 64
    provenance = found.provenance((question_of(make_build()),))
    assert provenance.trained_on == ("fer2013",) and provenance.selected_by == "accuracy on the test part"
    assert provenance.overlap is None and provenance.marks == ("training faces unknown",)


@pytest.mark.parametrize(
    ("network", "lines", "message"),
    [
        ({}, ["size_px = 13"], "takes images of 12x12 pixels, but its description says size_px = 13"),
        ({"outputs": 8}, [], r"returns answers \['n', 8\]; exactly one output must have the 7 classes"),
        ({"outputs": 7, "channels": 1}, [], 'takes grey images; write colour = "grey"'),
        ({"channels": 5}, [], r"neither the second nor the last dimension is that of 1 or 3 channels"),
        ({"batch": 4}, [], "takes batches of 4 images only"),
        ({"kind": TensorProto.INT64}, [], r"takes tensor\(int64\)"),
        ({"kind": TensorProto.UINT8}, ["mean = 0.5"], "leave scale, mean and std out"),
        ({"outputs": 3, "second_output": True}, ['classes = ["happy", "sad", "fear"]'], "exactly one output"),
    ],
)
def test_a_network_that_its_description_does_not_fit(
    tmp_path: Path, network: dict[str, Any], lines: list[str], message: str
) -> None:
    keys = {"size_px": f"size_px = {SIDE_PX}", "classes": f"classes = {list(FOREIGN)}"}
    keys |= {line.partition(" ")[0]: line for line in lines}
    (tmp_path / "model.toml").write_text("\n".join(keys.values()))
    path = write_network(tmp_path / "model.onnx", **network)
    with pytest.raises(OccFERError, match=message):
        open_network(path, tmp_path / "model.toml", device="cpu")


def _elsewhere(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[1]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def _endless(model: onnx.ModelProto) -> None:
    del model.graph.node[1:3]
    model.graph.node.extend(
        [
            onnx.helper.make_node("Expand", ["numbers", "axes"], ["large"]),
            onnx.helper.make_node("ReduceMean", ["large"], ["scores"], keepdims=0),
        ]
    )
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.array([1, 3, 90_000, 90_000]), "axes"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_elsewhere, "keeps the tensor 'weights' in another file, which is refused"),
        (_endless, "'large' has the size|sizes do not fit"),
        (lambda model: model.graph.input.add().CopyFrom(model.graph.input[0]), "must take one batch of images"),
        (lambda model: model.graph.ClearField("node"), "is not an ONNX file, or holds no graph"),
    ],
)
def test_a_hostile_file_is_refused(tmp_path: Path, change: Callable[[onnx.ModelProto], Any], message: str) -> None:
    path = changed(write_network(tmp_path / "model.onnx"), change)
    with pytest.raises(CheckpointError, match=message):
        open_network(path, describe(tmp_path), device="cpu")
    with pytest.raises(CheckpointError, match="not found"):
        open_network(tmp_path / "gone.onnx", describe(tmp_path), device="cpu")
    with pytest.raises(ConfigError, match=r"gone\.toml cannot be read"):
        open_network(path, tmp_path / "gone.toml", device="cpu")


def test_words_of_the_toy_builds_are_those_of_occsynth() -> None:
    assert set(OURS) == set(WORDS)
