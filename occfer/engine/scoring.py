"""Predicting many rows of a corpus with one network, shared among the processes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from occfer.data.arrays import View
from occfer.data.image_store import ImageStore
from occfer.engine.engine import Engine
from occfer.models.classifier import Classifier


@dataclass(frozen=True, slots=True, order=True)
class Score:
    """How good a network is on some rows; the greater, the better: accuracy first, then the lower loss.

    Attributes:
        accuracy: share of right answers.
        minus_loss: minus the mean cross-entropy.
    """

    accuracy: float
    minus_loss: float


def predict_rows(
    engine: Engine,
    network: Classifier,
    store: ImageStore,
    view: View,
    rows: npt.NDArray[np.int64],
    *,
    mirrored: bool = False,
    batch_size: int = 64,
) -> Tensor:
    """Logits `(len(rows), classes)` float32 on the CPU, the same in every process.

    Args:
        engine: whose processes share the work.
        network: on the engine's device; it is put into eval mode for this and then back.
        store: where the images are.
        view: which of them.
        rows: rows of the corpus.
        mirrored: whether each image is mirrored, left to right, first.
        batch_size: per process.
    """

    def answer(part: npt.NDArray[np.int64]) -> Tensor:
        images = store.view(view, part).permute(0, 3, 1, 2).float().div_(255)
        images = images.flip(3) if mirrored else images
        layout = torch.channels_last if engine.channels_last else torch.contiguous_format
        logits: Tensor = network(images.contiguous(memory_format=layout))
        return logits

    return share_rows(engine, network, answer, rows, classes=network.classes, batch_size=batch_size)


def share_rows(
    engine: Engine,
    network: nn.Module,
    answer: Callable[[npt.NDArray[np.int64]], Tensor],
    rows: npt.NDArray[np.int64],
    *,
    classes: int,
    batch_size: int = 64,
) -> Tensor:
    """What a network answers to rows, `(len(rows), classes)` float32 on the CPU, the same in every process.

    Args:
        engine: whose processes share the work.
        network: what `answer` asks; it is put into eval mode for this and then back.
        answer: logits `(B, classes)` of B rows, on the engine's device; called without gradients.
        rows: rows of the corpus.
        classes: how many logits a row has.
        batch_size: per process.
    """
    logits = torch.zeros(len(rows), classes, device=engine.device)
    own = np.arange(engine.rank, len(rows), engine.world_size)
    training = network.training
    network.eval()
    try:
        with torch.no_grad(), engine.fabric.autocast():
            for start in range(0, len(own), batch_size):
                part = own[start : start + batch_size]
                logits[torch.from_numpy(part).to(engine.device)] = answer(rows[part]).float()
    finally:
        network.train(training)
    return engine.summed(logits).cpu()


def score_rows(logits: Tensor, labels: npt.NDArray[np.int64]) -> Score:
    """The score of logits `(N, classes)` on labels `(N,)`."""
    truth = torch.from_numpy(labels)
    accuracy = float((logits.argmax(dim=1) == truth).double().mean())
    return Score(accuracy, -float(F.cross_entropy(logits.double(), truth)))
