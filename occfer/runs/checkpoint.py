"""Checkpoints: each is one safetensors file, tensors and a JSON header; nothing in it is ever executed.

A file is written under another name, flushed to the disk and renamed, so a reader meets the old or the new one. The
header holds checksums of itself and of the tensors, which are compared when they are read; files of version 0.1 have
none.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn, optim

from occfer.errors import CheckpointError, ConfigError, DamagedError, UnknownNameError
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.decoder import Decoder, width_of
from occfer.models.weight_names import is_weights_name
from occfer.runs.model_info import ModelInfo, info_of_header
from occsynth.files import replacing
from occsynth.reading import one_line, parse_json

HEADER = "occfer"
FORMAT = 1  # increased when files of an older version can no longer be read
# CRC-32 finds accidents, and reads a file as fast as the disk gives it. They stand in the header, since safetensors
# would write several entries of metadata in an order that differs from process to process.
CHECKSUMS = "checksums"

Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model file in memory: networks in eval mode on the CPU, with a decoder if the method trains one."""

    classifier: Classifier
    decoder: Decoder | None
    info: ModelInfo


def save(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes a file atomically.

    Args:
        path: where; an existing file is replaced.
        tensors: on any device.
        header: JSON values.

    Raises:
        CheckpointError: it cannot be written; an existing file is as it was.
    """
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.touch()
            mode = part.stat().st_mode  # the umask decides; safetensors would shut out all but the owner
            save_file(content, part, metadata={HEADER: _header_text(header, content)})
            part.chmod(mode)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be written ({error}); free some space or choose another folder with --out"
        ) from error


def _header_text(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    plain = {"format": FORMAT} | dict(header)
    sums = [_header_crc(json.loads(json.dumps(plain))), _tensors_crc(tensors)]
    return json.dumps(plain | {CHECKSUMS: sums})


def _header_crc(header: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(header, sort_keys=True).encode())


def _tensors_crc(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 over the tensors' names, types, shapes and bytes."""
    crc = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        crc = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), crc)
        crc = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc


