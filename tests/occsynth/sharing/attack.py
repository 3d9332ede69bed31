"""The attack on a published manifest by somebody who guesses names: which name leads to the draws of which row.

Of everything that a row publishes, the attacker uses what its random stream decided. Images and landmarks are not
needed: a canonical face stands in for them, because a template, an angle or a square hardly depends on the face.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from occsynth.faces.align import ARCFACE_112_XY
from occsynth.faces.landmarks import fallback_landmarks
from occsynth.manifest import Manifest, ManifestInfo
from occsynth.modes.face import Face
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.seeds import Stream, key_stream, row_stream
from occsynth.occluder import Occluder
from occsynth.pixels.warp import rescale

StreamOfName = Callable[[ManifestInfo, str], Stream]


def by_pair_id(info: ManifestInfo, name: str) -> Stream:
    """The stream of schema 1."""
    return Stream((str(info.seed), info.database, info.mode, name))


STREAMS: tuple[StreamOfName, ...] = (
    by_pair_id,
    lambda info, name: key_stream(info.seed, info.mode, name),
    lambda info, name: row_stream(info.seed, info.mode, name),
    lambda info, name: row_stream(info.seed, info.mode, "", name),
)
"""Every way in which this version makes a stream, with a name where it could stand."""


def names_found(published: Manifest, guesses: Iterable[str], stream_of: StreamOfName) -> dict[str, str]:
    """The name that fits each row best, by the row's number; rows that no name fits are left out."""
    info = published.info
    occluder = Occluder(info.mode, None, info.seed, fill=info.fill, look="pasted")  # type: ignore[arg-type]  # text
    face = _canonical_face(info.size_px)
    drawn = {name: occluder.sample(face, stream_of(info, name)) for name in guesses}
    found = {}
    for row in published.rows():
        record = Occlusion.from_json(row.occlusion)
        distances = {name: _distance(record, guess) for name, guess in drawn.items()}
        best = min(distances, key=lambda name: distances[name])
        if distances[best] < math.inf:
            found[row.pair_id] = best
    return found


def true_names(published: Manifest, original: Manifest) -> dict[str, str]:
    """The name of each row by its number, which only the builder knows."""
    by_source = {row.source_pixels_sha256: row.pair_id for row in original.rows()}
    return {row.pair_id: by_source[row.source_pixels_sha256] for row in published.rows()}


def _canonical_face(size_px: int) -> Face:
    five = rescale(np.array(ARCFACE_112_XY), (112, 112), (size_px, size_px))
    grey = np.full((size_px, size_px, 3), 128, np.uint8)
    return Face.with_points(grey, fallback_landmarks((size_px, size_px), five).points_xy)


def _distance(record: Occlusion, guess: Occlusion) -> float:
    """How far a row's record is from that of a guess; infinite where they cannot be of one stream."""
    if record.fill == "noise":
        return 0.0 if record.noise == guess.noise else math.inf
    if (record.template, record.square_xyxy) != (guess.template, guess.square_xyxy):
        return math.inf
    ours, theirs = (_turn(each) for each in (record, guess))
    return float(np.linalg.norm(ours - theirs))


def _turn(record: Occlusion) -> npt.NDArray[np.float64]:
    """How a template is turned and flipped, whatever its size."""
    linear = np.array(record.affine)[[0, 1, 3, 4]]
    return np.asarray(linear / np.linalg.norm(linear))
