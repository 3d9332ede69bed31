"""RGBT: distances to random Gabor templates, and a support vector machine. A reconstruction.

Zhang, Tjondronegoro and Chandran, "Random Gabor based templates for facial expression recognition in images with
facial occlusion", Neurocomputing 145, 2014. Known are the Monte Carlo draws of Gabor templates of parts of gallery
faces, template-match distances as features, the SVM, and matched and mismatched training. All else is recalled or
decided; docs/baselines.md says which.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from occfer.baselines.classical.fitted import (
    expect,
    fitted_indices,
    load_fitted,
    parts_of,
    people_of,
    save_fitted,
    trained_view,
)
from occfer.baselines.classical.gabor_templates import (
    Template,
    distances,
    draw_templates,
    read_templates,
    template_arrays,
)
from occfer.baselines.classical.svm import Svm, fit_svm, read_svm
from occfer.data.arrays import Float32Array, Float64Array, Images, Points
from occfer.data.random_streams import stream_rng
from occfer.engine.engine import Engine
from occfer.engine.loop import Session
from occfer.runs.model_info import ModelInfo


@dataclass(frozen=True, slots=True, eq=False)
class RgbtPredictor:
    """A fitted model, see `occfer.runs.predictor.Predictor`.

    Attributes:
        info: of its file.
        templates: T of them.
        low, high: `(T,)` float32, the least and the largest distance of a training face to each template.
        svm: on distances scaled to [0, 1].
    """

    info: ModelInfo
    templates: tuple[Template, ...]
    low: Float32Array
    high: Float32Array
    svm: Svm
    needs_points: bool = False

    def probabilities(self, images: Images, points_xy: Points | None = None) -> Float64Array:
        """See `Predictor`; landmarks are not looked at."""
        del points_xy
        return self.svm.probabilities(scaled(distances(self.templates, images), self.low, self.high))


def scaled(features: Float32Array, low: Float32Array, high: Float32Array) -> Float32Array:
    """`(N, T)` float32 in [0, 1]: the range of the training faces; values outside it are clipped. [decided]"""
    spread = np.maximum(high - low, np.float32(1e-12))
    return np.asarray(np.clip((features - low) / spread, 0, 1), dtype=np.float32)


def fit_rgbt(session: Session) -> None:
    """Draws templates, measures all training faces, fits the support vector machine, and writes the model file."""
    if not session.engine.first or session.paths.best.is_file():
        return
    config, data = session.config, session.data
    indices = fitted_indices(data)
    read = partial(data.store.host, trained_view(session))
    templates = draw_templates(read, indices, config.rgbt_templates, stream_rng(config.seed, "rgbt", "templates"))
    session.say(f"rgbt: {len(templates)} templates, {len(indices)} {config.train_on} faces")
    features = np.empty((len(indices), len(templates)), dtype=np.float32)
    for part in parts_of(len(indices)):
        features[part] = distances(templates, read(indices[part]))
    low, high = features.min(axis=0), features.max(axis=0)
    rng = stream_rng(config.seed, "rgbt", "search")
    svm, note = fit_svm(scaled(features, low, high), data.labels[indices], people_of(data, indices), rng)
    session.say(f"rgbt: {note}")
    save_fitted(session, template_arrays(templates) | {"range.low": low, "range.high": high} | svm.arrays())


def load_rgbt(path: Path, engine: Engine, batch_size: int = 64) -> RgbtPredictor:
    """The predictor of a model file or run folder.

    Raises:
        CheckpointError: it is missing, damaged, or not a model of this method.
    """
    del engine, batch_size
    path, info, arrays = load_fitted(path)
    templates = read_templates(path, arrays)
    expect(path, arrays, dict.fromkeys(("range.low", "range.high"), (np.float32, (len(templates),))))
    low, high = (np.asarray(arrays[f"range.{name}"], np.float32) for name in ("low", "high"))
    return RgbtPredictor(info, templates, low, high, read_svm(path, arrays, len(templates), len(info.classes)))
