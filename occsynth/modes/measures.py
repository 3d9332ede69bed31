"""Measures of a face or of a template as it lies on one: brightness, contrast, colour, sharpness, noise.

All are computed from sums and ranks of whole numbers, so that every machine gets the same ones.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import blur

GREY_SPREAD = 8
"""Levels by which the channels of a grey picture's pixel may differ: a JPEG of one that was saved in colour has less,
and skin has 20 and more."""

_COLOURED_PERCENT = 1
"""Share of the pixels of a grey picture that may differ by more, such as a coloured date in a corner."""

_EDGE_PERCENT = 10
"""Share of the pixels that have a gradient, the steepest of them, at which sharpness is measured."""

_AGAIN_PX = 1.0
"""Sigma of the blur that sharpness is measured against."""

_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_NOISE_WINDOW_PX = 5
_SMOOTHEST_PERCENT = 2
_ROUGHNESS_OF_NOISE = 2.7
"""What `_LAPLACIAN` leaves of white noise of deviation 1: the mean over a window, in the smoothest fiftieth of them."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What a picture looks like, in levels of 0 to 255 unless said otherwise.

    Attributes:
        brightness: mean of the grey values.
        darkest, brightest: grey values that one in twenty pixels does not reach, and exceeds.
        contrast: standard deviation of the grey values from their means in windows of a seventh of the picture's side.
        colour: mean difference of the highest and the lowest channel.
        noise: standard deviation of the noise of the grey values.
    """

    brightness: float
    darkest: float
    brightest: float
    contrast: float
    colour: float
    noise: float


def is_grey(pixels: Pixels) -> bool:
    """Whether the channels differ by at most `GREY_SPREAD` levels, in at least 99 of 100 pixels."""
    coloured = int(np.count_nonzero(channel_spread(pixels) > GREY_SPREAD))
    return 100 * coloured <= _COLOURED_PERCENT * int(pixels.shape[0]) * int(pixels.shape[1])


def channel_spread(pixels: Pixels) -> Pixels:
    """`(H, W)` uint8: by how much the highest channel of each pixel exceeds the lowest."""
    red, green, blue = cv2.split(pixels)
    return np.asarray(cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)), np.uint8)


def measured(pixels: Pixels, inside: npt.NDArray[np.bool_], side_px: int) -> Measures:
    """Measures of the pixels `inside`; of all if there are none.

    Args:
        pixels: `(H, W, 3)` uint8 RGB.
        inside: `(H, W)`.
        side_px: the shorter side of the picture of which these are pixels.
    """
    if not inside.any():
        inside = np.ones_like(inside)
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    values = grey[inside].astype(np.int64)
    # the mean around each pixel, of pixels inside alone
    within = inside.astype(np.uint8)
    window_px = 2 * (side_px // 14) + 1
    sums, counts = (_box_sums(each, window_px)[inside] for each in (grey * within, within))
    apart = values - sums // counts
    count = len(values)
    darkest, brightest = (int(np.partition(values, rank)[rank]) for rank in (count // 20, count - 1 - count // 20))
    return Measures(
        brightness=int(values.sum()) / count,
        darkest=darkest,
        brightest=brightest,
        contrast=math.sqrt(int((apart * apart).sum()) / count),
        colour=int(channel_spread(pixels)[inside].astype(np.int64).sum()) / count,
        noise=noise_of(grey, inside),
    )


def noise_of(grey: Pixels, inside: npt.NDArray[np.bool_]) -> float:
    """Standard deviation of the noise, from what a filter leaves that removes all planes (Immerkaer 1996).

    Only the smoothest windows count, so that texture and edges are not noise.
    """
    rough = np.abs(cv2.filter2D(grey, cv2.CV_16S, _LAPLACIAN, borderType=cv2.BORDER_REPLICATE))
    sums = _box_sums(rough, _NOISE_WINDOW_PX)[inside]
    rank = len(sums) * _SMOOTHEST_PERCENT // 100
    return int(np.partition(sums, rank)[rank]) / (_NOISE_WINDOW_PX**2 * _ROUGHNESS_OF_NOISE)


def _box_sums(values: npt.NDArray[np.integer], window_px: int) -> npt.NDArray[np.int32]:
    """The sum of the window around each value; the edge is repeated outside."""
    window = (window_px, window_px)
    sums = cv2.boxFilter(values, cv2.CV_32S, window, normalize=False, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(sums, np.int32)


def edge_blur_px(grey: Pixels) -> float:
    """Sigma of the blur of the steepest edges, as if each were a blurred step; 0 where there is no edge.

    A step of sigma s that is blurred again by sigma r is less steep by the factor sqrt(1 + r^2 / s^2) (Zhuo and Sim
    2011). The gradient reaches over three pixels, so the sharpest edge there can be
    has about 0.8.
    """
    steep, again = _steepness(grey), _steepness(blur(grey, _AGAIN_PX))
    sloping = steep[steep > 0]
    if not len(sloping):
        return 0.0
    rank = len(sloping) - max(1, len(sloping) * _EDGE_PERCENT // 100)
    edges = steep >= int(np.partition(sloping, rank)[rank])
    before, after = (int(each[edges].sum(dtype=np.int64)) for each in (steep, again))
    if before <= after:
        return 0.0
    return _AGAIN_PX * math.sqrt(after / (before - after))


def _steepness(grey: Pixels) -> npt.NDArray[np.int32]:
    x, y = (cv2.Sobel(grey, cv2.CV_16S, *axes).astype(np.int32).ravel() for axes in ((1, 0), (0, 1)))
    return np.asarray(x * x + y * y, np.int32)
