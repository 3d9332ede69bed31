"""PG-CNN and gACNN as a whole: their size, the order of their patches, and their initial weights."""

from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.vgg import VGG, make_layers

from occfer.baselines.patches.network import PatchNetwork, PatchSizes
from occfer.baselines.patches.vgg import load_vgg
from occfer.errors import WeightsError

NARROW = PatchSizes(blocks=(2, 2, 2, 4, 4), gate=(3, 2), feature=2, global_feature=5, hidden=8)
VGG16_FILE = "vgg16-397923af.pth"  # as torchvision names it


def conv(into: int, out: int, side: int = 3) -> int:
    return into * out * side * side + out


# Layer by layer as in the prototxt, with biases.
GATE = conv(512, 128, 1) + conv(128, 64, 1) + conv(64, 1, 1) + 2
PG_UNIT = 2 * conv(512, 512) + GATE + conv(512, 64, 6)
TRUNK = (
    conv(3, 64) + conv(64, 64) + conv(64, 128) + conv(128, 128) + conv(128, 256) + 2 * conv(256, 256)
    + conv(256, 512) + conv(512, 512)
)  # fmt: skip
HEAD = conv(24 * 64, 1024, 1) + conv(1024, 7, 1)
PG_CNN = 2 * 3 + TRUNK + 24 * PG_UNIT + HEAD
GACNN = PG_CNN + 3 * conv(512, 512) + GATE + conv(512, 512, 14) + 512 * 1024


@pytest.mark.parametrize(("global_unit", "count", "million"), [(False, PG_CNN, 150.2), (True, GACNN, 209.3)])
def test_the_networks_are_as_large_as_the_authors(global_unit: bool, count: int, million: float) -> None:
    with torch.device("meta"):  # shapes without memory
        network = PatchNetwork(7, global_unit=global_unit)
        logits = network(torch.zeros(2, 3, 224, 224), torch.zeros(2, 24, 2, dtype=torch.int64))
        features = network.features(torch.zeros(2, 3, 224, 224))
    assert logits.shape == (2, 7)
    assert features.shape == (2, 512, 28, 28)
    assert sum(each.numel() for each in network.parameters()) == count
    assert round(count / 1e6, 1) == million


def narrow(*, global_unit: bool = False, seed: int = 0) -> PatchNetwork:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        return PatchNetwork(7, NARROW, global_unit=global_unit)


@pytest.mark.parametrize("global_unit", [False, True])
def test_the_order_of_the_patches_matters(global_unit: bool) -> None:
    network = narrow(global_unit=global_unit).eval()
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(2, 3, 224, 224, generator=generator)
    centres = torch.randint(20, 200, (2, 24, 2), generator=generator)
    logits = network(images, centres)
    assert logits.shape == (2, 7)
    swapped = centres.clone()
    swapped[:, [3, 11]] = centres[:, [11, 3]]
    assert not torch.allclose(network(images, swapped), logits, atol=1e-4)


def test_dropout_and_batch_norm_follow_the_mode() -> None:
    network = narrow()
    images, centres = torch.rand(4, 3, 224, 224), torch.full((4, 24, 2), 112)
    before = network.normalise.running_mean
    assert before is not None
    before = before.clone()
    assert not torch.equal(network(images, centres), network(images, centres))
    assert not torch.equal(network.normalise.running_mean, before)  # type: ignore[arg-type]  # it keeps statistics
    network.eval()
    assert torch.equal(network(images, centres), network(images, centres))


def vgg16(*, batch_norm: bool = False) -> dict[str, Tensor]:
    """Torchvision's state dict of a VGG-16 as narrow as ours."""
    widths: list[str | int] = [2, 2, "M", 2, 2, "M", 2, 2, 2, "M", 4, 4, 4, "M", 4, 4, 4, "M"]
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(3)
        layers = make_layers(widths, batch_norm=batch_norm)
    model = VGG.__new__(VGG)
    nn.Module.__init__(model)
    model.features, model.classifier = layers, nn.Sequential(nn.Linear(3, 2))
    state: dict[str, Tensor] = model.state_dict()
    return state


def same(one: nn.Module, other: nn.Module) -> bool:
    state = other.state_dict()
    return all(torch.equal(value, state[key]) for key, value in one.state_dict().items())


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [each for each in module.modules() if isinstance(each, nn.Conv2d)]


def write_safetensors(state: dict[str, Tensor], folder: Path) -> Path:
    save_file(state, folder / "vgg16.safetensors")
    return folder / "vgg16.safetensors"


def write_pth(state: dict[str, Tensor], folder: Path) -> Path:
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, folder / "vgg16.pth")
    return folder / "vgg16.pth"


@pytest.mark.parametrize("write", [write_safetensors, write_pth])
@pytest.mark.parametrize(("global_unit", "taken"), [(False, 9), (True, 12)])
def test_the_convolutions_of_vgg16_are_taken_in_their_order(
    tmp_path: Path, write: Callable[[dict[str, Tensor], Path], Path], global_unit: bool, taken: int
) -> None:
    network, untouched = narrow(global_unit=global_unit), narrow(global_unit=global_unit)
    path = write(vgg16(), tmp_path)
    assert load_vgg(network, str(path)) == [
        f"--weights {path}: {taken} convolutions of VGG-16; all other layers start from random weights"
    ]
    theirs = [key for key in vgg16() if key.startswith("features") and key.endswith("weight")]
    own = convolutions(network.trunk) + (convolutions(network.deeper) if network.deeper else [])
    assert len(own) == taken
    for mine, key in zip(own, theirs[:taken], strict=True):
        assert torch.equal(mine.weight, vgg16()[key])
        assert mine.bias is not None and torch.equal(mine.bias, vgg16()[key.replace("weight", "bias")])
    for part in ("units", "head", "normalise"):
        assert same(network.get_submodule(part), untouched.get_submodule(part))


def test_an_earlier_model_is_taken_as_a_whole(tmp_path: Path) -> None:
    earlier, network = narrow(seed=1), narrow(seed=2)
    state = {f"classifier.{key}": value for key, value in earlier.state_dict().items()}
    assert "a whole model" in load_vgg(network, str(write_safetensors(state, tmp_path)))[0]
    assert same(network, earlier)


def test_none_keeps_the_random_weights() -> None:
    network = narrow()
    assert load_vgg(network, "none") == ["random initial weights"]
    assert same(network, narrow())


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (vgg16(batch_norm=True), "missing: features.2.weight"),
        ({"conv1.weight": torch.zeros(1)}, "18 missing: features.0.weight, features.0.bias, features.2.weight"),
        (vgg16() | {"features.0.weight": torch.zeros(64, 3, 3, 3)}, "1 of another shape: features.0.weight"),
    ],
)
def test_other_networks_are_refused_and_change_nothing(tmp_path: Path, state: dict[str, Tensor], message: str) -> None:
    network = narrow()
    with pytest.raises(WeightsError, match="give torchvision's vgg16") as caught:
        load_vgg(network, str(write_safetensors(state, tmp_path)))
    assert message in str(caught.value)
    assert same(network, narrow())


def test_without_a_network_the_error_names_the_file_and_the_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(url: str, *_: object, **__: object) -> None:
        raise URLError(f"no route to {url}")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(WeightsError) as caught:
        load_vgg(narrow(), "imagenet")
    for part in (VGG16_FILE, str(tmp_path), "--weights FILE", "--weights none", "no route to"):
        assert part in str(caught.value)
