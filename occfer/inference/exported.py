"""What an exported file says of its model, and how it predicts in any runtime; nothing here needs torch.

An exported graph takes `images`, `(N, S, S, 3)` uint8 RGB, and returns `logits`, `(N, C)` float32. Scaling and
normalisation are part of the graph.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from occfer.data.arrays import Float32Array, Float64Array, Images, Points
from occfer.errors import CheckpointError, DataError
from occfer.runs.model_info import ModelInfo, info_of_header
from occsynth.reading import parse_json

HEADER = "occfer"  # the key of the ONNX metadata
HEADER_FILE = "occfer.json"  # the extra file of a .pt2 archive
FORMAT = 1  # increased when files of an older version can no longer be read
IMAGES, LOGITS = "images", "logits"

MOST_NODES = 10_000
"""Of a graph; the largest backbones have some hundred."""

Logits = Float32Array
RunGraph = Callable[[Images], Logits]


@dataclass(frozen=True, slots=True)
class ExportedInfo:
    """What an exported file says of its model.

    Attributes:
        model: as in the checkpoint, without configuration and data, which name files and people of whoever trained it.
        checkpoint_sha256: of the model file that it was made from.
    """

    model: ModelInfo
    checkpoint_sha256: str

    def to_json(self) -> str:
        """The header of the file."""
        own = {"kind": "model", "format": FORMAT, "checkpoint_sha256": self.checkpoint_sha256}
        return json.dumps(own | asdict(replace(self.model, config={}, data={})), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None, path: Path) -> "ExportedInfo":
        """The inverse of `to_json`; the text is not trusted.

        Args:
            text: the header; None where the file has none.
            path: of the file, for errors.

        Raises:
            CheckpointError: the header is missing or damaged.
        """
        hint = "write it with `occfer export`"
        if text is None:
            raise CheckpointError(f"{path} does not say what it is (no metadata '{HEADER}'); {hint}")
        try:
            header = parse_json(text, f"metadata '{HEADER}' of {path}", CheckpointError)
        except CheckpointError as error:
            raise CheckpointError(f"{error}; {hint}") from error
        if not isinstance(header, dict):
            raise CheckpointError(f"{path} has a damaged metadata '{HEADER}'; {hint}")
        if header.get("format") != FORMAT:
            raise CheckpointError(
                f"{path} has the format {repr(header.get('format'))[:80]}; this version reads {FORMAT}"
            )
        return cls(info_of_header(header, path), str(header.get("checkpoint_sha256")))


def largest_value(info: ModelInfo) -> int:
    """How many numbers one value of a graph may hold for one image.

    Residual networks make 16 times the pixels of the image, MobileNet 24 times, IR-50 64 times, and the small stem four
    times as many. A graph from elsewhere could ask for any number: two small weights, added as a column and a row, fill
    a memory.
    """
    side_px = max(info.size_px, info.network_px or 0)
    return max(2**22, (64 if info.stem == "full" else 256) * side_px**2)


class ExportedPredictor:
    """An exported model as a `Predictor`.

    Args:
        path: of the file, for errors.
        info: from its header.
        run: executes the graph.
        batch_size: images per call.
    """

    needs_points = False

    def __init__(self, path: Path, info: ExportedInfo, run: RunGraph, batch_size: int = 64) -> None:
        self.info = info.model
        self.checkpoint_sha256 = info.checkpoint_sha256
        self._path = path
        self._run = run
        self._batch_size = batch_size

    def logits(self, images: Images) -> Logits:
        """`(N, len(info.classes))`, before softmax; images as for `Predictor.probabilities`.

        Raises:
            DataError: the images have another shape or type than the model takes.
            CheckpointError: the graph fails on them, or returns another shape than its header promises.
        """
        side_px = self.info.size_px
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (side_px, side_px, 3):
            wanted = f"(N, {side_px}, {side_px}, 3)"
            raise DataError(f"images are {images.dtype} {images.shape}; the model takes uint8 {wanted}")
        answer = np.zeros((len(images), len(self.info.classes)), dtype=np.float32)
        for start in range(0, len(images), self._batch_size):
            part = slice(start, start + self._batch_size)
            found = self._run(np.ascontiguousarray(images[part]))
            if found.shape != answer[part].shape:
                raise CheckpointError(
                    f"{self._path} returns the shape {found.shape}, but its metadata promises {answer[part].shape}"
                )
            answer[part] = found
        return answer

    def probabilities(self, images: Images, points_xy: Points | None = None) -> Float64Array:
        """See `Predictor`; landmarks are not used. Raises as `logits` does."""
        del points_xy
        logits = self.logits(images).astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float64)
