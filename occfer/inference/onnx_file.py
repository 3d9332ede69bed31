"""Running an ONNX file of `occfer export` with ONNX Runtime, without torch. The file is not trusted."""

from pathlib import Path

import numpy as np
import onnxruntime

from occfer.data.arrays import Images
from occfer.errors import CheckpointError
from occfer.inference.exported import (
    HEADER,
    IMAGES,
    LOGITS,
    ExportedInfo,
    ExportedPredictor,
    Logits,
    largest_value,
)
from occfer.inference.onnx_graph import check_sizes, open_session, providers_of, read_graph
from occsynth.reading import one_line


def open_onnx(path: Path, device: str = "auto", batch_size: int = 64, threads: int = 0) -> ExportedPredictor:
    """A model that `occfer export --format onnx` wrote.

    Args:
        path: the file.
        device: `auto`, `cpu` or `cuda`; auto takes a GPU if this ONNX Runtime can use one.
        batch_size: images per call.
        threads: of the CPU; 0 leaves the number to ONNX Runtime.

    Raises:
        CheckpointError: the file is missing or damaged, has tensors in other files, needs more memory than any such
            model, or is not the graph that its metadata promises.
        ConfigError: there is no such device.
    """
    providers_of(device)  # a device that is not there is said before a large file is read
    content, model = read_graph(path)
    info = ExportedInfo.from_json({each.key: each.value for each in model.metadata_props}.get(HEADER), path)
    check_sizes(model, largest_value(info.model), path)
    del model  # of the weights, one copy in memory is enough
    session = open_session(content, path, device, threads)
    _check_graph(session, info, path)

    def run(images: Images) -> Logits:
        try:
            return np.asarray(session.run([LOGITS], {IMAGES: images})[0])
        except Exception as error:  # ONNX Runtime's errors have no common base class
            raise CheckpointError(f"{path} fails in ONNX Runtime ({one_line(error)})") from error

    return ExportedPredictor(path, info, run, batch_size)


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
