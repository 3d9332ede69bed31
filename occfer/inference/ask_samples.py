"""Asking a trained model about samples of a corpus, a few at a time: how `train` and `evaluate` test a model."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from occfer.data.image_store import ImageStore
from occfer.data.manifests import Corpus
from occfer.faces.landmarks import open_points
from occfer.methods import Method
from occfer.runs.predictor import Predictor


def ask_samples(
    predictor: Predictor,
    method: Method,
    corpus: Corpus,
    store: ImageStore,
    indices: npt.NDArray[np.int64],
    *,
    batch_size: int,
    on_asked: Callable[[int], object] = lambda done: None,
) -> tuple[npt.NDArray[np.float64], Sequence[str]]:
    """A model's probabilities for some samples, in one process.

    Args:
        predictor: the model.
        method: its description, which says whether the model sees clean or occluded images and landmarks.
        corpus, store: the samples and their images, at the model's size.
        indices: `(N,)` int64, positions in the corpus.
        batch_size: images per call.
        on_asked: called with how many samples have been answered.

    Returns:
        `(N, classes)` float64, rows sum to 1; and notes for the user, such as faces in which no landmarks were found.
    """
    points = None
    if predictor.needs_points:
        from_occluded = method.finds_points and predictor.facts.config.get("landmarks_from") == "occluded"
        points = open_points(corpus, predictor.facts.size_px, "occluded" if from_occluded else "clean")
    parts: list[npt.NDArray[np.float64]] = []
    for start in range(0, len(indices), batch_size):
        chunk = indices[start : start + batch_size]
        images = store.host(method.view, chunk)
        parts.append(predictor.probabilities(images, None if points is None else points.of(chunk, images)))
        on_asked(start + len(chunk))
    return np.concatenate(parts), () if points is None else points.notes()
