"""Model files from elsewhere: whatever they claim, one line comes of it, before any memory is taken for it."""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from occfer.errors import CheckpointError
from occfer.models import BACKBONES
from occfer.runs.checkpoint import CHECKSUMS, HEADER, load_model, read_model_info
from tests.occfer.inference.test_export import write_model
from tests.occfer.toy_builds import TinyNetwork, add_tiny_backbone

Table = dict[str, Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    add_tiny_backbone()
    yield write_model(tmp_path_factory.mktemp("models") / "best.safetensors")
    del BACKBONES["tiny"]


def forged(model: Path, out: Path, change: Callable[[Table], None]) -> Path:
    """A copy of a model file after a change of its table of tensors."""
    content = model.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    change(table)
    header = json.dumps(table).encode()
    out.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + length :])
    return out


def said(**changes: Any) -> Callable[[Table], None]:
    """Changes what a file says of its model, and takes out the checksums: whoever forges a file can compute them."""

    def change(table: Table) -> None:
        header = json.loads(table["__metadata__"][HEADER])
        del header[CHECKSUMS]
        table["__metadata__"][HEADER] = json.dumps(header | changes)

    return change


def said_text(text: str) -> Callable[[Table], None]:
    def change(table: Table) -> None:
        table["__metadata__"][HEADER] = text

    return change


def of_first_tensor(**changes: Any) -> Callable[[Table], None]:
    def change(table: Table) -> None:
        name = next(name for name in table if name != "__metadata__")
        table[name] |= changes

    return change


ENTRY = {"name": "demo-r16", "sha256": "a" * 64, "database": "demo", "test_only": False}
WRONG_TYPES: list[tuple[str, list[Any]]] = [
    ("method", [None, 3, ["full"], {}]),
    ("branch", [None, 3]),
    ("view", [[], 1.5]),
    ("backbone", [None, ["resnet18"]]),
    ("classes", ["anger", 3, None, [], [1], ["a", "a"], ["a", "\n"], ["x" * 101], [""]]),
    ("size_px", ["24", 2.5, True, 0, -1, 10**9, 10**400, None]),
    ("align", [None, 3]),
    ("epoch", ["1", 1.5, None]),
    ("val_accuracy", ["much", [], True]),
    ("val_loss", ["little", {}]),
    ("versions", ["2.0", {"torch": 2}, []]),
    ("config", ["x", [1], 3, None, {"manifests": "a.csv"}, {"manifests": [3]}, {"manifests": ["a.csv"] * 501}]),
    ("config", [{"test_manifests": {"a": 1}}, {"manifests": None}]),
    ("data", ["x", [1], 3, None, {"manifests": "a"}, {"manifests": ["a"]}, {"manifests": [ENTRY | {"name": 3}]}]),
    ("data", [{"manifests": [ENTRY | {"sha256": None}]}, {"manifests": [{"name": "a"}]}, {"fold": "0"}, {"fold": 0.5}]),
    ("data", [{"manifests": [ENTRY | {"test_only": "no"}]}, {"manifests": [ENTRY] * 501}]),
]


CASES = [(name, value) for name, values in WRONG_TYPES for value in values]


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name} {value!r}"[:50] for name, value in CASES])
def test_every_field_of_a_header_has_its_type(model: Path, tmp_path: Path, name: str, value: object) -> None:
    path = forged(model, tmp_path / "bad.safetensors", said(**{name: value}))
    for read in (read_model_info, load_model):
        with pytest.raises(CheckpointError, match=rf"bad\.safetensors.*{name}|bad\.safetensors.*classes") as caught:
            read(path)
        assert len(str(caught.value)) < 400


CLAIMS: dict[str, tuple[Callable[[Table], None], str]] = {
    "deep": (said_text("[" * 100_000), "nested too deep"),
    "large": (said(config={"a": "x" * (33 * 2**20)}), "is larger than"),
    "many values": (said(config={"a": [[]] * 2_000_001}), "holds more than 2,000,000 values"),
    "no JSON": (said_text("{"), "not readable JSON"),
    "no object": (said_text("[]"), "not one of occfer"),
    "name twice": (said_text('{"format": 1, "format": 2}'), "two values of the name 'format'"),
    "half a pair": (said(method="\ud800"), "not readable JSON"),
    "many classes": (said(classes=[str(number) for number in range(100_000)]), "it has 100,000 classes"),
    "overlap": (of_first_tensor(data_offsets=[1, 9]), "is damaged or not a safetensors file"),
    "negative": (of_first_tensor(shape=[-1]), "is damaged or not a safetensors file"),
    "huge": (of_first_tensor(shape=[2**62, 2**62]), "is damaged or not a safetensors file"),
    "other type": (of_first_tensor(dtype="F99"), "is damaged or not a safetensors file"),
    "bits": (of_first_tensor(dtype="BOOL"), "is damaged or not a safetensors file"),
    "empty": (lambda table: table.clear(), "not one of occfer|is damaged"),
}


@pytest.mark.parametrize("how", CLAIMS)
def test_what_a_file_claims_is_checked(model: Path, tmp_path: Path, how: str) -> None:
    change, message = CLAIMS[how]
    path = forged(model, tmp_path / "bad.safetensors", change)
    for read in (read_model_info, load_model):
        with pytest.raises(CheckpointError, match=message):
            read(path)


@pytest.mark.parametrize("length", [0, 1, 300 * 2**20, 2**63, 2**64 - 1])
def test_a_header_of_another_length_than_it_claims_is_refused(model: Path, tmp_path: Path, length: int) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(struct.pack("<Q", length) + model.read_bytes()[8:])
    with pytest.raises(CheckpointError, match=r"bad\.safetensors is damaged or not a safetensors file"):
        load_model(path)


class VastNetwork(TinyNetwork):
    """Too large for any memory: 4 TiB of weights."""

    def __init__(self, weights: None = None) -> None:
        super().__init__(weights)
        self.vast = nn.Linear(2**20, 2**20)


def test_a_file_that_names_a_network_larger_than_its_weights_takes_no_memory(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKBONES, "vast", replace(BACKBONES["tiny"], constructor=VastNetwork))
    path = forged(model, tmp_path / "bad.safetensors", said(backbone="vast"))
    with pytest.raises(CheckpointError, match=r"do not fit the network: '.*bias' needs .*, the file has none"):
        load_model(path)


def test_a_forged_file_that_is_in_order_is_read(model: Path, tmp_path: Path) -> None:
    """So that the others are refused for what they say."""
    config = {"manifests": ["a.csv", "~", "http://x", "a\0b", "y" * 5000], "later": [1]}
    path = forged(model, tmp_path / "good.safetensors", said(config=config, data={"manifests": [ENTRY], "fold": 2}))
    assert load_model(path).info.data["fold"] == 2
