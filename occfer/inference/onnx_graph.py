"""An ONNX file from anywhere: checked to be whole and to need no more memory than such models do, then opened.

Nothing here needs torch.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnx.shape_inference
import onnxruntime

from occfer.errors import CheckpointError, ConfigError
from occfer.inference.exported import MOST_NODES
from occsynth.reading import one_line

LARGEST_BYTES = 2**31 - 1  # protobuf's own limit
LARGEST_SHAPE_BYTES = 4096
"""Of a tensor that other sizes depend on, such as the axes of a mean."""
ERRORS_ONLY = 3
CUDA = "CUDAExecutionProvider"
"""The part of ONNX Runtime that runs graphs on a GPU; only the package onnxruntime-gpu has it."""
_UNKNOWN = onnx.TensorShapeProto.Dimension()


def read_graph(path: Path) -> tuple[bytes, onnx.ModelProto]:
    """A file's bytes, and the graph in it, whose tensors are all in the file.

    Raises:
        CheckpointError: the file is missing or damaged, or has tensors in other files.
    """
    content = _read(path)
    model = _parse(content, path)
    _check_tensors(model, path)
    return content, model


def check_sizes(model: onnx.ModelProto, largest: int, path: Path) -> None:
    """Raises CheckpointError unless every value of the graph has a known size that is no larger than such models need.

    Args:
        model: its large weights are removed, in place: sizes do not depend on them.
        largest: how many numbers a value may hold for one image.
        path: of the file, for errors.
    """
    graph = model.graph
    parts = [attribute for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    parts += [attribute for node in graph.node for attribute in node.attribute if attribute.graphs]
    if parts or model.functions or graph.sparse_initializer or len(graph.node) > MOST_NODES:
        raise CheckpointError(
            f"{path} was refused: it has more than {MOST_NODES:,} nodes, parts that are graphs "
            "themselves, or sparse tensors"
        )
    for tensor in graph.initializer:
        if tensor.ByteSize() > LARGEST_SHAPE_BYTES:
            tensor.ClearField("raw_data")
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    del graph.value_info[:]  # what the file claims
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # onnx's errors have no common base class
        raise CheckpointError(f"{path} is damaged: its sizes do not fit ({one_line(error)})") from error
    known = {each.name: each.type.tensor_type.shape.dim for each in (*inferred.value_info, *inferred.output)}
    for name in (name for node in graph.node for name in node.output if name):
        sizes = [each.dim_value if each.HasField("dim_value") else -1 for each in known.get(name, [_UNKNOWN])]
        if min(sizes, default=1) < 0 or math.prod(sizes) > largest:
            raise CheckpointError(
                f"{path} was refused: its value '{name[:80]}' has the size {str(sizes)[:80]} for one image, which is "
                "unknown (-1) or more than such a model needs"
            )


def open_session(content: bytes, path: Path, device: str, threads: int) -> onnxruntime.InferenceSession:
    """A checked graph, ready to run.

    Args:
        content: of the file.
        path: of the file, for errors.
        device: `auto`, `cpu` or `cuda`; auto takes a GPU if this ONNX Runtime can use one.
        threads: of the CPU; 0 leaves the number to ONNX Runtime.

    Raises:
        CheckpointError: ONNX Runtime cannot load it.
        ConfigError: there is no such device.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = threads
    providers = providers_of(device)
    try:
        session = onnxruntime.InferenceSession(content, sess_options=options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise CheckpointError(f"{path} does not load in ONNX Runtime ({one_line(error)})") from error
    # where its CUDA libraries do not load, ONNX Runtime says so in its log and goes on with the CPU
    if device == "cuda" and CUDA not in session.get_providers():
        raise ConfigError(
            "--device cuda: ONNX Runtime has a GPU version here, but its CUDA or cuDNN libraries do not load; install "
            "those that this onnxruntime-gpu was made for, or choose --device cpu"
        )
    return session


def providers_of(device: str) -> list[str]:
    """What ONNX Runtime runs a graph with on a device, first choice first; raises ConfigError if it has none for it."""
    if device == "mps":
        raise ConfigError(
            "--device mps: an ONNX file runs on a CPU or a CUDA device; choose --device cpu or a .pt2 file"
        )
    cuda = CUDA in onnxruntime.get_available_providers()
    if device == "cuda" and not cuda:
        raise ConfigError(
            "--device cuda: this ONNX Runtime cannot use a GPU; choose --device cpu, or install onnxruntime-gpu"
        )
    if cuda and device != "cpu":
        return [CUDA, "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise CheckpointError(f"{path} not found; write it with `occfer export --format onnx`")
    if path.stat().st_size > LARGEST_BYTES:
        raise CheckpointError(f"{path} is larger than an ONNX file can be (2 GiB)")
    return path.read_bytes()


def _parse(content: bytes, path: Path) -> onnx.ModelProto:
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's, which is not typed
        raise CheckpointError(f"{path} is damaged or not an ONNX file ({one_line(error)})") from error
    if not model.graph.node:
        raise CheckpointError(f"{path} is not an ONNX file, or holds no graph")
    return model


def _check_tensors(model: onnx.ModelProto, path: Path) -> None:
    """Raises CheckpointError if a tensor is not in the file as a whole.

    A hostile model could name any file of the user's, or claim a tensor that fills the memory.
    """
    for tensor in _tensors(model):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise CheckpointError(
                f"{path} keeps the tensor '{tensor.name}' in another file, which is refused: save the model with all "
                "tensors inside"
            )
        # the smallest type has two numbers in a byte
        if min(tensor.dims, default=1) < 0 or math.prod(tensor.dims) > 2 * tensor.ByteSize():
            raise CheckpointError(f"{path} claims more numbers in the tensor '{tensor.name[:80]}' than it holds")


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Every tensor of a protobuf message, at any depth."""
    for _, value in message.ListFields():
        inner = (value,) if hasattr(value, "ListFields") else value if hasattr(value, "MergeFrom") else ()
        for each in inner:
            if not hasattr(each, "ListFields"):
                break  # plain numbers
            if isinstance(each, onnx.TensorProto):
                yield each
            else:
                yield from _tensors(each)
