"""Gabor magnitudes of grey faces at the eight scales and four orientations of the classical baseline `rgbt`."""

from functools import cache

import cv2
import numpy as np

from occfer.data.arrays import Float32Array, Float64Array

FACE_PX = 48
SIZES_PX = tuple(range(5, 20, 2))
ORIENTATIONS = 4
ASPECT = 0.3
WAVELENGTHS_PER_SIGMA = 1 / 0.8


def sigma_px(size_px: int) -> float:
    """Width of the envelope for a filter of that size: 0.0036 s^2 + 0.35 s + 0.18 [recalled]."""
    return 0.0036 * size_px**2 + 0.35 * size_px + 0.18


@cache
def kernels(size_px: int) -> tuple[tuple[Float32Array, Float32Array], ...]:
    """The even and the odd filter of each orientation, `(size_px, size_px)` float32 each.

    Both have mean 0, so that even skin gives 0, and norm 1, so that scales are comparable [decided].
    """
    sigma = sigma_px(size_px)
    pairs = []
    for orientation in range(ORIENTATIONS):
        theta = orientation * np.pi / ORIENTATIONS
        even, odd = (
            cv2.getGaborKernel((size_px, size_px), sigma, theta, sigma * WAVELENGTHS_PER_SIGMA, ASPECT, phase)
            for phase in (0.0, -np.pi / 2)
        )
        pairs.append((_unit(np.asarray(even, np.float64)), _unit(np.asarray(odd, np.float64))))
    return tuple(pairs)


def _unit(kernel: Float64Array) -> Float32Array:
    centred = kernel - kernel.mean()
    return np.asarray(centred / np.linalg.norm(centred), dtype=np.float32)


def magnitudes(greys: Float32Array) -> Float32Array:
    """`(N, 8, 4, 48, 48)` float32, at least 0: by scale and orientation, the norm of the even and odd responses."""
    found = np.empty((len(greys), len(SIZES_PX), ORIENTATIONS, FACE_PX, FACE_PX), dtype=np.float32)
    for scale, size_px in enumerate(SIZES_PX):
        for orientation, (even, odd) in enumerate(kernels(size_px)):
            for index, grey in enumerate(greys):
                responses = (
                    cv2.filter2D(grey, cv2.CV_32F, each, borderType=cv2.BORDER_REFLECT) for each in (even, odd)
                )
                found[index, scale, orientation] = np.hypot(*responses)
    return found
