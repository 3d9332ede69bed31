"""Alignment: numbers that say where the aligned face lies in its source, and the aligned pixels made from them."""

import json
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from occsynth.errors import ManifestError, SourceError
from occsynth.faces.regions import fit_similarity
from occsynth.option_values import AlignKind
from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import Affine, into_resized, invert, reduce, rescale, transform, warp
from occsynth.reading import parse_json, record_of

ARCFACE_112_XY = ((38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20))
"""Eye centres, nose tip and mouth corners in a face of 112x112 pixels, the picture's left first.

It is the template of ArcFace (Deng et al. 2019, arXiv:1801.07698).
"""


@dataclass(frozen=True, slots=True)
class Alignment:
    """How an aligned face is cut from its source; the column `align` of a manifest.

    Attributes:
        kind: `similarity` (least-squares fit of five points) or `none` (resized only).
        source_wh: size of the source in pixels.
        reduced_wh: size to which the source is shrunk before the warp.
        affine: aligned pixel -> reduced source pixel.
    """

    kind: AlignKind
    source_wh: tuple[int, int]
    reduced_wh: tuple[int, int]
    affine: Affine

    def to_json(self) -> str:
        """One line of JSON; floats are written as their shortest exact text."""
        content = {
            "kind": self.kind,
            "source_wh": self.source_wh,
            "reduced_wh": self.reduced_wh,
            "affine": self.affine,
        }
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Alignment":
        """The inverse of `to_json`; raises ManifestError for any other text."""
        alignment = record_of(cls, parse_json(text, "column align", ManifestError), "column align", ManifestError)
        shrinks = all(1 <= to <= of for to, of in zip(alignment.reduced_wh, alignment.source_wh, strict=True))
        if not shrinks or not all(map(math.isfinite, alignment.affine)):
            raise ManifestError(f"column align is out of range: {text[:200]}")
        return alignment


def _fit(from_xy: npt.NDArray[np.floating], to_xy: npt.NDArray[np.floating]) -> Affine:
    (a, b, c), (d, e, f) = fit_similarity(from_xy, to_xy).tolist()
    return (a, b, c, d, e, f)


def similarity_alignment(five_xy: npt.NDArray[np.floating], source_wh: tuple[int, int], size_px: int) -> Alignment:
    """The alignment that brings five points onto the ArcFace template, scaled to `size_px`.

    Args:
        five_xy: `(5, 2)` eye centres, nose tip, mouth corners in source pixels, the picture's left first.
        source_wh: size of the source in pixels.
        size_px: side of the aligned face in pixels.

    Raises:
        SourceError: the points coincide or are not finite.
    """
    fitted = _fit(five_xy, _goal_xy(size_px))
    scale = math.hypot(fitted[0], fitted[3])
    if scale < 1e-6:
        raise SourceError("the face points coincide")
    # a warp mixes only four source pixels into one and so aliases where it shrinks: area averaging has to come first
    factor = min(1.0, scale)
    reduced_wh = (math.ceil(source_wh[0] * factor), math.ceil(source_wh[1] * factor))
    # the sides of the reduced size are rounded, so x and y are scaled by the ratios that result, not by `factor`
    return Alignment("similarity", source_wh, reduced_wh, into_resized(invert(fitted), source_wh, reduced_wh))


@cache
def _goal_xy(size_px: int) -> npt.NDArray[np.float64]:
    goal = rescale(np.array(ARCFACE_112_XY), (112, 112), (size_px, size_px))
    goal.flags.writeable = False
    return goal


def resize_alignment(source_wh: tuple[int, int], size_px: int) -> Alignment:
    """The alignment that resizes the whole source to `size_px` on both sides."""
    width, height = min(source_wh[0], size_px), min(source_wh[1], size_px)
    x, y = width / size_px, height / size_px
    return Alignment("none", source_wh, (width, height), (x, 0.0, x / 2 - 0.5, 0.0, y, y / 2 - 0.5))


def align_image(pixels: Pixels, alignment: Alignment, size_px: int) -> Pixels:
    """Cuts the aligned face out of its source.

    >>> from occsynth.databases.demo import ROOT
    >>> from occsynth.faces.landmarks import detect_landmarks
    >>> from occsynth.faces.regions import five_points
    >>> from occsynth.pixels.images import read_rgb
    >>> pixels = read_rgb(ROOT / "images/s001/s001_anger.jpg")
    >>> landmarks = detect_landmarks(pixels)
    >>> alignment = similarity_alignment(five_points(landmarks.points_xy), landmarks.image_wh, size_px=48)
    >>> align_image(pixels, alignment, size_px=48).shape
    (48, 48, 3)

    Args:
        pixels: `(H, W, 3)` uint8, the source; left untouched.
        alignment: made for a source of this size and for `size_px`.
        size_px: side of the aligned face.

    Returns:
        `(size_px, size_px, 3)` uint8. Where the face reaches beyond the source, the source's edge pixels are repeated.

    Raises:
        ManifestError: the source does not have the size that the alignment was made for.
    """
    if (pixels.shape[1], pixels.shape[0]) != alignment.source_wh:
        raise ManifestError(
            f"the source is {pixels.shape[1]}x{pixels.shape[0]}, but its alignment was made for "
            f"{alignment.source_wh[0]}x{alignment.source_wh[1]}"
        )
    reduced = reduce(pixels, alignment.reduced_wh)
    return warp(reduced, alignment.affine, (0, 0, size_px, size_px), transparent_outside=False)


def align_points(points_xy: npt.NDArray[np.floating], alignment: Alignment) -> npt.NDArray[np.float32]:
    """`(N, 2)` points of the source as pixels of the aligned face."""
    reduced = rescale(points_xy, alignment.source_wh, alignment.reduced_wh)
    return transform(invert(alignment.affine), reduced).astype(np.float32)
