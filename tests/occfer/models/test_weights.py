import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import mobilenet_v2, resnet18

from occfer.errors import WeightsError
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.weights import load_weights

RESNET18_FILE = "resnet18-f37072fd.pth"  # as torchvision names it


def state_of(classes: int = 1000) -> dict[str, Tensor]:
    """A torchvision state dict with numbers that no random initialisation draws."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(3)
        state: dict[str, Tensor] = resnet18(num_classes=classes).state_dict()
    return state


def branch(classes: int = 7) -> Classifier:
    return build_classifier("resnet18", classes)


def body(classifier: Classifier) -> dict[str, Tensor]:
    """The weights without the last layer, by torchvision's names."""
    state = {key.removeprefix("network."): value for key, value in classifier.state_dict().items()}
    return {key: value.clone() for key, value in state.items() if not key.startswith("fc.")}


def same(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, theirs[key]) for key, value in mine.items())


def write_safetensors(state: dict[str, Tensor], folder: Path) -> Path:
    save_file(state, folder / "weights.safetensors")
    return folder / "weights.safetensors"


def write_pth(state: dict[str, Tensor], folder: Path) -> Path:
    torch.save(state, folder / "weights.pth")
    return folder / "weights.pth"


def write_nested(state: dict[str, Tensor], folder: Path) -> Path:
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, folder / "w.pth")
    return folder / "w.pth"


def write_model_file(state: dict[str, Tensor], folder: Path) -> Path:
    ours = {f"classifier.network.{key}": value for key, value in state.items()}
    return write_safetensors(ours | {"decoder.layers.0.weight": torch.zeros(2)}, folder)


@pytest.mark.parametrize("write", [write_safetensors, write_pth, write_nested, write_model_file])
@pytest.mark.parametrize("classes", [7, 1000])
def test_a_file_gives_the_same_weights_however_it_is_wrapped(
    tmp_path: Path, write: Callable[[dict[str, Tensor], Path], Path], classes: int
) -> None:
    state, classifier = state_of(classes), branch()
    path = write(state, tmp_path)
    notes = load_weights(classifier, path)
    assert same(body(classifier), state)
    said = "7 units too and was kept" if classes == 7 else "1000 units was dropped; the one for 7 classes starts"
    assert len(notes) == 1
    assert said in notes[0]
    assert str(path) in notes[0]
    head = classifier.state_dict()["network.fc.weight"]
    assert head.shape == (7, 512)
    assert torch.equal(head, state["fc.weight"]) == (classes == 7)


def test_our_own_state_dict_is_read_back(tmp_path: Path) -> None:
    first, second = build_classifier("mobilenet_v2", 7), build_classifier("mobilenet_v2", 7)
    load_weights(second, write_safetensors(first.state_dict(), tmp_path))
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())


def test_mobilenets_classifier_is_not_taken_for_a_model_file_of_ours(tmp_path: Path) -> None:
    """torchvision calls its head `classifier.1`; our model files call the whole branch `classifier`."""
    state = mobilenet_v2(num_classes=5).state_dict()
    notes = load_weights(build_classifier("mobilenet_v2", 7), write_pth(state, tmp_path))
    assert "5 units was dropped" in notes[0]


def test_a_file_without_a_head_or_counters_is_enough(tmp_path: Path) -> None:
    state = {k: v for k, v in state_of().items() if not k.startswith("fc.") and not k.endswith("num_batches_tracked")}
    classifier = branch()
    assert "it has no last layer" in load_weights(classifier, write_pth(state, tmp_path))[0]
    assert torch.equal(classifier.state_dict()["network.conv1.weight"], state["conv1.weight"])


def test_half_precision_files_are_widened(tmp_path: Path) -> None:
    state = {key: value.half() if value.is_floating_point() else value for key, value in state_of(7).items()}
    classifier = branch()
    load_weights(classifier, write_safetensors(state, tmp_path))
    assert classifier.state_dict()["network.conv1.weight"].dtype == torch.float32


def changed(state: dict[str, Tensor], **edits: Tensor | None) -> dict[str, Tensor]:
    renamed = {key.replace("__", "."): value for key, value in edits.items()}
    merged = state | {key: value for key, value in renamed.items() if value is not None}
    return {key: value for key, value in merged.items() if key not in renamed or renamed[key] is not None}


