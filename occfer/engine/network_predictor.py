"""The predictor of a model file with branches: the tested branch, run by torch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from occfer.data.arrays import Float64Array, Images, Points
from occfer.data.image_store import laid_out, network_input
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

        def answer(part: slice) -> Tensor:
            batch = network_input(torch.from_numpy(images[part]).to(self._engine.device))
            logits: Tensor = self._network(laid_out(batch, self._engine.channels_last))
            return logits

        return batched_probabilities(
            self._engine, answer, len(images), classes=len(self.info.classes), batch_size=self._batch_size
        )


def batched_probabilities(
    engine: Engine, answer: Callable[[slice], Tensor], images: int, *, classes: int, batch_size: int
) -> Float64Array:
    """The probabilities `(images, classes)` that a network gives, batch by batch.

    Args:
        engine: of one process.
        answer: logits `(B, classes)` of a slice of B images, on the engine's device; called without gradients.
        images: number of images.
        classes: number of classes.
        batch_size: images per call.
    """
    logits = torch.zeros(images, classes)
    with torch.no_grad(), engine.fabric.autocast():
        for start in range(0, images, batch_size):
            part = slice(start, start + batch_size)
            logits[part] = answer(part).float().cpu()
    # In float64, so that the probabilities of a face sum to 1 as closely as predictions.csv can show.
    return np.asarray(logits.double().softmax(dim=1).numpy(), dtype=np.float64)
