"""What an exported model carries and how it answers, whichever runtime executes it; nothing here needs torch.

An exported graph takes `images`, `(N, S, S, 3)` uint8 RGB, and, where the model looks at landmarks, `points_xy`,
`(N, 68, 2)` float32; it gives `logits`, `(N, C)` float32. Scaling and normalisation are inside.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occfer.errors import CheckpointError, DataError
from occfer.facts import ModelFacts, facts_of_header
from occfer.predictor import Images, Points

HEADER = "occfer"  # the key of the ONNX metadata
HEADER_FILE = "occfer.json"  # the extra file of a .pt2 archive
FORMAT = 1  # raised when files of an older version cannot be read any more
IMAGES, POINTS, LOGITS = "images", "points_xy", "logits"
POINTS_A_FACE = 68
LONGEST_HEADER = 1_000_000

Logits = npt.NDArray[np.float32]
# Images and, where the model needs them, points, to logits
Run = Callable[[Images, Points | None], Logits]


@dataclass(frozen=True, slots=True)
class ExportedFacts:
    """What an exported file says about itself.

    Attributes:
        model: as in the checkpoint, without its configuration and data, which name files and people of the trainer's.
        needs_points: whether the graph takes landmarks.
        checkpoint_sha256: of the model file that it was made from.
    """

    model: ModelFacts
    needs_points: bool
    checkpoint_sha256: str

    def to_json(self) -> str:
        """The header of the file."""
        own = {"kind": "model", "format": FORMAT, "needs_points": self.needs_points}
        header = own | {"checkpoint_sha256": self.checkpoint_sha256} | asdict(replace(self.model, config={}, data={}))
        return json.dumps(header, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None, path: Path) -> "ExportedFacts":
        """The inverse of `to_json`; the text is not trusted.

        Args:
            text: the header; None where the file has none.
            path: of the file, for errors.

        Raises:
            CheckpointError: no header, or a damaged one.
        """
        hint = "write it with `occfer export`"
        if text is None:
            raise CheckpointError(f"{path} does not say what it is (no metadata '{HEADER}'); {hint}")
        try:
            header = json.loads(text) if len(text) <= LONGEST_HEADER else None
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict):
            raise CheckpointError(f"{path} has a damaged metadata '{HEADER}'; {hint}")
        if header.get("format") != FORMAT:
            raise CheckpointError(f"{path} has the format {header.get('format')!r}; this version reads {FORMAT}")
        needs_points, digest = header.get("needs_points"), header.get("checkpoint_sha256")
        if not isinstance(needs_points, bool) or not isinstance(digest, str):
            raise CheckpointError(f"{path} is incomplete: its metadata names no needs_points or checkpoint_sha256")
        return cls(facts_of_header(header, path), needs_points, digest)


class ExportedPredictor:
    """An exported model as a `Predictor`.

    Args:
        path: of the file, for errors.
        facts: from its header.
        run: the graph.
        batch_size: images at once.
    """

    def __init__(self, path: Path, facts: ExportedFacts, run: Run, batch_size: int = 64) -> None:
        self.facts = facts.model
        self.needs_points = facts.needs_points
        self.checkpoint_sha256 = facts.checkpoint_sha256
        self._path = path
        self._run = run
        self._batch_size = batch_size

    def logits(self, images: Images, points_xy: Points | None = None) -> Logits:
        """`(N, len(facts.classes))`, before softmax; arguments as for `Predictor.probabilities`.

        Raises:
            DataError: images or points of another shape or type than the model's.
            CheckpointError: the graph fails on them, or answers with another shape than its facts say.
        """
        side_px = self.facts.size_px
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (side_px, side_px, 3):
            wanted = f"(N, {side_px}, {side_px}, 3)"
            raise DataError(f"images are {images.dtype} {images.shape}; the model takes uint8 {wanted}")
        points = self._points(points_xy, len(images))
        answer = np.zeros((len(images), len(self.facts.classes)), dtype=np.float32)
        for start in range(0, len(images), self._batch_size):
            part = slice(start, start + self._batch_size)
            found = self._run(np.ascontiguousarray(images[part]), None if points is None else points[part])
            if found.shape != answer[part].shape:
                raise CheckpointError(
                    f"{self._path} answers with the shape {found.shape}, not {answer[part].shape} as its facts say"
                )
            answer[part] = found
        return answer

    def probabilities(self, images: Images, points_xy: Points | None = None) -> npt.NDArray[np.float64]:
        """See `Predictor`; raises as `logits` does."""
        logits = self.logits(images, points_xy).astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float64)

    def _points(self, points_xy: Points | None, count: int) -> Points | None:
        if not self.needs_points:
            return None
        if points_xy is None or points_xy.shape != (count, POINTS_A_FACE, 2):
            shape = None if points_xy is None else points_xy.shape
            raise DataError(f"landmarks have the shape {shape}; the model takes ({count}, {POINTS_A_FACE}, 2)")
        return np.ascontiguousarray(points_xy, dtype=np.float32)
