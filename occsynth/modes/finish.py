"""Applies the look that a record asks for to a placed template: colours, tones, blur, grain; in whole numbers only.

Layers are premultiplied, see `occsynth.modes.render`: a colour never exceeds its alpha, or blending would overflow.
"""

import numpy as np
import numpy.typing as npt

from occsynth.modes.occlusion import Occlusion
from occsynth.modes.seeds import noise_bytes
from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import PixelBox, blur

_LUMA = (77, 150, 29)
"""Share of red, green and blue in a pixel's brightness (ITU-R BT.601), in 1/256."""

_GRAIN_BYTES = 4
"""Random bytes whose sum is the noise of one pixel: nearly normal, with a standard deviation of 147.8."""

_GRAIN_SCALE = 28
"""65536 / 147.8 / 16, rounded: from the sum of the bytes to a noise of 1/16 level."""


def finished(layer: Pixels, occlusion: Occlusion) -> Pixels:
    """A placed template, `(h, w, 4)`, with the colours, tones and blur of its record."""
    if occlusion.gain_rgb is not None:
        layer = _with_colours(layer, (layer[:, :, :3] * np.array(occlusion.gain_rgb, np.int32)) >> 8)
    if (occlusion.saturation, occlusion.contrast, occlusion.lift) != (256, 256, 0):
        layer = _toned(layer, occlusion)
    return blur(layer, occlusion.blur_px)


def with_grain(layer: Pixels, box: PixelBox, occlusion: Occlusion, image_wh: tuple[int, int]) -> Pixels:
    """The layer of a box of the picture with its grain, which belongs to the picture's pixels, not to the box's."""
    if not occlusion.grain_16ths:
        return layer
    x0, y0, x1, y1 = box
    width, height = image_wh
    drawn = noise_bytes(occlusion.noise, width * height * _GRAIN_BYTES).reshape(height, width, _GRAIN_BYTES)
    sums = drawn[y0:y1, x0:x1].sum(axis=2, dtype=np.int32)[:, :, None]
    # the mean of a byte is 127.5, so their sum is doubled to stay whole
    grain = (2 * sums - _GRAIN_BYTES * 255) * (occlusion.grain_16ths * _GRAIN_SCALE // 2)
    alpha = layer[:, :, 3:].astype(np.int32)
    return _with_colours(layer, layer[:, :, :3] + (((grain >> 8) * alpha + (1 << 15)) >> 16))


def _toned(layer: Pixels, occlusion: Occlusion) -> Pixels:
    """Each colour is a grey and a distance from it: the grey gets contrast and lift, the distance the saturation."""
    values = layer.astype(np.int32)
    rgb, alpha = values[:, :, :3], values[:, :, 3:]
    grey = sum(share * rgb[:, :, channel : channel + 1] for channel, share in enumerate(_LUMA))  # in 1/256
    lift = alpha * (occlusion.lift * 257)  # 65536 / 255
    toned = (rgb * 256 - grey) * occlusion.saturation + grey * occlusion.contrast + lift
    return _with_colours(layer, (toned + (1 << 15)) >> 16)


def _with_colours(layer: Pixels, rgb: npt.NDArray[np.int32]) -> Pixels:
    alpha = layer[:, :, 3:]
    return np.concatenate([np.clip(rgb, 0, alpha).astype(np.uint8), alpha], axis=2)
