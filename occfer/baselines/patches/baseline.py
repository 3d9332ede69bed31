"""PG-CNN and gACNN as baselines: how they are trained in a run, and used again from the model file."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from occfer.baselines.baseline import Baseline
from occfer.baselines.patches.centres import patch_centres
from occfer.baselines.patches.images import resized
from occfer.baselines.patches.network import INPUT_PX, PatchNetwork, PatchSizes
from occfer.baselines.patches.stage import PatchStage
from occfer.baselines.patches.vgg import load_vgg
from occfer.data.arrays import Float64Array, Images, Points
from occfer.data.image_store import laid_out
from occfer.data.manifests import read_points
from occfer.engine.engine import Engine
from occfer.engine.loop import Session, run_stage
from occfer.engine.network_predictor import batched_probabilities
from occfer.errors import DataError
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
    points_xy = read_points(data.corpus, data.size_px)
    with weight_seed(config.seed, config.method):
        network = build(len(data.split.classes))
    for note in load_vgg(network, config.weights):
        session.say(f"{config.method}: {note}")
    stage = PatchStage(network, points_xy, data=data, config=config, engine=session.engine)
    if config.baseline_updates or not config.baseline_epochs:
        updates = stage.epochs * stage.rounds
        session.say(f"{config.method}: only {updates} updates, so this is a trial and not a trained model")
    run_stage(session, stage, "occluded", session.paths.best)


def _load(build: partial[PatchNetwork], path: Path, engine: Engine, batch_size: int) -> "PatchPredictor":
    path = model_file(path)
    info = read_model_info(path)
    # On the meta device nothing is drawn: 200 million random weights would be overwritten at once.
    with torch.device("meta"):
        network = build(len(info.classes))
    network.to_empty(device="cpu")
    restore_module(network, under("classifier", load(path)[0]), str(path))
    return PatchPredictor(network, info, engine, batch_size)


class PatchPredictor:
    """A trained patch-gated network.

    Args:
        network: on the CPU; it is moved to the engine's device.
        info: of its model file.
        engine: of one process.
        batch_size: images per call.
    """

    needs_points = True

    def __init__(self, network: PatchNetwork, info: ModelInfo, engine: Engine, batch_size: int) -> None:
        self.info = info
        self._engine = engine
        self._network = network.eval().requires_grad_(False)
        self._batch_size = batch_size
        engine.place(network)

    def probabilities(self, images: Images, points_xy: Points | None = None) -> Float64Array:
        """See `Predictor`.

        Raises:
            DataError: there are no landmarks.
        """
        if points_xy is None:
            raise DataError(f"{self.info.method} looks at 24 places of a face, so it needs the face's 68 landmarks")
        centres = torch.from_numpy(patch_centres(points_xy, images.shape[1], INPUT_PX))

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