def load(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors on the CPU, and the header.

    Raises:
        DamagedError: it is damaged: no safetensors file, or its checksums differ.
        CheckpointError: it is missing, not a checkpoint of occfer, or of another version.
    """
    return _read(path, with_tensors=True)


def load_header(path: Path) -> dict[str, Any]:
    """The header alone; raises CheckpointError as `load` does."""
    return _read(path, with_tensors=False)[1]


def _read(path: Path, *, with_tensors: bool) -> tuple[Tensors, dict[str, Any]]:
    if not path.is_file():
        raise CheckpointError(f"{path} not found; checkpoints are in the folder checkpoints/ of a run folder")
    tensors: Tensors = {}
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER, "null")
            if with_tensors:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a mapping
    except (OSError, SafetensorError, ValueError) as error:
        if other := _other_kind(path):
            raise CheckpointError(
                f"{path} is {other}; a model that occfer trained is a run folder, or its checkpoints/best.safetensors"
            ) from error
        raise DamagedError(
            f"{path} is damaged or not a safetensors file ({one_line(error)}); nothing in it was executed"
        ) from error
    header = parse_json(text, f"the header of {path}", DamagedError)
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} is a safetensors file, but not one of occfer; give bare weights to --weights")
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path} has the format {repr(header.get('format'))[:80]}; this version reads {FORMAT}")
    sums = header.pop(CHECKSUMS, None)
    if sums is not None and not _fits(sums, header, tensors if with_tensors else None):
        raise DamagedError(f"{path} is not as it was written: its checksums differ; nothing in it was executed")
    return tensors, header


def _other_kind(path: Path) -> str:
    """What a file is that others take for a checkpoint, and what takes it; empty if it is none of these, or damaged."""
    if path.suffix == ".safetensors":
        return ""
    if path.suffix.lower() == ".onnx" and _starts(path, b"\x08"):  # the field of the version, which stands first
        return "an ONNX file, which only `occfer predict` takes, if `occfer export` wrote it"
    names: list[str] = []
    if zipfile.is_zipfile(path):
        with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
    if "models/model.json" in names:
        return "a program that torch exported (.pt2), which only `occfer predict` takes, if `occfer export` wrote it"
    if "data.pkl" in names or (is_weights_name(path.name) and _starts(path, b"\x80")):
        return "a PyTorch file of weights, which `occfer train` takes as initial weights with --weights"
    return ""


def _starts(path: Path, first: bytes) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(first)) == first
    return False


def _fits(sums: object, header: Mapping[str, Any], tensors: Tensors | None) -> bool:
    """Whether a file's checksums are those of its header and, where they were read, of its tensors."""
    if not isinstance(sums, list) or len(sums) != 2 or sums[0] != _header_crc(header):
        return False
    return tensors is None or bool(sums[1] == _tensors_crc(tensors))


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The tensors under `prefix.name`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """The inverse of `prefixed`: the tensors under the prefix, by their bare names."""
    return {name.removeprefix(f"{prefix}."): each for name, each in tensors.items() if name.startswith(f"{prefix}.")}


def optimizer_state(optimizer: optim.Optimizer) -> tuple[Tensors, dict[str, Any]]:
    """An optimizer's state as flat tensors and JSON values; see `restore_optimizer`."""
    state = optimizer.state_dict()
    tensors: Tensors = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    return tensors, {"groups": state["param_groups"], "plain": plain}


def restore_optimizer(optimizer: optim.Optimizer, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Puts the state of `optimizer_state` back; the optimizer must have the same parameters.

    Raises:
        CheckpointError: the state is of another optimizer.
    """
    state: dict[int, dict[str, Any]] = {int(index): dict(entries) for index, entries in values["plain"].items()}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    # JSON has no tuples, and Adam's betas are one.
    groups = [
        {name: tuple(value) if name == "betas" else value for name, value in group.items()}
        for group in values["groups"]
    ]
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"the optimizer's state does not fit this run ({error}); start the run again") from error


def restore_module(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Puts weights into a module, all of them.

    Raises:
        CheckpointError: names or shapes differ.
    """
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{what}: the weights do not fit the network ({one_line(error)})") from error


def save_model(path: Path, classifier: Tensors, decoder: Tensors | None, info: ModelInfo) -> None:
    """Writes a model file: what `load_model`, evaluation, prediction and export read.

    Args:
        path: of the file.
        classifier, decoder: state dicts.
        info: what the file says of them.

    Raises:
        CheckpointError: it cannot be written.
    """
    tensors = prefixed("classifier", classifier) | prefixed("decoder", decoder or {})
    save(path, tensors, {"kind": "model"} | asdict(info))


def load_model(path: Path) -> Model:
    """Reads a model file, or the final model of a run folder.

    Raises:
        CheckpointError: it is missing, damaged, not a model file, or of a backbone that this version does not know.
    """
    path = model_file(path)
    tensors, header = load(path)
    info = info_of_header(header, path)
    build = partial(
        build_classifier, info.backbone, len(info.classes),
        stem=info.stem, size_px=info.size_px, network_px=info.network_px,
    )  # fmt: skip
    weights_found = under("classifier", tensors)
    # Initial weights are drawn before those of the file replace them; the caller's random stream must not notice.
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):  # takes no memory: a file may name a network far larger than its own weights
                _refuse_other_shapes(build(), weights_found, path)
            classifier = build()
        except (UnknownNameError, ConfigError) as error:
            raise CheckpointError(f"{path}: {error}") from error
        restore_module(classifier, weights_found, str(path))
        decoder = None
        if weights := under("decoder", tensors):
            decoder = Decoder(classifier.feature_channels, classifier.feature_stride, width_of(weights))
            restore_module(decoder, weights, str(path))
            decoder.eval().requires_grad_(False)
    return Model(classifier.eval().requires_grad_(False), decoder, info)


def _refuse_other_shapes(module: nn.Module, tensors: Tensors, path: Path) -> None:
    """Raises CheckpointError, naming the first one, if a module's weights differ from a file's in name or shape."""
    needed = {name: tuple(weights.shape) for name, weights in module.state_dict().items()}
    found = {name: tuple(weights.shape) for name, weights in tensors.items()}
    wrong = next((name for name in sorted({*needed, *found}) if needed.get(name) != found.get(name)), None)
    if wrong is not None:
        sides = (f"{what} {shapes.get(wrong, 'none')}" for what, shapes in (("needs", needed), ("the file has", found)))
        raise CheckpointError(f"{path}: the weights do not fit the network: '{wrong[:200]}' {', '.join(sides)}")


def model_file(path: Path) -> Path:
    """The model file of a path: the final model of a run folder, or the file itself."""
    return path / "checkpoints" / "best.safetensors" if path.is_dir() else path


def read_model_info(path: Path) -> ModelInfo:
    """What a model file says of its model, without reading the weights; raises CheckpointError as `load_model` does."""
    path = model_file(path)
    return info_of_header(load_header(path), path)
