"""A trained model as one file for other programs: ONNX, or torch's exported program (.pt2).

The graph is captured by torch.export with a free batch size; the ONNX file is made from the same capture. Before a file
gets its name, it is opened as `occfer predict` opens it and compared with the network in torch.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from occfer.data.arrays import Images
from occfer.data.random_streams import stream_rng
from occfer.errors import CheckpointError, ExportError, lookup
from occfer.files import file_sha256
from occfer.inference.exported import HEADER, IMAGES, LOGITS, ExportedInfo, ExportedPredictor
from occfer.methods import METHODS
from occfer.runs.checkpoint import load_model, model_file, read_model_info
from occfer.runs.model_info import ModelInfo
from occfer.runs.run_folder import refuse_folds
from occsynth.files import replacing
from occsynth.ownership import refuse_foreign_file
from occsynth.reading import one_line

TOLERANCE = 1e-4
BATCH_SIZES = (1, 2, 5, 8)
BATCH = "batch"  # the name of the free dimension


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of `export`.

    Attributes:
        path: the file.
        info: of the model.
        compared: number of images that were compared, faces and random images together.
        largest_difference: between a logit of the file and the same logit of the network in torch.
    """

    path: Path
    info: ModelInfo
    compared: int
    largest_difference: float


class ImagesToLogits(nn.Module):
    """What is exported: from uint8 images to logits.

    Args:
        network: takes `(N, 3, S, S)` float32 RGB in [0, 1].
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(N, C)` of images `(N, S, S, 3)` uint8 RGB."""
        logits: Tensor = self.network(images.permute(0, 3, 1, 2).float() / 255)
        return logits


def export(checkpoint: Path, out: Path, *, kind: str, faces: Images | None = None, overwrite: bool = False) -> Exported:
    """Writes a model to one file.

    Args:
        checkpoint: a model file or a run folder.
        out: the file, with the ending of the format; an exported file of that name is replaced.
        kind: a key of `FORMATS`.
        faces: `(N, S, S, 3)` uint8 RGB, aligned faces to compare on besides random images; S is the model's.
        overwrite: whether another file of that name may be replaced too.

    Raises:
        CheckpointError: there is no such model.
        UnknownNameError: there is no such format.
        ExportError: the model cannot be exported, the file cannot be written or is there and no exported model, or its
            logits differ from the model's.
    """
    form = lookup(FORMATS, kind, kind="format")
    if out.suffix != form.ending:
        raise ExportError(
            f"-o {out}: a file of --format {kind} must end in {form.ending}, by which occfer predict recognises it"
        )
    refuse_foreign_file(out, "occfer export", ExportError, overwrite=overwrite, is_own=partial(_is_exported, form))
    refuse_folds(checkpoint)
    info = read_model_info(checkpoint)
    if info.method not in METHODS:
        raise ExportError(
            f"{checkpoint} is of the method '{info.method}', which cannot be exported; methods that can be: "
            f"{', '.join(METHODS)}"
        )
    header = ExportedInfo(info, file_sha256(model_file(checkpoint)))
    graph = ImagesToLogits(load_model(checkpoint).classifier).eval()
    program = _capture(graph, info.size_px)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out, ending=form.ending) as part:
            form.write(program, header, part)
            found = _compare(graph, _reopened(form, part), _inputs(info.size_px, faces))
    except OSError as error:
        raise ExportError(f"-o {out} cannot be written ({error}); free some space or choose another file") from error
    return Exported(out, info, *found)


def _is_exported(form: "ExportFormat", path: Path) -> bool:
    try:
        form.open(path)
    except CheckpointError:
        return False
    return True


def _reopened(form: "ExportFormat", path: Path) -> ExportedPredictor:
    try:
        return form.open(path)
    except CheckpointError as error:
        raise ExportError(f"the exported file could not be read again: {error}") from error


def _capture(graph: nn.Module, size_px: int) -> ExportedProgram:
    example = torch.zeros(2, size_px, size_px, 3, dtype=torch.uint8)
    try:
        with torch.no_grad():
            program = torch.export.export(graph, (example,), dynamic_shapes={IMAGES: {0: Dim(BATCH, min=1)}})
    except Exception as error:  # the tracer can raise any exception
        raise ExportError(f"torch.export cannot capture the network ({one_line(error)})") from error
    return program


def _inputs(size_px: int, faces: Images | None) -> list[Images]:
    """Batches of several sizes, of random pixels and of faces."""
    # Several sizes, because a capture can fix the batch size by mistake.
    batches = []
    for size in BATCH_SIZES:
        rng = stream_rng(0, "export", size)
        batches.append(rng.integers(0, 256, (size, size_px, size_px, 3), dtype=np.uint8))
        if faces is not None and size <= len(faces):
            batches.append(faces[:size])
    return batches if faces is None else [*batches, faces]


def _compare(graph: nn.Module, exported: ExportedPredictor, batches: list[Images]) -> tuple[int, float]:
    """Number of images that were compared, and the largest difference; raises ExportError beyond the tolerance."""
    largest = 0.0
    for images in batches:
        with torch.no_grad():
            wanted: npt.NDArray[np.float32] = graph(torch.from_numpy(images)).numpy()
        difference = float(np.abs(exported.logits(images) - wanted).max())
        if not difference <= TOLERANCE:  # which is so for NaN too
            raise ExportError(
                f"the exported model differs from the network by {difference:.2g} in a logit at batch size "
                f"{len(images)}, beyond {TOLERANCE:g}; nothing was written"
            )
        largest = max(largest, difference)
    return sum(map(len, batches)), largest


def _write_onnx(program: ExportedProgram, header: ExportedInfo, path: Path) -> None:
    import onnxscript  # noqa: F401 - torch's exporter needs it, and hides that it is missing

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are about operators of torchvision that the graph does not use
        made = torch.onnx.export(program, dynamo=True, verbose=False, input_names=[IMAGES], output_names=[LOGITS])
    if made is None:
        raise ExportError("torch.onnx returned no program")
    model = made.model_proto
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    _forget_sources(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = HEADER, header.to_json()
    path.write_bytes(model.SerializeToString(deterministic=True))


def _forget_sources(model: Any) -> None:
    """Deletes the notes of torch's exporter, which hold lines and paths of the code on this machine."""
    del model.graph.value_info[:]  # types of intermediate values, which runtimes infer
    for part in (*model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.metadata_props[:]
    del model.metadata_props[:]


def _open_onnx(path: Path) -> ExportedPredictor:
    from occfer.inference.onnx_file import open_onnx

    return open_onnx(path, device="cpu")


def _write_pt2(program: ExportedProgram, header: ExportedInfo, path: Path) -> None:
    from occfer.inference.pt2_file import write_pt2

    write_pt2(program, header, path)


def _open_pt2(path: Path) -> ExportedPredictor:
    from occfer.inference.pt2_file import open_pt2

    return open_pt2(path, device="cpu")


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format of exported files.

    Attributes:
        ending: of the file's name.
        write: writes a capture with its header.
        open: reads the file on the CPU, as prediction does.
    """

    ending: str
    write: Callable[[ExportedProgram, ExportedInfo, Path], None]
    open: Callable[[Path], ExportedPredictor]


FORMATS = {
    "onnx": ExportFormat(".onnx", _write_onnx, _open_onnx),
    "pt2": ExportFormat(".pt2", _write_pt2, _open_pt2),
}
