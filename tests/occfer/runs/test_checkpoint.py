"""Checkpoints: nothing is executed, nothing half-written is ever read, everything comes back."""

import os
import pickle
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from safetensors.torch import save_file

from occfer.errors import CheckpointError, DamagedError
from occfer.methods import OPTIMIZERS, OptimizerSettings, make_optimizer
from occfer.models.classifier import build_classifier
from occfer.models.decoder import Decoder
from occfer.runs import checkpoint
from occfer.runs.checkpoint import (
    load,
    load_header,
    load_model,
    optimizer_state,
    prefixed,
    read_model_info,
    restore_optimizer,
    save,
    save_model,
    under,
)
from occfer.runs.model_info import ModelInfo
from tests.occfer.damage import DAMAGES, damage, flipped

INFO = ModelInfo("full", "occluded", "occluded", "tiny", ("anger", "fear"), 24)


class _Evil:
    """Its pickle runs a command when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("writer", ["pickle", "torch"])
@pytest.mark.parametrize("reader", [load, load_model, read_model_info])
def test_a_hostile_file_is_refused_and_not_run(tmp_path: Path, writer: str, reader: Any) -> None:
    path, proof = tmp_path / "best.safetensors", tmp_path / "was-run"
    if writer == "pickle":
        path.write_bytes(pickle.dumps(_Evil(proof)))
    else:
        torch.save({"classifier": _Evil(proof)}, path)
    with pytest.raises(CheckpointError, match=r"is damaged or not a safetensors file.*nothing in it was executed"):
        reader(path)
    assert not proof.exists()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    save(path, {"weights": torch.arange(1000.0)}, {"kind": "training"})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is damaged"):
        load(path)


@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_a_damaged_file_is_refused(tmp_path: Path, how: str) -> None:
    path = tmp_path / "last.safetensors"
    save(path, {"weights": torch.arange(1000.0)}, {"kind": "training"})
    damage(path, how)
    with pytest.raises(CheckpointError, match=r"last\.safetensors (is|not)"):
        load(path)


def test_a_flipped_bit_is_noticed_wherever_it_lies(tmp_path: Path) -> None:
    """Or it changes nothing that is read, such as the padding between header and tensors."""
    path = tmp_path / "last.safetensors"
    tensors = {
        "half": torch.ones(3, dtype=torch.bfloat16), "count": torch.tensor(3), "none": torch.zeros(0),
        "yes": torch.tensor([True, False]),
    }  # fmt: skip
    save(path, tensors, {"kind": "training", "round": 12, "best": [0.5, -0.25]})
    content, (_, written) = path.read_bytes(), load(path)
    refused = 0
    for place in range(len(content)):
        path.write_bytes(flipped(content, place))
        try:
            read, header = load(path)
        except CheckpointError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        assert {name: value for name, value in header.items() if name in written} == written
        assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
    assert refused > 0.8 * len(content)


def test_a_header_is_checked_without_its_tensors(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    save(path, {"weights": torch.arange(1000.0)}, {"kind": "training", "round": 12})
    path.write_bytes(flipped(path.read_bytes(), len(path.read_bytes()) - 1))
    assert load_header(path)["round"] == 12
    path.write_bytes(path.read_bytes().replace(b'\\"round\\": 12', b'\\"round\\": 13'))
    with pytest.raises(DamagedError, match="its checksums differ"):
        load_header(path)


def test_files_of_version_0_1_have_no_checksums(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    save_file({"weights": torch.zeros(2)}, path, metadata={"occfer": '{"format": 1, "kind": "training"}'})
    assert load(path)[1] == {"format": 1, "kind": "training"}
    for sums in ("5", "[]", "[1]", '"ab"', "{}"):
        save_file({"weights": torch.zeros(2)}, path, metadata={"occfer": f'{{"format": 1, "checksums": {sums}}}'})
        with pytest.raises(DamagedError, match="its checksums differ"):
            load(path)


def test_other_files_say_what_they_are(tmp_path: Path, tiny_backbone: None) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(CheckpointError, match=r"not found; checkpoints are in the folder checkpoints/ of a run folder"):
        load(path)
    save_file({"fc.weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=r"not one of occfer; give bare weights to --weights"):
        load(path)
    save(path, {}, {"kind": "training"})
    with pytest.raises(CheckpointError, match=r"state of an unfinished run, not a model"):
        load_model(path)
    save(path, {}, {"kind": "model", "method": "full"})
    with pytest.raises(CheckpointError, match="is incomplete"):
        load_model(path)
    save(path, {}, {"format": 99})
    with pytest.raises(CheckpointError, match="has the format 99; this version reads 1"):
        load(path)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.safetensors"
    save(path, {"step": torch.tensor(1)}, {})

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match=r"cannot be written \(.*No space left.*--out"):
        save(path, {"step": torch.tensor(2)}, {})
    monkeypatch.undo()
    assert load(path)[0]["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_is_read_back_with_what_its_file_says(tmp_path: Path, tiny_backbone: None) -> None:
    classifier, decoder = build_classifier("tiny", 2), Decoder(16)
    path = tmp_path / "run" / "checkpoints" / "best.safetensors"
    save_model(path, classifier.state_dict(), decoder.state_dict(), INFO)
    images = torch.rand(2, 3, 24, 24)
    before = torch.random.get_rng_state()
    for given in (path, tmp_path / "run"):
        model = load_model(given)
        assert model.info == read_model_info(path) == INFO
        assert not model.classifier.training and model.decoder is not None
        assert torch.equal(model.classifier(images), classifier.eval()(images))
    assert torch.equal(before, torch.random.get_rng_state())
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_weights_that_do_not_fit_are_named(tmp_path: Path, tiny_backbone: None) -> None:
    path = tmp_path / "best.safetensors"
    save_model(path, build_classifier("tiny", 5).state_dict(), None, INFO)
    with pytest.raises(CheckpointError, match=r"the weights do not fit the network.*fc"):
        load_model(path)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_restored_optimizer_continues_bit_for_bit(tmp_path: Path, name: str) -> None:
    def network() -> torch.nn.Linear:
        layer = torch.nn.Linear(4, 3)
        torch.nn.init.constant_(layer.weight, 0.1)
        return layer

    def step(layer: torch.nn.Linear, optimizer: torch.optim.Optimizer, number: int) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(layer(torch.full((2, 4), 0.3 * number)).square().sum())
        optimizer.step()

    settings = OptimizerSettings(name, weight_decay=0.01)
    first = network()
    optimizer = make_optimizer(first, 0.1, settings)
    for number in range(3):
        step(first, optimizer, number)
    tensors, values = optimizer_state(optimizer)
    path = tmp_path / "last.safetensors"
    save(path, prefixed("network", first.state_dict()) | prefixed("optimizer", tensors), {"optimizer": values})
    read, header = load(path)
    second = network()
    second.load_state_dict(under("network", read))
    restored = make_optimizer(second, 0.1, settings)
    restore_optimizer(restored, under("optimizer", read), header["optimizer"])
    for number in range(3, 6):
        step(first, optimizer, number)
        step(second, restored, number)
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)


def test_another_optimizers_state_is_refused() -> None:
    two = make_optimizer(torch.nn.Linear(2, 2), 0.1, OptimizerSettings())
    one = make_optimizer(torch.nn.Linear(2, 2, bias=False), 0.1, OptimizerSettings())
    tensors, values = optimizer_state(two)
    with pytest.raises(CheckpointError, match="optimizer's state does not fit this run"):
        restore_optimizer(one, tensors, values)


@pytest.mark.parametrize("reader", [load, load_model, read_model_info])
@pytest.mark.parametrize(
    ("name", "old", "kind"),
    [
        ("x.pth", False, "a PyTorch file of weights, which `occfer train` takes as initial weights with --weights"),
        ("x.pth.tar", False, "a PyTorch file of weights"),
        ("X.PTH", True, "a PyTorch file of weights"),
        ("x.bin", True, "a PyTorch file of weights"),
        ("x.onnx", None, "an ONNX file, which only `occfer predict` takes"),
        ("x.pt2", None, r"a program that torch exported \(.pt2\), which only `occfer predict` takes"),
    ],
)
def test_a_sound_file_of_another_kind_is_called_what_it_is(
    tmp_path: Path, name: str, old: bool | None, kind: str, reader: Any
) -> None:
    path = tmp_path / name
    if old is not None:
        torch.save({"conv1.weight": torch.zeros(3)}, path, _use_new_zipfile_serialization=not old)
    elif name.endswith(".onnx"):
        path.write_bytes(onnx.ModelProto(ir_version=10).SerializeToString())
    else:
        torch.export.save(torch.export.export(torch.nn.Linear(1, 1), (torch.zeros(1, 1),)), path)
    with pytest.raises(CheckpointError, match=f"{name} is {kind}.*best.safetensors") as raised:
        reader(path)
    assert not isinstance(raised.value, DamagedError) and "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["x.pth", "x.onnx", "x.pt2"])
def test_a_damaged_file_of_another_kind_is_damaged(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(DamagedError, match="is damaged or not a safetensors file"):
        load(tmp_path / name)
