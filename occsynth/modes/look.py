"""How an occluder looks on its face: grey on grey faces, and with the look `natural` as if photographed with it.

A mode draws which template lies where; what is decided here is added to its record afterwards, so every mode has it.
What a face and a template look like is measured, and the template is brought to the face: as bright as parts of the
face are, with no more contrast, no sharper and no less noisy, and half-way from its colours to the face's. All this is
our decision.
"""

import math
from dataclasses import replace

import cv2
import numpy as np

from occsynth.errors import TemplateError
from occsynth.modes.face import Choices, Face
from occsynth.modes.measures import Measures, edge_blur_px, measured, noise_of
from occsynth.modes.occlusion import Occlusion, Shadow
from occsynth.modes.render import occluder_layer
from occsynth.pixels.images import Pixels
from occsynth.templates.sprites import OPAQUE_ALPHA

_LEAST_CONTRAST = 0.4
_MIN_BLUR_PX = 0.3
"""A blur of less cannot be seen."""

_SOLID_ALPHA = 250
"""Pixels of at least this alpha show the template alone, so that its noise can be measured."""


def with_look(occlusion: Occlusion, rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
    """The record of an occlusion with what the look adds to it; fills of one colour stay as they are.

    Args:
        occlusion: as a mode drew it.
        rng: the random stream of the row, after the mode has drawn from it.
        face: the clean face.
        choices: what the user chose for the whole build.
        noise: key from which the grain is drawn.
    """
    if occlusion.fill in ("template", "noise") and face.is_grey and not choices.keep_colour:
        occlusion = replace(occlusion, saturation=0)
    if occlusion.fill == "template" and choices.look == "natural":
        return _natural(occlusion, rng, face, choices, noise)
    return occlusion


def _natural(occlusion: Occlusion, rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
    if choices.pack is None:
        raise TemplateError("fill 'template' needs a template pack")
    shadow = _shadow(rng, face)
    layer, _ = occluder_layer(occlusion, choices.pack, face.wh)
    if layer is None or not layer[:, :, 3].any():
        return occlusion
    found = replace(_toned(occlusion, layer, face), shadow=shadow)
    own_px = edge_blur_px(np.ascontiguousarray(layer[:, :, 3]))
    blur_px = round(math.sqrt(max(0.0, face.edge_blur_px**2 - own_px**2)), 2)
    if blur_px >= _MIN_BLUR_PX:
        found = replace(found, blur_px=min(blur_px, round(face.side_px / 20, 2)))
    layer, _ = occluder_layer(found, choices.pack, face.wh)
    return _grained(found, layer, face, noise) if layer is not None else found


def _shadow(rng: np.random.Generator, face: Face) -> Shadow:
    """A soft shadow close to the template, mostly below it."""
    reach = max(1, round(face.side_px / 40))
    shift = (int(rng.integers(-reach, reach + 1)), int(rng.integers(0, reach + 1)))
    return Shadow(shift, round(face.side_px / 45, 2), int(rng.integers(15, 41)))


def _toned(occlusion: Occlusion, layer: Pixels, face: Face) -> Occlusion:
    """Brightness within the face's range, contrast up to the face's, colours half-way to the face's.

    Half-way in brightness was easier to find on photographs, whose own light and shade reach further than that.
    """
    own, its = _of_layer(layer, face.side_px), face.measures
    contrast = min(1.0, max(_LEAST_CONTRAST, its.contrast / max(1.0, own.contrast)))
    goal = min(its.brightest, max(its.darkest, own.brightness))
    lift = round(min(255.0, max(-255.0, goal - contrast * own.brightness)))
    saturation = occlusion.saturation
    if not face.is_grey and own.colour > its.colour:
        saturation = round(256 * math.sqrt(its.colour / own.colour))
    return replace(occlusion, saturation=saturation, contrast=round(256 * contrast), lift=lift)


def _grained(occlusion: Occlusion, layer: Pixels, face: Face, noise: str) -> Occlusion:
    """The noise that the face has and the template lacks."""
    solid = layer[:, :, 3] >= _SOLID_ALPHA
    own = noise_of(np.asarray(cv2.cvtColor(layer, cv2.COLOR_RGBA2GRAY), np.uint8), solid) if solid.any() else 0.0
    missing = round(16 * math.sqrt(max(0.0, face.measures.noise**2 - own**2)))
    return replace(occlusion, grain_16ths=min(missing, 16 * 255), noise=noise) if missing else occlusion


def _of_layer(layer: Pixels, side_px: int) -> Measures:
    """Measures of a premultiplied layer where it hides the face; of all its visible pixels if it hides nothing."""
    values = layer.astype(np.int32)
    straight = np.minimum(255, values[:, :, :3] * 255 // np.maximum(values[:, :, 3:], 1)).astype(np.uint8)
    hides = layer[:, :, 3] >= OPAQUE_ALPHA
    return measured(straight, hides if hides.any() else layer[:, :, 3] > 0, side_px)
