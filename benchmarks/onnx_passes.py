"""Passes of an exported model in ONNX Runtime, without torch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from occfer.inference.onnx_file import open_onnx

BATCH_SIZE = 8


def in_onnx_runtime(path: str, side_px: int) -> Callable[[int], object]:
    """A function that passes a batch of uint8 pictures through the model, on one thread."""
    model = open_onnx(Path(path), device="cpu", threads=1)
    pictures = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, side_px, side_px, 3), dtype=np.uint8)
    return lambda _: model.logits(pictures)


def two_passes(path: str, side_px: int) -> None:
    """Two passes, for a process whose memory is measured."""
    call = in_onnx_runtime(path, side_px)
    for number in range(2):
        call(number)
