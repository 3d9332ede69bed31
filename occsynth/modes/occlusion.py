"""The record of an occlusion: everything that `render` needs, as text in a row of a manifest."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from occsynth.errors import ManifestError
from occsynth.modes.pieces import Pieces
from occsynth.option_values import Fill
from occsynth.pixels.warp import Affine, PixelBox
from occsynth.reading import parse_json, record_of

_FARTHEST = 1 << 15  # the int16 maps of a warp address no pixel beyond it
_LARGEST_SIGMA = 200  # a hostile record must not make a blur run for hours
_BOUNDS = {
    "sprite_wh": (1, _FARTHEST),
    "square_xyxy": (-_FARTHEST, _FARTHEST),
    "gain_rgb": (0, 1 << 16),
    "rgb": (0, 255),
    "saturation": (0, 256),
    "contrast": (0, 1024),
    "lift": (-255, 255),
    "grain_16ths": (0, 16 * 255),
}
"""Fields that hold a whole number or several: the lowest and the highest."""

_NOISE_KEY = re.compile("[0-9a-f]{1,32}")


@dataclass(frozen=True, slots=True)
class Shadow:
    """A contact shadow: the template's outline, shifted, blurred and darkened.

    Attributes:
        shift_xy: right and down, whole pixels.
        sigma_px: standard deviation of the blur.
        opacity: how much the darkest part of the shadow hides, 0 to 255.
    """

    shift_xy: tuple[int, int]
    sigma_px: float
    opacity: int


@dataclass(frozen=True, slots=True)
class Occlusion:
    """Everything that `render` needs to know; the column `occlusion` of a manifest.

    Attributes:
        fill: `template`, or `black`, `mean`, `noise` for a plain patch.
        template: `file` of the template in its pack.
        template_sha256: SHA-256 of that file.
        category: category of the template.
        sprite_wh: size to which the template is shrunk before the warp.
        affine: pixel of the face -> pixel of the shrunken template.
        pieces: instead of `affine`, the triangles in which a template that is worn follows the face.
        square_xyxy: the patch of a plain fill, or the square that a template may not leave.
        hull_xy: the polygon of a plain fill, whole pixels, instead of a square.
        feather_px: sigma of the blur that softens the template's edge inwards, in pixels of the shrunken template.
        gain_rgb: colour match, factor of each channel in 1/256; None for no colour match.
        saturation: what is left of the colours, in 1/256; 0 is grey, for noise one random byte per pixel instead of
            three.
        contrast: factor of the grey values in 1/256; colours keep their distance from grey.
        lift: levels by which the template is brightened after that, below 0 darkened.
        blur_px: sigma of the blur of the placed template and its edge, in pixels of the face.
        grain_16ths: standard deviation of the noise on the template, in 1/16 of a level; its key is `noise`.
        shadow: the template's shadow, if it has one.
        rgb: colour of fill `mean`.
        noise: key of fill `noise` or of the grain, see `occsynth.modes.seeds.noise_bytes`.
        partial: no draw met the mode's goal (hidden share, forearm leaving the picture), so this is the best of them.
    """

    fill: Fill
    template: str = ""
    template_sha256: str = ""
    category: str = ""
    sprite_wh: tuple[int, int] | None = None
    affine: Affine | None = None
    square_xyxy: PixelBox | None = None
    hull_xy: tuple[tuple[int, int], ...] | None = None
    feather_px: float = 0.0
    gain_rgb: tuple[int, int, int] | None = None
    shadow: Shadow | None = None
    rgb: tuple[int, int, int] | None = None
    noise: str = ""
    partial: bool = False
    saturation: int = 256
    contrast: int = 256
    lift: int = 0
    blur_px: float = 0.0
    grain_16ths: int = 0
    pieces: Pieces | None = None

    def to_json(self) -> str:
        """One line of JSON with the fields that differ from their defaults; floats as their shortest exact text."""
        values = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        kept = {name: value for name, value, default in values if name == "fill" or value != default}
        for name in ("shadow", "pieces"):
            if name in kept:
                kept[name] = asdict(kept[name])
        return json.dumps(kept, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Occlusion":
        """The inverse of `to_json`; raises ManifestError for any other text."""
        content = parse_json(text, "column occlusion", ManifestError)
        # a field of a later version would change the pixels, so it cannot be left out
        occlusion = record_of(cls, content, "column occlusion", ManifestError, closed=True)
        if not occlusion._fits():
            raise ManifestError(f"column occlusion is incomplete or out of range: {text[:200]}")
        return occlusion

    def _fits(self) -> bool:
        """Whether the fields that `render` needs are there and in range."""
        if self.fill == "template":
            complete = bool(self.template and self.sprite_wh) and (self.affine is None) != (self.pieces is None)
            complete &= not self.grain_16ths or bool(_NOISE_KEY.fullmatch(self.noise))
        else:
            complete = (self.square_xyxy is None) != (not self.hull_xy)
            complete &= self.fill != "mean" or self.rgb is not None
            complete &= self.fill != "noise" or bool(_NOISE_KEY.fullmatch(self.noise))
            complete &= self.saturation in (0, 256)
        bounded = all(_within(_numbers(getattr(self, name)), *bounds) for name, bounds in _BOUNDS.items())
        bounded &= all(_within(point, -_FARTHEST, _FARTHEST) for point in self.hull_xy or ())
        bounded &= self.pieces is None or self.pieces.fits()
        sigmas_px = [self.feather_px, self.blur_px]
        if self.shadow is not None:
            bounded &= _within(self.shadow.shift_xy, -_FARTHEST, _FARTHEST) and _within([self.shadow.opacity], 0, 255)
            sigmas_px.append(self.shadow.sigma_px)
        bounded &= all(0 <= sigma_px < _LARGEST_SIGMA for sigma_px in sigmas_px)
        return complete and bounded and all(map(math.isfinite, self.affine or ()))


def _numbers(value: int | Sequence[int] | None) -> Sequence[int]:
    return (value,) if isinstance(value, int) else value or ()


def _within(values: Sequence[int], low: int, high: int) -> bool:
    return all(low <= each <= high for each in values)
