"""Small networks of nobody's, as ONNX files: the mean of each channel, times a matrix."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from occfer.benchmark.contestant import Question
from occfer.data.arrays import View
from occfer.data.manifests import read_corpus

SIDE_PX = 12


def question_of(manifest: Path, view: View = "occluded") -> Question:
    return Question("clean" if view == "clean" else "r16", view, read_corpus([manifest]))


def weights(channels: int, outputs: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(channels).normal(size=(channels, outputs)).astype(np.float32)


def write_network(
    path: Path,
    *,
    channels: int = 3,
    first: bool = True,
    outputs: int = 7,
    batch: int | None = None,
    side_px: int | None = SIDE_PX,
    kind: int = TensorProto.FLOAT,
    softmax: bool = False,
    second_output: bool = False,
) -> Path:
    """A file that takes `(N, channels, S, S)`, or the channels last, and returns `(N, outputs)`."""
    side: Any = side_px or "side"
    sides = [channels, side, side] if first else [side, side, channels]
    nodes = [
        helper.make_node("Cast", ["faces"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["scores"]),
        helper.make_node("Softmax" if softmax else "Identity", ["scores"], ["answers"]),
    ]
    given = [helper.make_tensor_value_info("answers", TensorProto.FLOAT, [batch or "n", outputs])]
    if second_output:
        nodes.append(helper.make_node("Identity", ["means"], ["features"]))
        given.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch or "n", channels]))
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("faces", kind, [batch or "n", *sides])],
        given,
        [
            numpy_helper.from_array(np.array([2, 3] if first else [1, 2]), "axes"),
            numpy_helper.from_array(weights(channels, outputs), "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def changed(path: Path, change: Any) -> Path:
    """The same file after a change to its model."""
    model = onnx.ModelProto.FromString(path.read_bytes())
    change(model)
    path.write_bytes(model.SerializeToString())
    return path
