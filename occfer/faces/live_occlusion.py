"""New occlusions in every epoch: occsynth's Occluder as the callable that batches take."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from occfer.data.arrays import Points
from occfer.data.manifests import REAL
from occfer.errors import ConfigError, DataError
from occfer.files import digest
from occsynth import __version__
from occsynth.errors import ManifestError, OccSynthError
from occsynth.faces.align import ARCFACE_112_XY
from occsynth.faces.landmark_file import open_landmarks
from occsynth.faces.landmarks import fallback_landmarks
from occsynth.manifest import Manifest, open_manifest
from occsynth.modes import SQUARES
from occsynth.modes.occlusion import Occlusion
from occsynth.occluder import Occluder
from occsynth.option_values import CATEGORIES, WEAR, Fill, Look, SquareAt, TemplateSplit
from occsynth.pixels.warp import rescale
from occsynth.templates.pack import load_pack

OWN_MODES = "manifest"
"""In place of a mode: that of each manifest."""


@dataclass(frozen=True, slots=True)
class LiveOccluder:
    """Draws another occlusion for each (face, epoch); it can be pickled, so that it reaches other processes.

    The draw follows from seed, mode, face and epoch, as in version 0.1. It may follow from a name because it is kept
    nowhere and never published; rows of manifests follow from pixels, see `occsynth.modes.seeds`.

    Attributes:
        mode: that is drawn, or `OWN_MODES`.
        occluders: of one seed, by database and drawn mode.
        faces: the 68 landmarks of `database/pair_id`, with the size in pixels of the image that they are for.
        aligned: whether a face without landmarks is aligned to the template; if not, it is taken to fill the image.
        missing: landmark files of the manifests that are missing or damaged.
    """

    mode: str
    occluders: Mapping[tuple[str, str], Occluder]
    faces: Mapping[str, tuple[Points, int]]
    aligned: bool
    missing: tuple[Path, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What the user should know: of manifests without landmarks, whose own occlusions lie on the face found."""
        placed = "aligned as the template" if self.aligned else "that fills the picture"
        return [
            f"{path} is missing or damaged: live occlusions are placed as on a face {placed}. A part of a manifest can "
            "have a copy of the landmark file of the whole, under this name"
            for path in self.missing
        ]

    @property
    def digest(self) -> str:
        """Of all that decides what is drawn: occluders with their templates, landmarks, occsynth's version."""
        landmarks = sha256()
        for face in sorted(self.faces):
            points, size_px = self.faces[face]
            landmarks.update(f"{face} {size_px} {points.shape} {points.dtype} ".encode() + points.tobytes())
        return digest(
            {
                "occsynth": __version__,
                "mode": self.mode,
                "occluders": {" ".join(place): _described(each) for place, each in self.occluders.items()},
                "landmarks": landmarks.hexdigest(),
                "aligned": self.aligned,
            }
        )

    def __call__(self, image: npt.NDArray[np.uint8], face: str, mode: str, epoch: int) -> npt.NDArray[np.uint8]:
        """The occluded image of a clean one, both `(S, S, 3)` uint8 RGB, whose manifest has a mode.

        Raises:
            DataError: a template is gone.
        """
        occluder = self.occluders[face.partition("/")[0], mode if self.mode == OWN_MODES else self.mode]
        try:
            return occluder(image, key=face, epoch=epoch, points_xy=self._points(face, image.shape[0])).image
        except OccSynthError as error:
            raise DataError(f"the live occlusion of {face} cannot be drawn: {error}") from error

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

    What hides the faces is what hides them in the manifests: the same fill and categories, from the same part of the
    same template pack, with the same look, grey on grey faces or not; with colour match and shadow where the first row
    shows them, though modes of squares have neither; and squares where the manifests' squares lie.

    Args:
        mode: any of `occsynth.modes`, or `OWN_MODES` for each manifest's own.
        manifests: CSVs of builds.
        seed: of the draws.

    Raises:
        ConfigError: there is no such mode; a manifest cannot be read, or its template pack is not found; or manifests
            of one database, whose occlusions are of one mode, were made with different occluders.
    """
    try:
        opened = [open_manifest(path) for path in manifests]
        by_place: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
        for each in opened:
            by_place[each.info.database, each.info.mode if mode == OWN_MODES else mode].append(each)
        occluders = {
            (database, drawn): _look_of(mode, found).occluder(drawn, seed, _square_at(drawn, found))
            for (database, drawn), found in by_place.items()
            if drawn != REAL  # only tested on
        }
    except OccSynthError as error:
        raise ConfigError(f"--live-occlusion {mode}: {error}") from error
    faces: dict[str, tuple[Points, int]] = {}
    missing = []
    for manifest in opened:
        path = manifest.beside(".landmarks.npz")
        try:
            faces |= _landmarks(manifest, path)
        except ManifestError:
            if manifest.info.mode != REAL:  # only tested on
                missing.append(path)
    aligned = all(each.info.align == "similarity" for each in opened)
    return LiveOccluder(mode, occluders, faces, aligned, tuple(missing))


def _described(occluder: Occluder) -> dict[str, Any]:
    """Whatever decides an occluder's draws and pixels, as a JSON value."""
    choices = {each.name: getattr(occluder.choices, each.name) for each in fields(occluder.choices)}
    pack = occluder.choices.pack
    return choices | {"pack": pack and pack.worn_sha256, "mode": occluder.mode, "seed": occluder.seed}


