import argparse
import os
import pickle
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import mobilenet_v2, resnet18

from occfer.errors import WeightsError
from occfer.models import BACKBONES
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.weight_files import CONTAINERS
from occfer.models.weights import load_weights
from tests.builds import ROOT

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
    with pytest.raises(WeightsError, match=r"evil\.pth was refused: it .*holds more than tensors") as caught:
        load_weights(branch(), path)
    assert "can still be loaded" not in str(caught.value)  # torch's advice
    assert not trace.exists()
    with path.open("rb") as file:  # loaded without protection, it does run
        (torch.load(file, weights_only=False) if how == "torch" else pickle.load(file))  # noqa: S301
    assert trace.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.pth", None, r"absent\.pth: no such file; give imagenet, none, hf://ORG/NAME, or a file that ends in"),
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


ENDINGS = (".pth", ".pt", ".pth.tar", ".ckpt", ".bin", ".t7", ".PTH", ".PTH.TAR", ".safetensors", ".SafeTensors")


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_of_a_checkpoint_is_read(tmp_path: Path, ending: str) -> None:
    state, classifier, path = state_of(), branch(), tmp_path / f"weights{ending}"
    (save_file if ending.lower() == ".safetensors" else torch.save)(state, path)
    load_weights(classifier, path)
    assert same(body(classifier), state)


@pytest.mark.parametrize("names", [*((name,) for name in CONTAINERS), ("model", "state_dict")])
def test_every_container_is_opened(tmp_path: Path, names: tuple[str, ...]) -> None:
    state, classifier = state_of(), branch()
    content: dict[str, Any] = dict(state)
    for name in reversed(names):
        content = {"epoch": 3, "best_acc": 0.8, "optimizer": {"state": {}}, name: content}
    torch.save(content, tmp_path / "weights.pth")
    load_weights(classifier, tmp_path / "weights.pth")
    assert same(body(classifier), state)


PREFIXES = (
    "module.", "backbone.", "model.", "encoder.", "module.encoder_q.", "module.model.backbone.", "model.encoder.",
)  # fmt: skip


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_prefix_is_taken_off(tmp_path: Path, prefix: str, name: str) -> None:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(3)
        given = build_classifier(name, 8)
    state = {key.removeprefix("network."): value for key, value in given.state_dict().items()}
    classifier = build_classifier(name, 7)
    notes = load_weights(classifier, write_pth({f"{prefix}{key}": value for key, value in state.items()}, tmp_path))
    head = BACKBONES[name].head
    found = {key.removeprefix("network."): value for key, value in classifier.state_dict().items()}
    assert all(torch.equal(value, state[key]) for key, value in found.items() if not key.startswith(f"{head}."))
    assert len(notes) == 1 and "its last layer of 8 units was dropped" in notes[0]


def test_of_contrastive_training_the_encoder_that_is_trained_is_taken(tmp_path: Path) -> None:
    """MoCo keeps a second encoder, a queue, and two layers in place of the last one."""
    state, classifier = state_of(), branch()
    kept = {key: value for key, value in state.items() if not key.startswith("fc.")}
    both = {f"module.encoder_q.{key}": value for key, value in kept.items()}
    both |= {f"module.encoder_k.{key}": torch.zeros_like(value) for key, value in kept.items()}
    both |= {
        "module.encoder_q.fc.0.weight": torch.zeros(512, 512),
        "module.encoder_q.fc.2.weight": torch.zeros(128, 512),
    }
    both["module.queue"] = torch.zeros(128, 10)
    torch.save({"epoch": 200, "arch": "resnet18", "state_dict": both}, tmp_path / "moco.pth.tar")
    notes = load_weights(classifier, tmp_path / "moco.pth.tar")
    assert same(body(classifier), state)
    assert "its last layer of 128 units was dropped" in notes[0]
    assert "left out, as the backbone has no such part: module.encoder_k." in notes[1]


@pytest.mark.parametrize("classes", [7, 8, 1000, 8631])
def test_a_last_layer_of_another_size_is_dropped_and_said(tmp_path: Path, classes: int) -> None:
    state, classifier = state_of(classes), branch()
    (note,) = load_weights(classifier, write_pth(state, tmp_path))
    assert same(body(classifier), state)
    assert ("was kept" in note) if classes == 7 else (f"its last layer of {classes} units was dropped" in note)


