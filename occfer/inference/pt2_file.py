"""Writing and running torch's exported programs (.pt2).

`torch.export.load` must not be used on untrusted files: it unpickles what an archive asks it to, and evaluates
expressions and names that it finds. So an archive is checked to hold only raw tensors, a graph of known operators and
plain words, is copied from what was checked, and only then loaded. Archives of `write_pt2` pass, most others do not.
"""

import io
import logging
import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch._subclasses import FakeTensorMode
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass
from torch.fx import Interpreter, Node

from occfer.data.arrays import Images
from occfer.errors import CheckpointError
from occfer.inference.exported import (
    HEADER_FILE,
    IMAGES,
    MOST_NODES,
    ExportedInfo,
    ExportedPredictor,
    Logits,
    largest_value,
)
from occfer.runs.environment import torch_device
from occsynth.reading import one_line, parse_json

LARGEST_BYTES = 2**31 - 1
_MODEL = "models/model.json"
_PAYLOADS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_HEADER = f"extra/{HEADER_FILE}"
_NEEDED = {_MODEL, *_PAYLOADS, _HEADER}
# Example inputs would be a pickle; the file is empty if the program has none.
_EMPTY = "data/sample_inputs/model.pt"
_TENSOR_RECORD = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
_MARKS = {"archive_format", "archive_version", "byteorder", ".data/version", ".data/serialization_id"}

_OPERATORS = {
    f"torch.ops.aten.{name}"
    for name in (
        *("permute.default", "to.dtype", "_assert_tensor_metadata.default", "div.Tensor", "sub.Tensor", "add.Tensor"),
        *("add_.Tensor", "mul.Tensor", "conv2d.default", "batch_norm.default", "relu.default", "relu_.default"),
        *("hardtanh.default", "hardtanh_.default", "sigmoid.default", "max_pool2d.default", "mean.dim"),
        *("dropout.default", "linear.default", "flatten.using_ints", "cat.default", "reshape.default"),
        # of the enlarged faces, of IR-50, and of the networks of timm that are asked for most
        *("upsample_bilinear2d.vec", "_upsample_bilinear2d_aa.vec", "prelu.default", "layer_norm.default"),
        *("adaptive_avg_pool2d.default", "avg_pool2d.default", "gelu.default", "silu.default", "silu_.default"),
        *("hardsigmoid.default", "hardswish.default", "hardswish_.default"),
    )
}
_WORD = re.compile(r"[\w.+-]{0,300}", re.ASCII)
_EXPRESSION = (
    "expr_str"  # the key of what sympy evaluates, whom another word, such as 9e999999999, keeps busy for hours
)
_SIZE = re.compile(r"s\d{1,9}|Symbol\('s\d{1,9}', positive=True, integer=True\)", re.ASCII)
_LARGEST_WHOLE = 2**40
_TREE = re.compile(
    r'([][{},: ]|\d|null|"(type|context|children_spec|null|\[\]|builtins\.(tuple|list|dict))")*', re.ASCII
)


def write_pt2(program: ExportedProgram, header: ExportedInfo, path: Path) -> None:
    """Writes an exported program with its header, without example inputs and without notes on the code it came from.

    [decided] PyTorch's own archive, as torch 2.14 writes it. PyTorch does not promise that other versions can read it,
    so export again for another version, and keep ONNX files for the long term.

    Args:
        program: examples and notes are removed from it, in place.
        header: becomes an extra file in the archive.
        path: of the file; must end in .pt2.
    """
    for node in program.graph.nodes:
        node.meta = {key: value for key, value in node.meta.items() if key == "val"}
    program._example_inputs = None  # torch.export has no public way to leave them out
    torch.export.save(program, path, extra_files={HEADER_FILE: header.to_json()})


def open_pt2(path: Path, device: str = "auto", batch_size: int = 64) -> ExportedPredictor:
    """A model that `occfer export --format pt2` wrote.

    Args:
        path: the file.
        device: `auto`, `cpu`, `cuda` or `mps`.
        batch_size: images at once.

    Raises:
        CheckpointError: missing, damaged, with anything in it that loading could execute, or with values that no such
            model needs the memory for.
        ConfigError: there is no such device.
    """
    place = torch_device(device)
    records = _records(path)
    _check(records, path)
    info = ExportedInfo.from_json(_text(records, _HEADER, path), path)
    try:
        with _without_warnings():
            program = torch.export.load(_copy(records))
        if place.type != "cpu":
            program = move_to_device_pass(program, place)
        network = program.module()
        largest = _largest_value(network, info.model.size_px)
    except Exception as error:  # the reader can raise anything for a damaged file
        raise CheckpointError(
            f"{path} does not load in torch {torch.__version__}: it is damaged, or another version of torch wrote it; "
            "export the model again"
        ) from error
    if largest > largest_value(info.model):
        raise CheckpointError(
            f"{path} was refused: one of its values has {largest:,} numbers for one image, more than such a model needs"
        )
    taken, given = program.graph_signature.user_inputs, program.graph_signature.user_outputs
    if list(taken) != [IMAGES] or len(given) != 1:
        raise CheckpointError(
            f"{path} must take {IMAGES} and return one tensor; it takes {', '.join(map(str, taken))} and returns "
            f"{len(given)}"
        )

    def run(images: Images) -> Logits:
        try:
            with torch.no_grad():
                return np.asarray(network(torch.from_numpy(images).to(place)).cpu().numpy())
        except Exception as error:  # a graph can fail in any way
            raise CheckpointError(f"{path} fails in torch ({one_line(error)})") from error

    return ExportedPredictor(path, info, run, batch_size)


