"""Weights from Hugging Face: what an address means, and the cache of earlier downloads; there is no network here."""

from importlib.util import find_spec
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from occfer.errors import WeightsError
from occfer.models import hub
from occfer.models.classifier import build_classifier
from occfer.models.hub import weights_file
from occfer.models.weights import load_weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a client that is told that it has no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def downloaded(cache: Path, repository: str, *names: str) -> Path:
    """A repository in the cache, laid out as the client does it: the folder of its files."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    for name in names:
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_bytes(b"")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    return snapshot


@pytest.mark.parametrize(
    ("names", "asked", "taken"),
    [
        (("model.safetensors", "pytorch_model.bin", "config.json"), "", "model.safetensors"),
        (("pytorch_model.bin", "config.json"), "", "pytorch_model.bin"),
        (("ir50.pth", "README.md"), "", "ir50.pth"),
        (("ir50.pth", "face.safetensors"), "", "face.safetensors"),
        (("a.pth", "b.pth", "pytorch_model.bin"), "", "pytorch_model.bin"),
        (("a.safetensors", "b.safetensors"), "/b.safetensors", "b.safetensors"),
        (("model.safetensors", "old/epoch3.pth.tar"), "/old/epoch3.pth.tar", "old/epoch3.pth.tar"),
    ],
)
def test_an_address_means_one_file_of_the_cache(cache: Path, names: tuple[str, ...], asked: str, taken: str) -> None:
    folder = downloaded(cache, "somebody/faces", *names)
    assert weights_file(f"hf://somebody/faces{asked}") == folder / taken


def test_weights_in_the_cache_are_loaded_without_a_network(cache: Path) -> None:
    given, classifier = build_classifier("timm:resnet18", 1000), build_classifier("timm:resnet18", 7)
    state = {key.removeprefix("network."): value for key, value in given.state_dict().items()}
    for repository in ("somebody/faces", "timm/resnet18.a1_in1k"):
        save_file(state, downloaded(cache, repository, "model.safetensors") / "model.safetensors")
    (note,) = load_weights(classifier, "hf://somebody/faces")
    assert note.startswith("--weights hf://somebody/faces: its last layer of 1000 units was dropped")
    assert torch.equal(classifier.state_dict()["network.conv1.weight"], state["conv1.weight"])
    other = build_classifier("timm:resnet18", 1000)
    head = other.state_dict()["network.fc.weight"].clone()
    assert load_weights(other, "imagenet") == []  # timm's own, and without their last layer
    assert torch.equal(other.state_dict()["network.conv1.weight"], state["conv1.weight"])
    assert torch.equal(other.state_dict()["network.fc.weight"], head)


@pytest.mark.parametrize("address", ["hf://", "hf://somebody", "hf://somebody/", "hf:///faces"])
def test_an_address_without_a_repository_is_refused(cache: Path, address: str) -> None:
    with pytest.raises(WeightsError, match=f"--weights {address}: must be hf://ORG/NAME, or hf://ORG/NAME/FILE"):
        weights_file(address)


@pytest.mark.parametrize("address", ["hf://somebody/faces", "hf://somebody/faces/model.safetensors", "hf://a b/c"])
def test_without_a_network_one_line_says_where_it_looked(cache: Path, address: str) -> None:
    downloaded(cache, "somebody/faces", "config.json")
    with pytest.raises(WeightsError, match=f"--weights {address} could not be downloaded .*and is not in") as raised:
        weights_file(address)
    assert "\n" not in str(raised.value) and str(cache) in str(raised.value) and "--weights none" in str(raised.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.pth", "b.pth"], "has no model.safetensors; name one of its files, such as hf://o/n/a.pth"),
        (["README.md"], "has no model.safetensors; it holds no weights"),
    ],
)
def test_a_repository_of_which_no_file_follows_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], said: str
) -> None:
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_: names)
    with pytest.raises(WeightsError, match=said):
        weights_file("hf://o/n")


def test_without_the_client_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda name: None if name == "huggingface_hub" else find_spec(name))
    with pytest.raises(WeightsError, match=r"needs huggingface-hub: pip install 'occsynth\[hub\]'"):
        weights_file("hf://somebody/faces")
