"""Where a model looks on the shown face, drawn as `occfer explain` draws it; or why that is not known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps

from occfer.data.arrays import Float32Array, Images
from occfer.engine.engine import one_process
from occfer.errors import ConfigError, MethodError
from occfer.explain.grad_cam import Explainer, load_explainer, on_pictures
from occfer.explain.sheet import HEAT_COLOURS
from occfer.metrics.heat import shares

OPACITY = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class SeenHeat:
    """Where a model looked.

    Attributes:
        clean, occluded: `(S, S, 3)` uint8 RGB, the faces with the heat of the model's answer to each; None where that
            is not known.
        note: how much of the heat lies on the occluder, or why there is none.
    """

    clean: Images | None = None
    occluded: Images | None = None
    note: str = ""


class HeatOfModel:
    """Explains the answers of one model.

    Args:
        checkpoint: a model in any format; one that cannot be explained has no heat.
        device: as in `occfer.load.load`.
    """

    def __init__(self, checkpoint: Path, device: str) -> None:
        self._explainer: Explainer | None = None
        self._why_not = ""
        try:
            self._explainer = load_explainer(checkpoint, one_process(device))
        except (ConfigError, MethodError) as error:
            self._why_not = str(error)

    def __call__(self, clean: Images, occluded: Images, mask: Images) -> SeenHeat:
        """The heat on a face; `mask` is that of its occlusion, `(S, S)` uint8."""
        if self._explainer is None:
            return SeenHeat(note=f"No heat: {self._why_not}")
        try:
            maps = self._explainer.heat(np.stack([clean, occluded])).maps
        except MethodError as error:
            return SeenHeat(note=f"No heat: {error}")
        heats = on_pictures(maps, clean.shape[0])
        return SeenHeat(_drawn(clean, heats[0]), _drawn(occluded, heats[1]), _said(*shares(heats[1], mask)))


def _said(share_of_face: float | None, share_of_heat: float | None) -> str:
    if share_of_face is None or share_of_heat is None:
        return ""
    heat_percent, face_percent = (f"{100 * share:.0f} %" for share in (share_of_heat, share_of_face))
    return f"{heat_percent} of the heat lies on the occluder, which hides {face_percent} of the picture."


def _drawn(image: Images, heat: Float32Array) -> Images:
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    top = float(heat.max())
    if top <= 0:
        return grey.round().astype(np.uint8)
    colours = 255 * colormaps[HEAT_COLOURS](heat / top)[:, :, :3]
    return np.asarray((1 - OPACITY) * grey + OPACITY * colours).round().astype(np.uint8)
