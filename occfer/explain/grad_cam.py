"""Grad-CAM of a trained network's last map (Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74), computed by captum."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from occfer.data.arrays import Float32Array, Float64Array, Images, Int64Array
from occfer.data.image_store import laid_out, network_input
from occfer.engine.engine import Engine
from occfer.errors import ConfigError, MethodError
from occfer.method_table import METHOD_TABLE, method_named
from occfer.models.classifier import Classifier
from occfer.runs.checkpoint import Model, load_model, read_model_info
from occfer.runs.model_info import ModelInfo

EXPORTED = (".onnx", ".pt2")


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """Where a network looked on N faces.

    Attributes:
        maps: `(N, h, w)` float32, the cells of the last map; nothing is below 0, and all of a map may be 0.
        probabilities: `(N, classes)` float64, the network's answers to the same faces; each line sums to 1.
    """

    maps: Float32Array
    probabilities: Float64Array


class Explainer:
    """The branch that a method tests, asked for its answers and for what they rest on.

    Args:
        model: with its networks on the CPU; the classifier is moved to the engine's device.
        engine: of one process.

    Raises:
        ConfigError: captum is not installed.
    """

    def __init__(self, model: Model, engine: Engine) -> None:
        if find_spec("captum") is None:
            raise ConfigError("occfer explain needs captum: pip install 'occsynth[explain]'")
        from captum.attr import LayerGradCam

        self.info: ModelInfo = model.info
        self._engine = engine
        self._classifier = model.classifier
        engine.place(model.classifier)
        self._top = _Top(model.classifier)
        self._grad_cam = LayerGradCam(self._top, self._top.last_map)

    def heat(self, images: Images, targets: Int64Array | None = None) -> Heat:
        """Grad-CAM of one class for each face.

        A cell's heat is the sum over the channels of the last map, each weighted by its mean gradient of the class's
        logit; what speaks against the class, a sum below 0, is clipped to 0.

        Args:
            images: `(N, S, S, 3)` uint8 RGB, aligned faces; S is `info.size_px`.
            targets: `(N,)` class indices; None for the network's own answer to each face.

        Raises:
            MethodError: the last map has a single cell.
        """
        with torch.no_grad():
            batch = network_input(torch.from_numpy(images).to(self._engine.device))
            maps = self._classifier.last_map(laid_out(batch, self._engine.channels_last))
            self._refuse_without_places(maps)
            logits: Tensor = self._classifier.logits(maps)
        asked = logits.argmax(dim=1) if targets is None else torch.from_numpy(targets).to(logits.device)
        # only the layers after the map are run again, for their gradients
        found: Tensor = self._grad_cam.attribute(maps.requires_grad_(), asked, relu_attributions=True)
        return Heat(
            maps=np.asarray(found.detach()[:, 0].float().cpu().numpy(), dtype=np.float32),
            probabilities=np.asarray(logits.double().softmax(dim=1).cpu().numpy(), dtype=np.float64),
        )

    def _refuse_without_places(self, maps: Tensor) -> None:
        if maps.ndim != 4 or maps.shape[2] * maps.shape[3] < 2:
            raise MethodError(
                f"the last map of {self.info.backbone} has a single cell for faces of {self.info.size_px} px, so it "
                "tells no places apart; train with --stem small, --network-size or a backbone of a smaller stride"
            )


class _Top(nn.Module):
    """What follows on the last map; the map itself is a layer, which captum can watch."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.last_map = nn.Identity()
        self._classifier = classifier

    def forward(self, maps: Tensor) -> Tensor:
        return self._classifier.logits(self.last_map(maps))


def load_explainer(path: Path, engine: Engine) -> Explainer:
    """The explainer of a model file or a run folder.

    Raises:
        CheckpointError: there is no such model.
        ConfigError: captum is not installed.
        MethodError: it is an exported file, or of a method without a branch.
    """
    refuse_unexplainable(path)
    return Explainer(load_model(path), engine)


def refuse_unexplainable(path: Path) -> None:
    """Raises MethodError for a model file that cannot be explained, and says why; nothing is loaded for that."""
    if path.suffix in EXPORTED and not path.is_dir():
        raise MethodError(
            f"{path} is an exported model, which answers but gives no gradients; explain the run folder that it was "
            "exported from"
        )
    name = read_model_info(path).method
    if method_named(name).branch is None:
        raise MethodError(
            f"{path}: the method {name} has no network with one last map of the whole face, which Grad-CAM needs; "
            f"methods that can be explained: {', '.join(explainable())}"
        )


def explainable() -> Sequence[str]:
    """The methods whose answers can be explained: those that test a branch, so all but the baselines."""
    return [name for name, method in METHOD_TABLE.items() if method.branch is not None]


def on_pictures(maps: Float32Array, side_px: int) -> Float32Array:
    """`(N, side_px, side_px)` float32: the maps as large as the pictures, bilinear between the centres of the cells."""
    from captum.attr import LayerAttribution

    enlarged = LayerAttribution.interpolate(torch.from_numpy(maps)[:, None], (side_px, side_px), "bilinear")
    return np.asarray(enlarged[:, 0].numpy(), dtype=np.float32)
