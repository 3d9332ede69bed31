"""How much modes really hide, measured on the faces that ship with occsynth, beside the share that their names say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from occsynth.databases.demo import DATABASE, ROOT
from occsynth.databases.record import FaceRecord
from occsynth.errors import SourceError
from occsynth.faces.align import align_image, align_points, similarity_alignment
from occsynth.faces.landmarks import detect_landmarks
from occsynth.faces.regions import five_points
from occsynth.modes.face import Face
from occsynth.modes.seeds import row_stream
from occsynth.occluder import Occluder
from occsynth.option_values import Fill, SquareAt
from occsynth.pixels.sources import read_source
from occsynth.templates.pack import load_pack
from occsynth.templates.sprites import OPAQUE_ALPHA


@dataclass(frozen=True, slots=True)
class HiddenShares:
    """What a mode hides with a fill: shares are means over all faces, in [0, 1].

    Attributes:
        faces: how many were occluded.
        picture: share of all pixels of the picture that are hidden.
        face, eyes, mouth: shares of these regions.
        misses_face: share of the occlusions that hide nothing of the face.
        partial: share of the occlusions that are `partial`.
    """

    mode: str
    fill: Fill
    faces: int
    picture: float
    face: float
    eyes: float
    mouth: float
    misses_face: float
    partial: float


def hidden_shares(
    modes: Sequence[str], fills: Sequence[Fill], square_at: SquareAt = "picture"
) -> Iterator[HiddenShares]:
    """Occludes every demo face in every mode with every fill as a build with seed 0 does, and measures.

    Raises:
        OccSynthError: a mode is unknown, or the shipped files are damaged.
    """
    pack = load_pack()
    for mode in modes:
        for fill in fills:
            yield _measured(mode, fill, Occluder(mode, pack, fill=fill, square_at=square_at))


def _measured(mode: str, fill: Fill, occluder: Occluder) -> HiddenShares:
    shares, partial = [], 0
    for source_pixels_sha256, face in _demo_faces():
        stream = row_stream(occluder.seed, mode, source_pixels_sha256)
        rendered, occlusion = occluder.draw(face.pixels, stream, face.regions.points_xy)
        hidden = face.regions.coverage(rendered.alpha, OPAQUE_ALPHA)
        of_picture = float((rendered.alpha >= OPAQUE_ALPHA).mean())
        shares.append((of_picture, hidden["face"], hidden["eyes"], hidden["mouth"], float(hidden["face"] == 0)))
        partial += occlusion.partial
    picture, of_face, eyes, mouth, misses_face = np.array(shares).mean(axis=0).tolist()
    return HiddenShares(mode, fill, len(shares), picture, of_face, eyes, mouth, misses_face, partial / len(shares))


@cache
def _demo_faces() -> list[tuple[str, Face]]:
    """Every demo face as a build aligns it, with the digest of its source's pixels."""
    faces = []
    for record in DATABASE.scan(ROOT, "default"):
        if not isinstance(record, FaceRecord):
            continue
        source = read_source(ROOT, record.source)
        landmarks = detect_landmarks(source.pixels)
        if landmarks is None:
            raise SourceError(f"{record.source}: no face was found")
        alignment = similarity_alignment(five_points(landmarks.points_xy), landmarks.image_wh, DATABASE.size_px)
        clean = align_image(source.pixels, alignment, DATABASE.size_px)
        face = Face.with_points(clean, align_points(landmarks.points_xy, alignment))
        faces.append((source.pixels_sha256, face))
    return faces
