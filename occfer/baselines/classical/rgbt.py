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
import numpy.typing as npt

from occfer.baselines.classical.fitted import (
    expect,
    fitted_rows,
    load_fitted,
    parts_of,
    people_of,
    save_fitted,
    trained_view,
)
from occfer.baselines.classical.gabor_templates import (
    Features,
    Template,
    distances,
    draw_templates,
    read_templates,
    template_arrays,
)
from occfer.baselines.classical.svm import Svm, fit_svm, read_svm
from occfer.data.arrays import Images, Points
from occfer.data.batches import stream_rng
from occfer.engine.engine import Engine
from occfer.engine.loop import Session
from occfer.runs.model_facts import ModelFacts


@dataclass(frozen=True, slots=True, eq=False)
class RgbtPredictor:
    """A fitted model, see `occfer.runs.predictor.Predictor`.

    Attributes:
        facts: of its file.
        templates: T of them.
        low, high: `(T,)` float32, the training faces' least and largest distance to each template.
        svm: on distances scaled to [0, 1].
    """

    facts: ModelFacts
    templates: tuple[Template, ...]
    low: Features
    high: Features
    svm: Svm
    needs_points: bool = False

    def probabilities(self, images: Images, points_xy: Points | None = None) -> npt.NDArray[np.float64]:
        """See `Predictor`; landmarks are not looked at."""
        del points_xy
        return self.svm.probabilities(scaled(distances(self.templates, images), self.low, self.high))


def scaled(features: Features, low: Features, high: Features) -> Features:
    """`(N, T)` float32 in [0, 1]: what lies outside the training faces' range is cut off. [decided]"""
    spread = np.maximum(high - low, np.float32(1e-12))
    return np.asarray(np.clip((features - low) / spread, 0, 1), dtype=np.float32)


def fit_rgbt(session: Session) -> None:
    """Draws templates, measures all training faces, fits the machine, and writes the model file."""
    if not session.engine.first or session.paths.best.is_file():
        return
    config, task = session.config, session.task
    if config.landmarks_from == "occluded":
        session.say("rgbt looks at no landmarks: --landmarks-from occluded changes nothing")
    rows = fitted_rows(task)
    read = partial(task.store.host, trained_view(session))
    templates = draw_templates(read, rows, config.rgbt_templates, stream_rng(config.seed, "rgbt", "templates"))
    session.say(f"rgbt: {len(templates)} templates, {len(rows)} {config.train_on} faces")
    features = np.empty((len(rows), len(templates)), dtype=np.float32)
    for part in parts_of(len(rows)):
        features[part] = distances(templates, read(rows[part]))
    low, high = features.min(axis=0), features.max(axis=0)
    svm, said = fit_svm(
        scaled(features, low, high), task.labels[rows], people_of(task, rows), stream_rng(config.seed, "rgbt", "search")
    )
    session.say(f"rgbt: {said}")
    save_fitted(session, template_arrays(templates) | {"range.low": low, "range.high": high} | svm.arrays())


def load_rgbt(path: Path, engine: Engine, batch_size: int = 64) -> RgbtPredictor:
    """The predictor of a model file or run folder.

    Raises:
        CheckpointError: it is missing, damaged, or no model of this method.
    """
    del engine, batch_size
    path, facts, arrays = load_fitted(path)
    templates = read_templates(path, arrays)
    expect(path, arrays, dict.fromkeys(("range.low", "range.high"), (np.float32, (len(templates),))))
    low, high = (np.asarray(arrays[f"range.{name}"], np.float32) for name in ("low", "high"))
    return RgbtPredictor(facts, templates, low, high, read_svm(path, arrays, len(templates), len(facts.classes)))
