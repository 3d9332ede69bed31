"""What an exported model carries and how it answers, whichever runtime executes it; nothing here needs torch.

An exported graph takes `images`, `(N, S, S, 3)` uint8 RGB, and gives `logits`, `(N, C)` float32. Scaling and
normalisation are inside.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occfer.data.arrays import Images, Points
from occfer.errors import CheckpointError, DataError
from occfer.runs.model_facts import ModelFacts, facts_of_header

HEADER = "occfer"  # the key of the ONNX metadata
HEADER_FILE = "occfer.json"  # the extra file of a .pt2 archive
FORMAT = 1  # raised when files of an older version cannot be read any more
IMAGES, LOGITS = "images", "logits"
LONGEST_HEADER = 1_000_000

Logits = npt.NDArray[np.float32]
Run = Callable[[Images], Logits]


@dataclass(frozen=True, slots=True)
class ExportedFacts:
    """What an exported file says about itself.

    Attributes:
        model: as in the checkpoint, without its configuration and data, which name files and people of the trainer's.
        checkpoint_sha256: of the model file that it was made from.
    """

    model: ModelFacts
    checkpoint_sha256: str

    def to_json(self) -> str:
        """The header of the file."""
        own = {"kind": "model", "format": FORMAT, "checkpoint_sha256": self.checkpoint_sha256}
        return json.dumps(own | asdict(replace(self.model, config={}, data={})), sort_keys=True)

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
        return cls(facts_of_header(header, path), str(header.get("checkpoint_sha256")))


class ExportedPredictor:
    """An exported model as a `Predictor`.

    Args:
        path: of the file, for errors.
        facts: from its header.
        run: the graph.
        batch_size: images at once.
    """

    needs_points = False

    def __init__(self, path: Path, facts: ExportedFacts, run: Run, batch_size: int = 64) -> None:
        self.facts = facts.model
        self.checkpoint_sha256 = facts.checkpoint_sha256
        self._path = path
        self._run = run
        self._batch_size = batch_size

    def logits(self, images: Images) -> Logits:
        """`(N, len(facts.classes))`, before softmax; images as for `Predictor.probabilities`.

        Raises:
            DataError: images of another shape or type than the model's.
            CheckpointError: the graph fails on them, or answers with another shape than its facts say.
        """
        side_px = self.facts.size_px
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (side_px, side_px, 3):
            wanted = f"(N, {side_px}, {side_px}, 3)"
            raise DataError(f"images are {images.dtype} {images.shape}; the model takes uint8 {wanted}")
        answer = np.zeros((len(images), len(self.facts.classes)), dtype=np.float32)
        for start in range(0, len(images), self._batch_size):
            part = slice(start, start + self._batch_size)
            found = self._run(np.ascontiguousarray(images[part]))
            if found.shape != answer[part].shape:
                raise CheckpointError(
                    f"{self._path} answers with the shape {found.shape}, not {answer[part].shape} as its facts say"
                )
            answer[part] = found
        return answer

    def probabilities(self, images: Images, points_xy: Points | None = None) -> npt.NDArray[np.float64]:
        """See `Predictor`; landmarks are not looked at. Raises as `logits` does."""
        del points_xy
        logits = self.logits(images).astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float64)