def test_the_embedding_of_face_recognition_is_left_out_and_said(tmp_path: Path) -> None:
    given, classifier = build_classifier("ir50", 7), build_classifier("ir50", 7)
    state = {key.removeprefix("network."): value for key, value in given.state_dict().items()}
    state = {key: value for key, value in state.items() if not key.startswith("fc.")}
    embedding = {"output_layer.0.weight": torch.zeros(512), "output_layer.3.weight": torch.zeros(512, 25088)}
    notes = load_weights(classifier, write_pth(state | embedding, tmp_path))
    assert "it has no last layer" in notes[0]
    assert notes[1].endswith("left out, as the backbone has no such part: output_layer.0.weight, output_layer.3.weight")
    found = classifier.state_dict()
    assert all(torch.equal(found[f"network.{key}"], value) for key, value in state.items())
    with pytest.raises(WeightsError, match="--weights imagenet: this backbone has none"):
        load_weights(classifier, "imagenet")


class Metric:
    """A class of somebody's training code."""


@pytest.mark.parametrize(
    ("beside", "named"),
    [
        ({"args": argparse.Namespace(lr=0.1)}, "argparse.Namespace"),
        ({"best_acc": np.float64(0.8)}, r"numpy\._core\.multiarray\.scalar"),
        ({"metric": Metric()}, "Metric"),
    ],
    ids=["namespace", "scalar", "class"],
)
@pytest.mark.parametrize("old", [False, True], ids=["zip", "legacy"])
def test_what_is_refused_beside_the_weights_is_named_with_the_line_that_converts_it(
    tmp_path: Path, beside: dict[str, Any], named: str, old: bool
) -> None:
    state, path = state_of(), tmp_path / "it's mine.pth.tar"
    torch.save({"state_dict": state, **beside}, path, _use_new_zipfile_serialization=not old)
    with pytest.raises(WeightsError, match=f"was refused: it holds more than tensors.*{named}") as refused:
        load_weights(branch(), path)
    said = str(refused.value)
    assert "\n" not in said
    line = said.partition("convert it once: ")[2]
    assert shlex.split(line)[:2] == ["python", "-c"]
    paths = {"PYTHONPATH": str(ROOT)}  # where the class of the file is
    subprocess.run([sys.executable, *shlex.split(line)[1:]], check=True, env=os.environ | paths)
    classifier = branch()
    load_weights(classifier, tmp_path / "it's mine.safetensors")
    assert same(body(classifier), state)


def test_a_number_among_the_weights_is_named(tmp_path: Path) -> None:
    torch.save(dict(state_of()) | {"best_acc": 0.8, "arch": "resnet18"}, tmp_path / "flat.pth")
    with pytest.raises(WeightsError, match=r"holds best_acc \(float\), arch \(str\) beside its weights; .*python -c"):
        load_weights(branch(), tmp_path / "flat.pth")


def test_another_container_is_named(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "weights_ema": state_of()}, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match=r"nor one under state_dict, .*; it holds epoch, weights_ema$"):
        load_weights(branch(), tmp_path / "odd.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_that_are_not_finite_are_refused_and_change_nothing(
    tmp_path: Path, value: float, dtype: torch.dtype
) -> None:
    state, classifier = state_of(), branch()
    state["layer1.0.conv1.weight"] = torch.full((64, 64, 3, 3), value, dtype=dtype)
    before = body(classifier)
    with pytest.raises(WeightsError, match=r"holds NaN or infinite numbers in layer1\.0\.conv1\.weight"):
        load_weights(classifier, write_pth(state, tmp_path))
    assert same(before, body(classifier))


def test_weights_of_timm_fit_its_network(tmp_path: Path) -> None:
    state = timm.create_model("efficientnet_b0").state_dict()
    classifier = build_classifier("timm:efficientnet_b0", 7)
    (note,) = load_weights(classifier, write_safetensors(state, tmp_path))
    assert "its last layer of 1000 units was dropped" in note
    assert torch.equal(classifier.state_dict()["network.conv_stem.weight"], state["conv_stem.weight"])
