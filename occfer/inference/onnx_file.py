"""Running an ONNX file with ONNX Runtime, without torch. The file is not trusted: all its tensors must be inside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from occfer.data.arrays import Images
from occfer.errors import CheckpointError, ConfigError, one_line
from occfer.inference.exported import HEADER, IMAGES, LOGITS, ExportedInfo, ExportedPredictor, Logits

LARGEST_BYTES = 2**31 - 1  # protobuf's own limit
ERRORS_ONLY = 3


def open_onnx(path: Path, device: str = "auto", batch_size: int = 64, threads: int = 0) -> ExportedPredictor:
    """A model that `occfer export --format onnx` wrote.

    Args:
        path: the file.
        device: `auto`, `cpu` or `cuda`; auto takes a GPU if this ONNX Runtime can use one.
        batch_size: images per call.
        threads: of the CPU; 0 leaves the number to ONNX Runtime.

    Raises:
        CheckpointError: the file is missing or damaged, has tensors in other files, or is not the graph that its
            metadata promises.
        ConfigError: there is no such device.
    """
    providers = _providers(device)
    content = _read(path)
    model = _parse(content, path)
    _refuse_other_files(model, path)
    info = ExportedInfo.from_json({each.key: each.value for each in model.metadata_props}.get(HEADER), path)
    del model  # of the weights, one copy in memory is enough
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(content, sess_options=options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise CheckpointError(f"{path} does not load in ONNX Runtime ({one_line(error)})") from error
    _check_graph(session, info, path)

    def run(images: Images) -> Logits:
        try:
            return np.asarray(session.run([LOGITS], {IMAGES: images})[0])
        except Exception as error:  # as above
            raise CheckpointError(f"{path} fails in ONNX Runtime ({one_line(error)})") from error

    return ExportedPredictor(path, info, run, batch_size)


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


def _refuse_other_files(model: onnx.ModelProto, path: Path) -> None:
    """Raises CheckpointError if a tensor is kept in another file: a hostile model could name any file of the user's."""
    for tensor in _tensors(model):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise CheckpointError(
                f"{path} keeps the tensor '{tensor.name}' in another file, which is refused: save the model with all "
                "tensors inside"
            )


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


def _check_graph(session: onnxruntime.InferenceSession, info: ExportedInfo, path: Path) -> None:
    """Raises CheckpointError if inputs and outputs are not those that the header promises."""
    side_px, classes = info.model.size_px, len(info.model.classes)
    wanted = {IMAGES: ("tensor(uint8)", [side_px, side_px, 3])}
    found = {each.name: (each.type, list(each.shape[1:])) for each in session.get_inputs()}
    answers = {each.name: (each.type, list(each.shape[1:])) for each in session.get_outputs()}
    if found != wanted or answers != {LOGITS: ("tensor(float)", [classes])}:
        raise CheckpointError(
            f"{path} takes {found} and returns {answers}; its metadata promises {wanted} and {classes} logits"
        )
    fixed = [each.name for each in (*session.get_inputs(), *session.get_outputs()) if isinstance(each.shape[0], int)]
    if fixed:
        raise CheckpointError(f"{path} takes only batches of a fixed size ({', '.join(fixed)})")


def _providers(device: str) -> list[str]:
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cuda" and not cuda:
        raise ConfigError(
            "--device cuda: this ONNX Runtime cannot use a GPU; choose --device cpu, or install onnxruntime-gpu"
        )
    if cuda and device != "cpu":
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]
