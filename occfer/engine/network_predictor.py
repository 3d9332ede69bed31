"""The predictor of a model file with branches: the tested branch, run by torch."""

import numpy as np
import torch

from occfer.data.arrays import Float64Array, Images, Points
from occfer.engine.engine import Engine
from occfer.runs.checkpoint import Model
from occfer.runs.model_info import ModelInfo


class NetworkPredictor:
    """The one branch that a method tests (Section 3.5: the occluded branch alone).

    Args:
        model: with its networks on the CPU; the classifier is moved to the engine's device.
        engine: of one process.
        batch_size: images per call.
    """

    needs_points = False

    def __init__(self, model: Model, engine: Engine, batch_size: int = 64) -> None:
        self.info: ModelInfo = model.info
        self._engine = engine
        self._network = model.classifier
        self._batch_size = batch_size
        engine.place(model.classifier)

    def probabilities(self, images: Images, points_xy: Points | None = None) -> Float64Array:
        """See `Predictor`; landmarks are not used."""
        del points_xy
        logits = torch.zeros(len(images), len(self.info.classes))
        layout = torch.channels_last if self._engine.channels_last else torch.contiguous_format
        with torch.no_grad(), self._engine.fabric.autocast():
            for start in range(0, len(images), self._batch_size):
                part = torch.from_numpy(images[start : start + self._batch_size]).to(self._engine.device)
                batch = part.permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=layout)
                logits[start : start + len(part)] = self._network(batch).float().cpu()
        return np.asarray(logits.double().softmax(dim=1).numpy(), dtype=np.float64)
