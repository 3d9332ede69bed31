"""Grad-CAM against networks whose answer is known, over all backbones, and what has no Grad-CAM."""

from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from occfer.baselines import BASELINES
from occfer.data.arrays import Images
from occfer.engine.engine import one_process
from occfer.errors import CheckpointError, ConfigError, MethodError
from occfer.explain import grad_cam
from occfer.explain.grad_cam import Explainer, explainable, on_pictures, refuse_unexplainable
from occfer.methods import METHODS
from occfer.metrics.heat import shares
from occfer.models import BACKBONES, Backbone
from occfer.models.classifier import Classifier, build_classifier
from occfer.runs.checkpoint import Model, save
from occfer.runs.model_info import ModelInfo
from tests.occfer.toy_builds import WORDS

SIDE_PX, CELLS = 48, 6
HALF = SIDE_PX // 2
QUADRANTS = {
    "top left": (slice(0, HALF), slice(0, HALF)),
    "top right": (slice(0, HALF), slice(HALF, SIDE_PX)),
    "bottom left": (slice(HALF, SIDE_PX), slice(0, HALF)),
    "bottom right": (slice(HALF, SIDE_PX), slice(HALF, SIDE_PX)),
}


class Looks(nn.Module):
    """The brightness of one quadrant in cells of 8 x 8 pixels; all other cells are 0."""

    def __init__(self, quadrant: str) -> None:
        super().__init__()
        seen = torch.zeros(SIDE_PX, SIDE_PX)
        seen[QUADRANTS[quadrant]] = 1
        self.register_buffer("seen", seen[::8, ::8].clone())
        self.fc = nn.Linear(3, 1000)
        self.cells = nn.AvgPool2d(8)
        self.look = _Mask(self)

    def forward(self, images: Tensor) -> Tensor:
        raise NotImplementedError("the classifier runs the parts")


class _Mask(nn.Module):
    def __init__(self, network: Looks) -> None:
        super().__init__()
        self._seen = [network]

    def forward(self, maps: Tensor) -> Tensor:
        seen: Tensor = self._seen[0].get_buffer("seen")
        return maps * seen


def looking(quadrant: str) -> Explainer:
    """A network for which brightness in a quadrant speaks for the first class, and against the second."""
    plain = (0.0, 0.0, 0.0)
    backbone = Backbone(
        lambda weights=None: Looks(quadrant), "", ("cells", "look"), "cells", 3, "fc", "fc", mean=plain, std=(1.0,) * 3
    )
    classifier = Classifier(backbone, 2)
    with torch.no_grad():
        head = classifier.network.get_submodule("fc")
        assert isinstance(head, nn.Linear)
        head.weight.copy_(torch.tensor([[1.0] * 3, [-1.0] * 3]))
        head.bias.zero_()
    classifier.eval().requires_grad_(False)
    return Explainer(
        Model(classifier, None, ModelInfo("resnet", "occluded", "occluded", "looks", ("a", "b"), SIDE_PX)),
        one_process("cpu"),
    )


def explainer_of(backbone: str, size_px: int = 64, **more: str) -> Explainer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = build_classifier(backbone, len(WORDS), **more)  # type: ignore[arg-type]
    info = ModelInfo("resnet", "occluded", "occluded", backbone, WORDS, size_px)
    return Explainer(Model(classifier.eval().requires_grad_(False), None, info), one_process("cpu"))


def faces(count: int, side_px: int = 64) -> Images:
    return np.random.default_rng(0).integers(0, 256, (count, side_px, side_px, 3), dtype=np.uint8)


@pytest.mark.parametrize("looked_at", QUADRANTS)
def test_heat_lies_where_the_network_looks(looked_at: str) -> None:
    bright = np.full((1, SIDE_PX, SIDE_PX, 3), 200, dtype=np.uint8)
    found = looking(looked_at).heat(bright)
    assert found.maps.shape == (1, CELLS, CELLS) and found.probabilities.argmax() == 0
    heat = on_pictures(found.maps, SIDE_PX)[0]
    measured = {}
    for name, places in QUADRANTS.items():
        mask = np.zeros((SIDE_PX, SIDE_PX), dtype=np.uint8)
        mask[places] = 255
        share_of_face, share_of_heat = shares(heat, mask)
        assert share_of_face == 0.25 and share_of_heat is not None
        measured[name] = share_of_heat
    # between two cells the heat falls over eight pixels, half of which lie in the next quadrant
    assert measured.pop(looked_at) > 0.9
    assert max(measured.values()) < 0.05