class _Sizes(Interpreter):
    """Runs a graph node by node, and notes how many numbers the largest result holds."""

    largest = 0

    def run_node(self, node: Node) -> Any:
        """The node's result."""
        result = super().run_node(node)
        if node.op == "call_function" and isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.numel())
        return result


def _largest_value(network: torch.fx.GraphModule, size_px: int) -> int:
    """How many numbers the largest value of a network's graph holds for one image; none of them is computed."""
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        sizes = _Sizes(network)
        sizes.run(torch.empty(1, size_px, size_px, 3, dtype=torch.uint8))
    return sizes.largest


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hides the traceback that torch.export logs before it raises an error: the error is enough."""
    logger = logging.getLogger("torch.export")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _records(path: Path) -> dict[str, bytes]:
    """The archive's files by their names under its root folder."""
    if not path.is_file():
        raise CheckpointError(f"{path} not found; write it with `occfer export --format pt2`")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            # torch packs nothing; entries that lie over each other could still hold more than the file
            packed = any(each.compress_type != zipfile.ZIP_STORED for each in entries)
            if packed or sum(each.file_size for each in entries) > min(LARGEST_BYTES, path.stat().st_size):
                raise CheckpointError(f"{path} unpacks to more than it is, or to more than 2 GiB, which is refused")
            return {each.filename.partition("/")[2]: archive.read(each) for each in entries}
    # ValueError also stands for an entry whose name is not UTF-8, RuntimeError for one that claims a password
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged or not a .pt2 archive ({one_line(error)})") from error


def _check(records: dict[str, bytes], path: Path) -> None:
    """Raises CheckpointError unless the archive holds only tensors, known operators and plain words."""
    for name, content in records.items():
        known = name in _NEEDED | _MARKS or _TENSOR_RECORD.fullmatch(name) or (name == _EMPTY and not content)
        if not known:
            raise _refused(path, f"the entry '{name[:80]}'")
    if missing := sorted(_NEEDED - set(records)):
        raise CheckpointError(f"{path} has no {missing[0]}; write it with `occfer export --format pt2`")
    for name in _PAYLOADS:
        entries = _json(records, name, path).get("config")
        if not isinstance(entries, dict) or not all(_is_raw(name, entry, records) for entry in entries.values()):
            raise _refused(path, f"a tensor that is pickled, missing or smaller than it claims in {name}")
    graph = _json(records, _MODEL, path)
    if graph.get("guards_code"):
        raise _refused(path, "code of guards")
    nodes = 0
    for key, value in _plain_values(graph):
        if isinstance(value, int):
            if abs(value) > _LARGEST_WHOLE:
                raise _refused(path, f"the number {str(value)[:80]}")
            continue
        nodes += key == "target"
        if nodes > MOST_NODES:
            raise _refused(path, f"more than {MOST_NODES:,} operators")
        if key == "target" and value not in _OPERATORS:
            raise _refused(path, f"the operator '{value[:80]}'")
        plain = (_SIZE,) if key == _EXPRESSION else (_WORD, _TREE)
        if not any(each.fullmatch(value) for each in plain):
            raise _refused(path, f"the text {value[:80]!r}")


def _is_raw(config: str, entry: Any, records: dict[str, bytes]) -> bool:
    """Whether an entry of the table of tensors names a tensor that the archive holds as plain numbers."""
    if not isinstance(entry, dict) or entry.get("use_pickle") is not False:
        return False
    place = f"{config.rpartition('/')[0]}/{entry.get('path_name')}"
    if _TENSOR_RECORD.fullmatch(place) is None or place not in records:
        return False
    meta = entry.get("tensor_meta")
    sizes = meta.get("sizes") if isinstance(meta, dict) else None
    if not isinstance(sizes, list) or not all(isinstance(each, dict) for each in sizes):
        return False
    claimed = [each.get("as_int") for each in sizes]
    # a tensor of stride 0 could claim any number of copies of one number
    return all(type(each) is int and each >= 0 for each in claimed) and math.prod(claimed) <= len(records[place])


def _refused(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path} was refused, since torch might run what it holds: {what}. Only archives that `occfer export` wrote "
        "are read"
    )


def _plain_values(value: Any, key: str = "") -> Iterator[tuple[str, str | int]]:
    """Every text and whole number of a JSON value, keys included, with the key that it is the value of."""
    if isinstance(value, str | int):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield "", name
            yield from _plain_values(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _plain_values(inner, key)


def _text(records: dict[str, bytes], name: str, path: Path) -> str:
    try:
        return records[name].decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is damaged: {name} is not text") from error


def _json(records: dict[str, bytes], name: str, path: Path) -> dict[str, Any]:
    content = parse_json(records[name], f"{name} of {path}", CheckpointError)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is damaged: {name} is not a JSON object")
    return content


def _copy(records: dict[str, bytes]) -> io.BytesIO:
    """A new archive of what was checked.

    Two readers can see different contents in one forged zip file, so torch must not read the file that this module
    has checked.
    """
    from torch.export.pt2_archive import PT2ArchiveWriter  # older versions of torch have another archive

    buffer = io.BytesIO()
    with PT2ArchiveWriter(buffer) as writer:
        for name, content in records.items():
            if name not in _MARKS:
                writer.write_bytes(name, content)
    buffer.seek(0)
    return buffer