@dataclass(frozen=True, slots=True)
class _Look:
    """What hides the faces of a manifest; None and empty where `Occluder` has a default."""

    fill: Fill
    categories: tuple[str, ...]
    pack: Path | None
    colour_match: bool
    shadow: bool
    keep_colour: bool
    look: Look | None
    template_split: TemplateSplit

    def occluder(self, mode: str, seed: int, square_at: SquareAt) -> Occluder:
        return Occluder(
            mode, self.pack, seed, fill=self.fill, categories=self.categories or None,
            colour_match=self.colour_match, shadow=self.shadow, keep_colour=self.keep_colour, look=self.look,
            template_split=self.template_split, square_at=square_at,
        )  # fmt: skip


def _look_of(mode: str, manifests: Sequence[Manifest]) -> _Look:
    """What hides the faces of some manifests of one database; raises ConfigError where that differs."""
    # The faces of mode `real`, which have no fill, were hidden by things of the world; they have no clean images.
    first, *others = sorted(manifests, key=lambda each: not each.info.fill)
    look = _look(first)
    for manifest in others:
        if manifest.info.fill and _look(manifest) != look:
            raise ConfigError(
                f"--live-occlusion {mode}: {first.path} and {manifest.path} show faces of the same database hidden in "
                "different ways (fill, categories, template pack or its split, look, colours on grey faces, colour "
                "match or shadow); train on one of them"
            )
    return look


def _square_at(mode: str, manifests: Sequence[Manifest]) -> SquareAt:
    """Where the squares of a database's manifests lie; where none has squares, anywhere in the picture."""
    found = {each.info.square_at == "face": each for each in manifests if each.info.mode in SQUARES}
    if len(found) > 1 and mode in SQUARES:
        raise ConfigError(
            f"--live-occlusion {mode}: the squares of {found[False].path} lie anywhere in the picture, those of "
            f"{found[True].path} on the face; train on one of them"
        )
    return "face" if True in found else "picture"


def _look(manifest: Manifest) -> _Look:
    info = manifest.info
    row = next(manifest.rows(), None)
    drawn = None if row is None or not row.occlusion.strip("{}") else Occlusion.from_json(row.occlusion)
    return _Look(
        fill=cast(Fill, info.fill or "template"),
        # what is worn belongs to its own modes; the others draw what they draw by default
        categories=() if info.categories in ([WEAR], list(CATEGORIES)) else tuple(info.categories),
        pack=_pack_folder(manifest),
        colour_match=drawn is not None and drawn.gain_rgb is not None,
        shadow=drawn is not None and drawn.shadow is not None and info.look != "natural",
        keep_colour=bool(info.fill) and not info.grey,
        look=cast(Look, info.look or "pasted") if info.fill else None,
        template_split=cast(TemplateSplit, info.template_split or "all"),
    )


def _pack_folder(manifest: Manifest) -> Path | None:
    """The folder of the template pack that a manifest was made with; None for the one that ships with occsynth.

    A manifest knows its pack's name and digest, so the pack is looked for under that name near the build.

    Raises:
        ConfigError: it is not there.
    """
    info = manifest.info
    if not info.template_pack_sha256 or load_pack().is_known_as(info.template_pack_sha256):
        return None
    name = Path(info.template_pack).name
    near = dict.fromkeys((manifest.root, manifest.root.parent, Path.cwd()))
    for folder in (each / name for each in near):
        if (folder / "index.csv").is_file() and load_pack(folder).is_known_as(info.template_pack_sha256):
            return folder
    raise ConfigError(
        f"--live-occlusion: {manifest.path} was built with the template pack '{name}' (digest "
        f"{info.template_pack_sha256[:16]}), which is not in {', '.join(map(str, near))}; put it into one of them"
    )


def _landmarks(manifest: Manifest, path: Path) -> dict[str, tuple[Points, int]]:
    """A manifest's landmarks; raises ManifestError if their file is missing or damaged."""
    pair_ids, points = open_landmarks(path)
    info = manifest.info
    return {
        f"{info.database}/{name}": (np.array(each), info.size_px) for name, each in zip(pair_ids, points, strict=True)
    }
