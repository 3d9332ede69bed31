"""PG-CNN and gACNN as baselines: how they are trained in a run, and used again from the model file."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from occfer.baselines.baseline import Baseline
from occfer.baselines.patches.centres import patch_centres
from occfer.baselines.patches.images import resized
from occfer.baselines.patches.network import INPUT_PX, PatchNetwork, PatchSizes
from occfer.baselines.patches.stage import PatchStage
from occfer.baselines.patches.training_points import MEAN_FACE, TrainingPoints, with_mean_face
from occfer.baselines.patches.vgg import load_vgg
from occfer.data.arrays import Float64Array, Images, Points
from occfer.data.image_store import laid_out
from occfer.data.manifests import read_points
from occfer.engine.engine import Engine
from occfer.engine.loop import Session, run_stage
from occfer.engine.network_predictor import batched_probabilities
from occfer.errors import CheckpointError, DataError
from occfer.faces.landmarks import open_points, points_in_parts
from occfer.methods import Method
from occfer.models.seeding import weight_seed
from occfer.runs.checkpoint import load, model_file, read_model_info, restore_module, under
from occfer.runs.model_info import ModelInfo


def patch_baseline(title: str, sizes: PatchSizes | None = None, *, global_unit: bool = False) -> Baseline:
    """The baseline of a patch-gated network; arguments as of `PatchNetwork`."""
    build = partial(PatchNetwork, sizes=sizes, global_unit=global_unit)
    return Baseline(Method(title, branch=None, needs_points=True), partial(_fit, build), partial(_load, build))


def _fit(build: partial[PatchNetwork], session: Session) -> None:
    if session.engine.agreed(session.paths.best.is_file()):
        return
    data, config = session.data, session.config
    points = _training_points(session)
    with weight_seed(config.seed, config.method):
        network = build(len(data.split.classes))
    for note in load_vgg(network, config.weights):
        session.say(f"{config.method}: {note}")
    stage = PatchStage(network, points, data=data, config=config, engine=session.engine)
    if config.baseline_updates or not config.baseline_epochs:
        updates = stage.epochs * stage.rounds
        session.say(f"{config.method}: only {updates} updates, so this is a trial and not a trained model")
    run_stage(session, stage, "occluded", session.paths.best)


def _training_points(session: Session) -> TrainingPoints:
    """Landmarks of the clean faces, and of the occluded ones that train and validate, as `--landmarks-from` says.

    With live occlusions, too, those of the occluded faces are found on the manifest's pictures [decided]: nobody could
    wait for a detector in every epoch.
    """
    data = session.data
    clean_xy = read_points(data.corpus, data.size_px)
    if session.config.landmarks_from == "clean":
        return TrainingPoints.of(clean_xy, clean_xy, data.train, data.size_px)
    used = np.concatenate([data.train, data.val])
    points = open_points(data.corpus, data.size_px, "occluded")
    occluded_xy = np.full_like(clean_xy, np.nan)
    occluded_xy[used] = points_in_parts(points, data.store, used)
    for note in points.notes():
        session.say(f"{session.config.method}, training: {note}")
    return TrainingPoints.of(clean_xy, occluded_xy, data.train, data.size_px)


def _load(build: partial[PatchNetwork], path: Path, engine: Engine, batch_size: int) -> "PatchPredictor":
    path = model_file(path)
    info = read_model_info(path)
    # On the meta device nothing is drawn: 200 million random weights would be overwritten at once.
    with torch.device("meta"):
        network = build(len(info.classes))
    network.to_empty(device="cpu")
    weights = under("classifier", load(path)[0])
    # files of version 0.1 have none, and no need of one: all their faces have landmarks
    mean_face = weights.pop(MEAN_FACE, torch.full((68, 2), 0.5))
    if mean_face.shape != (68, 2) or mean_face.dtype != torch.float32:
        raise CheckpointError(f"{path}: its mean face is not of 68 points")
    restore_module(network, weights, str(path))
    return PatchPredictor(network, info, engine, batch_size, mean_face.numpy())


class PatchPredictor:
    """A trained patch-gated network.

    Args:
        network: on the CPU; it is moved to the engine's device.
        info: of its model file.
        engine: of one process.
        batch_size: images per call.
        mean_face: `(68, 2)` float32, see `TrainingPoints`.
    """

    needs_points = True

    def __init__(
        self, network: PatchNetwork, info: ModelInfo, engine: Engine, batch_size: int, mean_face: Points
    ) -> None:
        self.info = info
        self._mean_face = mean_face
        self._engine = engine
        self._network = network.eval().requires_grad_(False)
        self._batch_size = batch_size
        engine.place(network)

    def probabilities(self, images: Images, points_xy: Points | None = None) -> Float64Array:
        """See `Predictor`. A face without landmarks gets those of the mean face [decided].

        Raises:
            DataError: there are no landmarks.
        """
        if points_xy is None:
            raise DataError(f"{self.info.method} looks at 24 places of a face, so it needs the face's 68 landmarks")
        known = with_mean_face(points_xy, self._mean_face, images.shape[1])
        centres = torch.from_numpy(patch_centres(known, images.shape[1], INPUT_PX))

        def answer(part: slice) -> Tensor:
            faces = resized(torch.from_numpy(images[part]).to(self._engine.device), INPUT_PX)
            own = centres[part].to(self._engine.device)
            logits: Tensor = self._network(laid_out(faces, self._engine.channels_last), own)
            return logits

        return batched_probabilities(
            self._engine, answer, len(images), classes=len(self.info.classes), batch_size=self._batch_size
        )


PG_CNN = patch_baseline("PG-CNN")
GACNN = patch_baseline("gACNN", global_unit=True)