@pytest.mark.parametrize(
    ("edits", "listed"),
    [
        ({"conv1__weight": None}, r"1 missing: conv1\.weight"),
        ({"extra__weight": torch.zeros(1)}, r"1 unexpected: extra\.weight"),
        ({"conv1__weight": torch.zeros(64, 1, 7, 7)}, r"1 of another shape: conv1\.weight"),
    ],
)
def test_any_other_difference_is_an_error_that_changes_nothing(
    tmp_path: Path, edits: dict[str, Tensor | None], listed: str
) -> None:
    classifier = branch()
    before = body(classifier)
    with pytest.raises(WeightsError, match=f"does not fit the backbone ResNet .{listed}.*--backbone"):
        load_weights(classifier, write_pth(changed(state_of(), **edits), tmp_path))
    assert same(before, body(classifier))


def test_another_backbones_file_is_listed_but_not_at_full_length(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"missing: .* and \d+ more; \d+ unexpected: .*features\.0.* and \d+ more"):
        load_weights(branch(), write_pth(mobilenet_v2().state_dict(), tmp_path))


class Bomb:
    """What a malicious file holds: unpickling it would create the file that it names."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    trace, path = tmp_path / "ran", tmp_path / "evil.pth"
    content = state_of() | {"bomb": Bomb(trace)}
    if how == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(WeightsError, match=r"evil\.pth was refused: it .* holds more than tensors") as caught:
        load_weights(branch(), path)
    assert "can still be loaded" not in str(caught.value)  # torch's advice
    assert not trace.exists()
    with path.open("rb") as file:  # loaded without protection, it does run
        (torch.load(file, weights_only=False) if how == "torch" else pickle.load(file))  # noqa: S301
    assert trace.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.pth", None, r"absent\.pth: no such file; give imagenet, none, or a"),
        ("noise.pth", b"\x80\x02noise", "was refused"),
        ("empty.pth", b"", "was refused"),
        ("noise.safetensors", b"\x80\x02noise", "is not a readable safetensors file"),
        ("weights.h5", b"", r"unknown ending '\.h5'"),
    ],
)
def test_files_that_are_not_weights_are_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load_weights(branch(), tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {3: torch.zeros(1)}, torch.zeros(3)])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match=r"odd\.pth does not hold a state dict, which maps names to tensors"):
        load_weights(branch(), tmp_path / "odd.pth")


def test_none_keeps_the_random_weights() -> None:
    classifier = branch()
    before = body(classifier)
    assert load_weights(classifier, "none") == ["random initial weights"]
    assert same(before, body(classifier))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's cache in a folder of this test, and no network."""

    def offline(url: str, *_: object, **__: object) -> None:
        raise URLError(f"no route to {url}")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def test_imagenet_weights_come_from_torchvisions_cache(hub: Path) -> None:
    torch.save(state_of(), hub / RESNET18_FILE)
    classifier = branch()
    head = classifier.state_dict()["network.fc.weight"].clone()
    assert load_weights(classifier, "imagenet") == []
    assert same(body(classifier), state_of())
    assert torch.equal(classifier.state_dict()["network.fc.weight"], head)


def test_the_imagenet_head_is_dropped_even_if_its_size_fits(hub: Path) -> None:
    torch.save(state_of(), hub / RESNET18_FILE)
    classifier = branch(classes=1000)
    load_weights(classifier, "imagenet")
    assert not torch.equal(classifier.state_dict()["network.fc.weight"], state_of()["fc.weight"])


def test_without_a_network_the_error_names_file_cache_and_flags(hub: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_weights(branch(), "imagenet")
    for part in (RESNET18_FILE, str(hub), "--weights FILE", "--weights none", "no route to"):
        assert part in str(caught.value)


def test_a_malicious_file_in_the_cache_is_not_run(hub: Path, tmp_path: Path) -> None:
    torch.save(state_of() | {"bomb": Bomb(tmp_path / "ran")}, hub / RESNET18_FILE)
    with pytest.raises(WeightsError, match=RESNET18_FILE):
        load_weights(branch(), "imagenet")
    assert not (tmp_path / "ran").exists()