def test_what_speaks_against_a_class_is_no_heat() -> None:
    bright = np.full((1, SIDE_PX, SIDE_PX, 3), 200, dtype=np.uint8)
    found = looking("top left").heat(bright, np.array([1]))
    assert not found.maps.any()
    mask = np.full((SIDE_PX, SIDE_PX), 255, dtype=np.uint8)
    assert shares(on_pictures(found.maps, SIDE_PX)[0], mask) == (1.0, None)


def test_the_sum_over_channels_by_hand() -> None:
    """Where a linear layer follows on the mean of the map, a gradient is the layer's weight by the number of cells."""
    explainer = explainer_of("resnet18", 128)
    images = faces(3, 128)
    found = explainer.heat(images)
    network = explainer._classifier
    with torch.no_grad():
        maps = network.last_map(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
        head = network.network.get_submodule("fc")
        assert isinstance(head, nn.Linear)
        answers = network.logits(maps).argmax(dim=1)
        expected = torch.einsum("bchw,bc->bhw", maps, head.weight[answers] / maps[0, 0].numel()).relu()
    assert expected.max() > 0
    np.testing.assert_allclose(found.maps, expected.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("backbone", "stem"),
    [*((name, "full") for name in BACKBONES), ("resnet18", "small"), ("timm:convnext_atto", "full")],
)
def test_every_backbone_is_explained(backbone: str, stem: str) -> None:
    explainer, images = explainer_of(backbone, stem=stem), faces(3)
    found = explainer.heat(images)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = explainer._classifier(batch).double().softmax(dim=1).numpy()
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-4)
    assert found.maps.shape[1] == found.maps.shape[2] == (4 if stem == "small" or backbone == "ir50" else 2)
    assert (found.maps >= 0).all() and np.isfinite(found.maps).all()
    one_by_one = np.concatenate([explainer.heat(images[place : place + 1]).maps for place in range(3)])
    np.testing.assert_allclose(found.maps, one_by_one, rtol=1e-3, atol=1e-4 * found.maps.max())


def test_a_map_of_one_cell_tells_nothing() -> None:
    with pytest.raises(MethodError, match=r"last map of resnet18 has a single cell for faces of 24 px.*--stem small"):
        explainer_of("resnet18", 24).heat(faces(1, 24))


def test_maps_are_enlarged_between_the_centres_of_their_cells() -> None:
    step = np.array([[[0, 1], [0, 1]]], dtype=np.float32)
    np.testing.assert_allclose(on_pictures(step, 4)[0], [[0, 0.25, 0.75, 1]] * 4)
    even = np.full((1, 3, 3), 0.5, dtype=np.float32)
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[:7, 3:9], mask[9:12] = 128, 127
    share_of_face, share_of_heat = shares(on_pictures(even, 20)[0], mask)
    assert share_of_face == share_of_heat == 42 / 400


@pytest.mark.parametrize("method", BASELINES)
def test_baselines_have_no_last_map(method: str, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    info = ModelInfo(method, "occluded", "occluded", "none", WORDS, 24)
    save(path, {"classifier.w": torch.zeros(1)}, {"kind": "model"} | asdict(info))
    with pytest.raises(MethodError, match=f"the method {method} has no network with one last map of the whole face"):
        refuse_unexplainable(path)
    assert method not in explainable()


def test_the_rest_can_be_explained() -> None:
    assert set(explainable()) == set(METHODS)


@pytest.mark.parametrize("ending", [".onnx", ".pt2"])
def test_exported_models_have_no_gradients(ending: str, tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="is an exported model, which answers but gives no gradients"):
        refuse_unexplainable(tmp_path / f"model{ending}")


def test_a_missing_model_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.safetensors not found"):
        refuse_unexplainable(tmp_path / "none.safetensors")


@pytest.fixture
def without_captum(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(grad_cam, "find_spec", lambda name: None if name == "captum" else find_spec(name))
    yield


def test_captum_is_an_extra(without_captum: None) -> None:
    with pytest.raises(ConfigError, match=r"occfer explain needs captum: pip install 'occsynth\[explain\]'"):
        looking("top left")
