"""A trained model's answers to samples of a corpus, batch by batch: how `train` and `evaluate` test a model."""

from collections.abc import Callable, Sequence

import numpy as np

from occfer.data.arrays import Float64Array, Indices, View
from occfer.data.image_store import ImageStore
from occfer.data.manifests import Corpus
from occfer.faces.landmarks import open_points
from occfer.runs.predictor import Predictor


def ask_samples(
    predictor: Predictor,
    view: View,
    corpus: Corpus,
    store: ImageStore,
    indices: Indices,
    *,
    batch_size: int,
    on_asked: Callable[[int], object] = lambda done: None,
) -> tuple[Float64Array, Sequence[str]]:
    """A model's probabilities for some samples, in one process.

    Args:
        predictor: the model.
        view: whether it is shown the clean or the occluded images.
        corpus, store: the samples and their images, at the model's size.
        indices: `(N,)` int64, of the samples.
        batch_size: images per call.
        on_asked: called with the number of samples that have been answered.

    Returns:
        `(N, classes)` float64, each sample's sum to 1; and notes for the user, such as faces without landmarks.
    """
    points = None
    if predictor.needs_points:
        # the manifest's landmarks are those of the clean face
        landmarks_from = predictor.info.config.get("landmarks_from") if view == "occluded" else "clean"
        points = open_points(corpus, predictor.info.size_px, "occluded" if landmarks_from == "occluded" else "clean")
    parts: list[Float64Array] = []
    for start in range(0, len(indices), batch_size):
        chunk = indices[start : start + batch_size]
        images = store.host(view, chunk)
        parts.append(predictor.probabilities(images, None if points is None else points.of(chunk, images)))
        on_asked(start + len(chunk))
    return np.concatenate(parts), () if points is None else points.notes()
