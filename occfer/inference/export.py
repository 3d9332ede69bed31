"""A trained model as one file for other programs: ONNX, or torch's exported program (.pt2).

The graph is captured by torch.export with a free batch size; the ONNX file is made from the same capture. Before a file
gets its name it is opened as `occfer predict` opens it and compared with the network in torch.
"""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from occfer.data.arrays import Images
from occfer.data.batches import stream_rng
from occfer.errors import CheckpointError, ExportError, lookup
from occfer.files import whole_file
from occfer.inference.exported import HEADER, IMAGES, LOGITS, ExportedFacts, ExportedPredictor
from occfer.methods import METHODS
from occfer.runs.checkpoint import load_model, model_file, read_facts
from occfer.runs.model_facts import ModelFacts
from occfer.runs.run_folder import refuse_folds

TOLERANCE = 1e-4
BATCH_SIZES = (1, 2, 5, 8)
BATCH = "batch"  # the name of the free dimension


@dataclass(frozen=True, slots=True)
class Exported:
    """What came out.

    Attributes:
        path: the file.
        facts: of the model.
        compared: how many images were compared, real and random ones together.
        largest_difference: of any logit from torch's.
    """

    path: Path
    facts: ModelFacts
    compared: int
    largest_difference: float


class Graph(nn.Module):
    """What is exported: from uint8 pictures to logits.

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


def export(checkpoint: Path, out: Path, *, kind: str, faces: Images | None = None) -> Exported:
    """Writes a model to one file.

    Args:
        checkpoint: a model file or a run folder.
        out: the file; its ending is the format's. One that is there is replaced.
        kind: a key of `FORMATS`.
        faces: `(N, S, S, 3)` uint8 RGB, aligned faces to compare on beside random images; S is the model's.

    Raises:
        CheckpointError: no such model.
        UnknownNameError: no such format.
        ExportError: the model cannot be exported, the file cannot be written, or it does not answer as the model does.
    """
    form = lookup(FORMATS, kind, kind="format")
    if out.suffix != form.ending:
        raise ExportError(
            f"-o {out}: a file of --format {kind} ends in {form.ending}, by which occfer predict knows it"
        )
    refuse_folds(checkpoint)
    facts = read_facts(checkpoint)
    if facts.method not in METHODS:
        raise ExportError(
            f"{checkpoint} is of the method '{facts.method}', which is not exported; methods that are: "
            f"{', '.join(METHODS)}"
        )
    content = model_file(checkpoint).read_bytes()
    header = ExportedFacts(facts, hashlib.sha256(content).hexdigest())
    graph = Graph(load_model(checkpoint).classifier).eval()
    program = _capture(graph, facts.size_px)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(out, form.ending) as part:
            form.write(program, header, part)
            found = _compare(graph, _reopened(form, part), _inputs(facts.size_px, faces))
    except OSError as error:
        raise ExportError(f"-o {out} cannot be written ({error}); free some space or choose another file") from error
    return Exported(out, facts, *found)


def _reopened(form: "Format", path: Path) -> ExportedPredictor:
    try:
        return form.open(path)
    except CheckpointError as error:
        raise ExportError(f"the exported file could not be read again: {error}") from error


def _capture(graph: nn.Module, size_px: int) -> ExportedProgram:
    example = torch.zeros(2, size_px, size_px, 3, dtype=torch.uint8)
    try:
        with torch.no_grad():
            program = torch.export.export(graph, (example,), dynamic_shapes={IMAGES: {0: Dim(BATCH, min=1)}})
    except Exception as error:  # the tracer raises whatever it stumbles over
        raise ExportError(f"torch.export cannot capture the network ({_reason(error)})") from error
    return program


def _inputs(size_px: int, faces: Images | None) -> list[Images]:
    """Batches of several sizes, of random pixels and of faces."""
    batches = []
    for size in BATCH_SIZES:
        rng = stream_rng(0, "export", size)
        batches.append(rng.integers(0, 256, (size, size_px, size_px, 3), dtype=np.uint8))
        if faces is not None and size <= len(faces):
            batches.append(faces[:size])
    return batches if faces is None else [*batches, faces]


def _compare(graph: nn.Module, exported: ExportedPredictor, batches: list[Images]) -> tuple[int, float]:
    """How many images were compared, and the largest difference; raises ExportError beyond the tolerance."""
    largest = 0.0
    for images in batches:
        with torch.no_grad():
            wanted: npt.NDArray[np.float32] = graph(torch.from_numpy(images)).numpy()
        difference = float(np.abs(exported.logits(images) - wanted).max())
        if not difference <= TOLERANCE:  # NaN too
            raise ExportError(
                f"the exported model differs from the network by {difference:.2g} in a logit at batch size "
                f"{len(images)}, beyond {TOLERANCE:g}; nothing was written"
            )
        largest = max(largest, difference)
    return sum(map(len, batches)), largest


def _write_onnx(program: ExportedProgram, header: ExportedFacts, path: Path) -> None:
    import onnxscript  # noqa: F401 - torch's exporter needs it; missing, it is named as what to install

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about operators of torchvision, which the graph does not use
        made = torch.onnx.export(program, dynamo=True, verbose=False, input_names=[IMAGES], output_names=[LOGITS])
    if made is None:
        raise ExportError("torch.onnx gave no program")
    model = made.model_proto
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    _forget_sources(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = HEADER, header.to_json()
    path.write_bytes(model.SerializeToString(deterministic=True))


def _forget_sources(model: Any) -> None:
    """Takes out the notes of torch's exporter: they hold lines and paths of the code on this machine."""
    del model.graph.value_info[:]  # of every intermediate value; runtimes infer them
    for part in (*model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.metadata_props[:]
    del model.metadata_props[:]


def _open_onnx(path: Path) -> ExportedPredictor:
    from occfer.inference.onnx_file import open_onnx

    return open_onnx(path, device="cpu")


def _write_pt2(program: ExportedProgram, header: ExportedFacts, path: Path) -> None:
    from occfer.inference.pt2_file import write_pt2

    write_pt2(program, header, path)


def _open_pt2(path: Path) -> ExportedPredictor:
    from occfer.inference.pt2_file import open_pt2

    return open_pt2(path, device="cpu")


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file.

    Attributes:
        ending: of its name.
        write: writes a capture with its header.
        open: reads it on the CPU, as prediction does.
    """

    ending: str
    write: Callable[[ExportedProgram, ExportedFacts, Path], None]
    open: Callable[[Path], ExportedPredictor]


FORMATS = {
    "onnx": Format(".onnx", _write_onnx, _open_onnx),
    "pt2": Format(".pt2", _write_pt2, _open_pt2),
}


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
