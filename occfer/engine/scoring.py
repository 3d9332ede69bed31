"""Predicting many samples of a corpus with one network, shared among the processes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from occfer.data.arrays import Indices, Int64Array, View
from occfer.data.image_store import ImageStore, laid_out, network_input
from occfer.engine.engine import Engine
from occfer.methods.network_modes import evaluating
from occfer.models.classifier import Classifier
from occfer.settings import Selection


@dataclass(frozen=True, slots=True)
class Score:
    """How good a network is on some samples.

    Attributes:
        accuracy: share of right answers.
        loss: the mean cross-entropy.
        uar: mean recall of the classes that the samples show; None in a checkpoint of version 0.1.
    """

    accuracy: float
    loss: float
    uar: float | None = None

    def merit(self, select: Selection) -> tuple[float, float]:
        """The greater, the better: the figure that `--select` names, then the loss (for `loss`, the accuracy)."""
        if select == "loss":
            return (-self.loss, self.accuracy)
        figure = self.accuracy if select == "accuracy" else self.uar
        return (-1.0 if figure is None else figure, -self.loss)


def predict_samples(
    engine: Engine,
    network: Classifier,
    store: ImageStore,
    view: View,
    indices: Indices,
    *,
    mirrored: bool = False,
    batch_size: int = 64,
) -> Tensor:
    """Logits `(len(indices), classes)` float32 on the CPU, the same in every process.

    Args:
        engine: whose processes share the work.
        network: on the engine's device; it is put into eval mode for this and then back.
        store: where the images are.
        view: which of them.
        indices: of the samples.
        mirrored: whether each image is mirrored, left to right, before it is predicted.
        batch_size: per process.
    """

    def answer(part: Indices) -> Tensor:
        images = network_input(store.view(view, part))
        images = images.flip(3) if mirrored else images
        logits: Tensor = network(laid_out(images, engine.channels_last))
        return logits

    return gather_logits(engine, network, answer, indices, classes=network.classes, batch_size=batch_size)


def gather_logits(
    engine: Engine,
    network: nn.Module,
    answer: Callable[[Indices], Tensor],
    indices: Indices,
    *,
    classes: int,
    batch_size: int = 64,
) -> Tensor:
    """The logits of samples, `(len(indices), classes)` float32 on the CPU, the same in every process.

    Args:
        engine: whose processes share the work.
        network: what `answer` runs; it is put into eval mode for this and then back.
        answer: logits `(B, classes)` of B samples, on the engine's device; called without gradients.
        indices: of the samples.
        classes: number of logits per sample.
        batch_size: per process.
    """
    # Each process fills in its own samples and leaves zeros elsewhere, so that the sum holds all of them.
    logits = torch.zeros(len(indices), classes, device=engine.device)
    own = np.arange(engine.rank, len(indices), engine.world_size)
    with evaluating(network), torch.no_grad(), engine.fabric.autocast():
        for start in range(0, len(own), batch_size):
            part = own[start : start + batch_size]
            logits[torch.from_numpy(part).to(engine.device)] = answer(indices[part]).float()
    return engine.summed(logits).cpu()


def score_logits(logits: Tensor, labels: Int64Array) -> Score:
    """The score of logits `(N, classes)` on labels `(N,)`."""
    truth = torch.from_numpy(labels)
    right = (logits.argmax(dim=1) == truth).double()
    recalls = [right[truth == int(label)].mean() for label in np.unique(labels)]
    loss = F.cross_entropy(logits.double(), truth)
    return Score(float(right.mean()), float(loss), float(torch.stack(recalls).mean()))
