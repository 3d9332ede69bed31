"""Anyone's ONNX file as a contestant. The file is not trusted, and is checked as those of `occfer export` are."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from occfer.benchmark.contestant import Answers, OnAsked, Question
from occfer.benchmark.result import Provenance, TestedContestant
from occfer.data.arrays import Images
from occfer.data.vocabulary import LONGEST_WORD
from occfer.errors import CheckpointError, ConfigError
from occfer.files import digest, file_sha256
from occfer.inference.onnx_graph import check_sizes, open_session, read_graph
from occfer.outside.description import Network, named_outputs, read_description
from occfer.outside.shown_faces import Asking, coloured, numbers_for
from occsynth.reading import one_line

KIND = "onnx"
LARGEST_PER_PIXEL = 256
"""Numbers that one value of a network may hold for each pixel of its input, as for networks of occfer."""
_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_BYTES = "tensor(uint8)"


@dataclass(frozen=True, slots=True, eq=False)
class OnnxNetwork:
    """A network of someone else.

    Attributes:
        facts: see `Contestant`.
        description: what it takes and returns.
        asking: how the faces reach it.
        graph: what it takes and returns, as the file says.
    """

    facts: TestedContestant
    description: Network
    asking: Asking
    graph: "_Graph"

    def provenance(self, questions: tuple[Question, ...]) -> Provenance:
        """See `Contestant`: what the description says; nobody can look whether it knows the suite's faces."""
        del questions
        return Provenance(trained_on=self.description.trained_on, selected_by=self.description.selected_by)

    def answer(self, question: Question, on_asked: OnAsked) -> Answers:
        """See `Contestant`."""
        return self.asking.answers(question, self._run, on_asked)

    def _run(self, images: Images) -> npt.NDArray[Any]:
        graph = self.graph
        if graph.dtype is np.uint8:
            values: npt.NDArray[Any] = coloured(images, self.description.colour, graph.channels)
        else:
            values = numbers_for(images, self.description, graph.channels).astype(graph.dtype)
        if graph.channels_first:
            values = values.transpose(0, 3, 1, 2)
        return graph.run(np.ascontiguousarray(values))


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    """A graph that is ready to run.

    Attributes:
        dtype: of its input.
        channels: 1 or 3.
        channels_first: whether these come before height and width.
        one_by_one: whether it takes one image at a time.
        output: name of the output that has a number per class.
    """

    session: onnxruntime.InferenceSession
    path: Path
    dtype: Any
    channels: int
    channels_first: bool
    one_by_one: bool
    output: str

    def run(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        name = self.session.get_inputs()[0].name
        batches = np.split(values, len(values)) if self.one_by_one else [values]
        try:
            return np.concatenate([self.session.run([self.output], {name: batch})[0] for batch in batches])
        except Exception as error:  # ONNX Runtime's errors have no common base class
            raise CheckpointError(f"{self.path} fails in ONNX Runtime ({one_line(error)})") from error


def open_network(
    path: Path, describe: Path, *, device: str = "auto", batch_size: int = 64, cache_dir: Path | None = None
) -> OnnxNetwork:
    """An ONNX file with its description as a contestant.

    Args:
        path: the file.
        describe: a TOML file, see `Network`.
        device: `auto`, `cpu` or `cuda`.
        batch_size: images per call, unless the graph takes one at a time.
        cache_dir: see `Asking`.

    Raises:
        ConfigError: the description cannot be used, or does not fit the graph; or there is no such device.
        CheckpointError: the file is missing or damaged, has tensors in other files, needs more memory than any such
            model, or is not a graph from one batch of images to one number per class.
    """
    if path.suffix == ".pt2":
        raise CheckpointError(
            f"{path}: of other people's models only ONNX files are read, since torch could run what a .pt2 file holds; "
            "export it to ONNX"
        )
    network = read_description(describe, Network)
    content, model = read_graph(path)
    _fix_sizes(model, network.size_px, path)
    check_sizes(model, max(2**22, LARGEST_PER_PIXEL * network.size_px**2), path)
    del model  # of the weights, one copy in memory is enough
    graph = _graph_of(open_session(content, path, device, 0), path, network)
    _, classes = named_outputs(network.classes)
    facts = TestedContestant(
        name=network.name or path.stem[:LONGEST_WORD],
        kind=KIND,
        sha256=digest([file_sha256(path), asdict(network)]),
        classes=classes,
        about=network.about,
    )
    return OnnxNetwork(facts, network, Asking(network, str(path), batch_size, cache_dir), graph)


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What must be given to a graph: old files list their weights as inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [each for each in model.graph.input if each.name not in weights]


def _fix_sizes(model: onnx.ModelProto, size_px: int, path: Path) -> None:
    """Gives height and width their size where the graph leaves them free, so that all others are known."""
    inputs = _inputs(model)
    sizes = [each.type.tensor_type.shape.dim for each in inputs]
    if len(inputs) != 1 or len(sizes[0]) != 4:
        found = ", ".join(f"{each.name} of {len(size)} dimensions" for each, size in zip(inputs, sizes, strict=True))
        raise CheckpointError(f"{path} must take one batch of images, of 4 dimensions; it takes {found[:300]}")
    if sizes[0][0].dim_value > 1:
        raise CheckpointError(
            f"{path} takes batches of {sizes[0][0].dim_value} images only; export it with a free batch size, or for one"
        )
    first = _channels_first([each.dim_value for each in sizes[0]], path)
    for place in (2, 3) if first else (1, 2):
        if not sizes[0][place].HasField("dim_value"):
            sizes[0][place].dim_value = size_px


def _channels_first(shape: list[int], path: Path) -> bool:
    """Whether the channels, of which there are 1 or 3, are the second or the last dimension."""
    if shape[1] in (1, 3):
        return True
    if shape[3] in (1, 3):
        return False
    raise CheckpointError(f"{path} takes {shape}: neither the second nor the last dimension is that of 1 or 3 channels")


def _graph_of(session: onnxruntime.InferenceSession, path: Path, network: Network) -> _Graph:
    given = session.get_inputs()[0]
    shape = [each if isinstance(each, int) else 0 for each in given.shape]
    first = _channels_first(shape, path)
    channels, *sides_px = (shape[1], shape[2], shape[3]) if first else (shape[3], shape[1], shape[2])
    if any(side_px not in (0, network.size_px) for side_px in sides_px):
        wanted = "x".join(map(str, sides_px))
        raise ConfigError(
            f"{path} takes images of {wanted} pixels, but its description says size_px = {network.size_px}"
        )
    if channels == 1 and network.colour != "grey":
        raise ConfigError(f'{path} takes grey images; write colour = "grey" in its description')
    dtype = np.uint8 if given.type == _BYTES else _FLOATS.get(given.type)
    if dtype is None:
        raise CheckpointError(f"{path} takes {given.type}; images are given as float or uint8")
    if dtype is np.uint8 and (network.scale, network.mean, network.std) != (1.0, 0.0, 1.0):
        raise ConfigError(f"{path} takes whole numbers from 0 to 255; leave scale, mean and std out of its description")
    return _Graph(session, path, dtype, channels, first, shape[0] == 1, _output_of(session, path, len(network.classes)))


def _output_of(session: onnxruntime.InferenceSession, path: Path, classes: int) -> str:
    """The one output with a number per class."""
    outputs = session.get_outputs()
    fitting = [each.name for each in outputs if len(each.shape) >= 2 and each.shape[1] == classes]
    if len(fitting) != 1:
        found = ", ".join(f"{each.name} {each.shape}" for each in outputs)
        raise ConfigError(
            f"{path} returns {found[:300]}; exactly one output must have the {classes} classes of its description"
        )
    return str(fitting[0])
