"""New occlusions in every epoch: occsynth's Occluder as the callable that batches take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occfer.data.arrays import Points
from occfer.errors import ConfigError
from occsynth.errors import ManifestError, OccSynthError
from occsynth.faces.align import ARCFACE_112_XY
from occsynth.faces.landmark_file import open_landmarks
from occsynth.faces.landmarks import fallback_landmarks
from occsynth.manifest import Manifest, open_manifest
from occsynth.occluder import Occluder
from occsynth.pixels.warp import rescale


@dataclass(frozen=True, slots=True)
class LiveOccluder:
    """Draws another occlusion for each (face, epoch); it can be pickled, so that it reaches other processes.

    Attributes:
        occluder: of one mode and seed.
        faces: the 68 landmarks of `database/pair_id`, with the size in pixels of the image that they are for.
        aligned: whether a face without landmarks is aligned to the template; if not, it is taken to fill the image.
    """

    occluder: Occluder
    faces: Mapping[str, tuple[Points, int]]
    aligned: bool

    def __call__(self, image: npt.NDArray[np.uint8], face: str, epoch: int) -> npt.NDArray[np.uint8]:
        """The occluded image of a clean one, both `(S, S, 3)` uint8 RGB."""
        return self.occluder(image, key=face, epoch=epoch, points_xy=self._points(face, image.shape[0])).image

    def _points(self, face: str, size_px: int) -> Points | None:
        if face in self.faces:
            points, of_px = self.faces[face]
            known = rescale(points, (of_px, of_px), (size_px, size_px))
        elif self.aligned:
            known = rescale(np.array(ARCFACE_112_XY), (112, 112), (size_px, size_px))
        else:
            return None
        return fallback_landmarks((size_px, size_px), known).points_xy


def live_occluder(mode: str, manifests: Sequence[Path], seed: int) -> LiveOccluder:
    """The occluder of a mode for the faces of some manifests, with the landmarks of the files beside these.

    Raises:
        ConfigError: there is no such mode, or a manifest cannot be read.
    """
    try:
        occluder = Occluder(mode, seed=seed)
        opened = [open_manifest(path) for path in manifests]
    except OccSynthError as error:
        raise ConfigError(f"--live-occlusion {mode}: {error}") from error
    faces: dict[str, tuple[Points, int]] = {}
    for manifest in opened:
        faces |= _landmarks(manifest)
    return LiveOccluder(occluder, faces, all(each.info.align == "similarity" for each in opened))


def _landmarks(manifest: Manifest) -> dict[str, tuple[Points, int]]:
    """A manifest's landmarks; none if their file is missing or unreadable, because they only refine the draw."""
    try:
        pair_ids, points = open_landmarks(manifest.beside(".landmarks.npz"))
    except ManifestError:
        return {}
    info = manifest.info
    return {
        f"{info.database}/{name}": (np.array(each), info.size_px) for name, each in zip(pair_ids, points, strict=True)
    }
