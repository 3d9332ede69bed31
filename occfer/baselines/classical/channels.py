"""Integral channels of faces: sums of gradients over any rectangle, in four look-ups."""

import cv2
import numpy as np
import numpy.typing as npt

from occfer.baselines.classical.fitted import grey_faces
from occfer.data.arrays import Float32Array, Images, Int64Array

FACE_PX = 64
ORIENTATIONS = 8
CHANNELS = 1 + ORIENTATIONS
# Gradients are divided by their local mean, so that light does not matter and an occluder's edge has a local effect.
AROUND_PX = 4.0
FAINT = 0.01


def integral_channels(images: Images) -> Float32Array:
    """`(N, 9, 65, 65)` float32: sums over all pixels above and to the left of a corner.

    Channel 0 is the gradient's magnitude; 1 to 8 are its parts in eight directions of [0, pi), each gradient shared by
    the two nearest. [recalled: the channels; decided: their normalisation, faces of 64 x 64 px]

    Args:
        images: `(N, S, S, 3)` uint8 RGB.
    """
    sums = np.empty((len(images), CHANNELS, FACE_PX + 1, FACE_PX + 1), dtype=np.float32)
    for own, grey in zip(sums, grey_faces(images, FACE_PX), strict=True):
        for channel, values in zip(own, _channels(grey), strict=True):
            channel[:] = cv2.integral(values)
    return sums


def _channels(grey: Float32Array) -> Float32Array:
    """`(9, 64, 64)` float32, at least 0."""
    down, right = np.gradient(grey)
    length = np.hypot(right, down)
    length /= cv2.GaussianBlur(length, (0, 0), AROUND_PX, borderType=cv2.BORDER_REFLECT) + np.float32(FAINT)
    place = np.arctan2(down, right) / np.pi % 1 * ORIENTATIONS
    below = np.floor(place)
    share = length * (place - below)
    channels = np.zeros((CHANNELS, *grey.shape), dtype=np.float32)
    channels[0] = length
    y, x = np.indices(grey.shape)
    first = below.astype(np.int64) % ORIENTATIONS
    channels[1 + first, y, x] = length - share
    channels[1 + (first + 1) % ORIENTATIONS, y, x] += share
    return channels


def window_means(
    sums: Float32Array, channel: Int64Array, centres_xy: Float32Array, sides_px: Float32Array
) -> Float32Array:
    """`(N, F)` float32: the mean of a channel over a square; what lies outside the image is cut off.

    Args:
        sums: `(N, 9, 65, 65)` of `integral_channels`.
        channel: `(F,)`, 0 to 8.
        centres_xy: `(N, F, 2)`, pixels of the 64 x 64 face.
        sides_px: `(N, F)`; less than one pixel counts as one.
    """
    half = np.asarray(sides_px / 2, dtype=np.float32)
    (left, right), (top, bottom) = (_edges(centres_xy[..., axis] + np.float32(0.5), half) for axis in range(2))
    width = FACE_PX + 1
    base = (np.arange(len(sums), dtype=np.int32)[:, None] * CHANNELS + channel.astype(np.int32)) * width
    upper, lower = (base + top) * width, (base + bottom) * width
    flat = sums.reshape(-1)
    total = flat[lower + right] - flat[lower + left] - flat[upper + right] + flat[upper + left]
    return np.asarray(total / ((right - left) * (bottom - top)), dtype=np.float32)


def _edges(centres: Float32Array, half: Float32Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """First and last edge of the squares, counted from the edge of the image; they are at least one pixel apart."""
    first = np.clip(np.rint(centres - half), 0, FACE_PX - 1).astype(np.int32)
    return first, np.clip(np.rint(centres + half).astype(np.int32), first + 1, FACE_PX)
