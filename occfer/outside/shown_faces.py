"""The stored faces of a question as another model is shown them: cropped, resized, and as the numbers that it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from occfer.benchmark.contestant import Answers, OnAsked, Question
from occfer.data.arrays import Float32Array, Images
from occfer.data.image_store import HostImages
from occfer.data.packs import open_packs
from occfer.outside.description import WHOLE, Box, Described, Network
from occfer.outside.outputs import probabilities_of

Run = Callable[[Images], npt.NDArray[Any]]
"""Takes `(N, S, S, 3)` uint8 RGB, and returns one output per image and class."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How the faces of a question reach a model.

    Attributes:
        description: what it is shown, and what its outputs mean.
        where: whose outputs they are, for errors.
        batch_size: images per call.
        cache_dir: folder of image packs; None takes `cache/packs` in the build root.
    """

    description: Described
    where: str
    batch_size: int = 64
    cache_dir: Path | None = None

    def answers(self, question: Question, run: Run, on_asked: OnAsked) -> Answers:
        """The model's answers to all faces of a question, batch by batch; raises DataError for other outputs."""
        shown, notes = self.description, list[str]()
        (manifest,) = question.corpus.manifests
        side_px = shown.size_px or manifest.size_px
        stored_px = side_px if shown.crop == WHOLE else manifest.size_px
        packs = open_packs(question.corpus, stored_px, self.cache_dir, say=notes.append)
        faces = HostImages.of(packs, question.samples)
        parts = []
        for start in range(0, len(question.samples), self.batch_size):
            stop = min(start + self.batch_size, len(question.samples))
            images = cropped(faces.read(question.view, np.arange(start, stop)), shown.crop, side_px)
            parts.append(probabilities_of(run(images), len(images), shown.classes, self.where))
            on_asked(stop)
        return Answers(np.concatenate(parts), tuple(notes))


def cropped(images: Images, crop: Box, side_px: int) -> Images:
    """`(N, side_px, side_px, 3)`: the same part of each image; what lies beyond an image is its repeated edge."""
    if crop == WHOLE and images.shape[1] == side_px:
        return images
    stored_px = images.shape[1]
    left, top, right, bottom = (round(share * stored_px) for share in crop)
    beyond = (max(0, -top), max(0, bottom - stored_px), max(0, -left), max(0, right - stored_px))
    part = (slice(max(0, top), bottom + beyond[0]), slice(max(0, left), right + beyond[2]))
    how = cv2.INTER_AREA if right - left > side_px else cv2.INTER_LINEAR
    found = np.empty((len(images), side_px, side_px, 3), dtype=np.uint8)
    for index, image in enumerate(images):
        padded = cv2.copyMakeBorder(image, *beyond, cv2.BORDER_REPLICATE)
        found[index] = cv2.resize(padded[part], (side_px, side_px), interpolation=how)
    return found


def numbers_for(images: Images, network: Network, channels: int) -> Float32Array:
    """`(N, S, S, channels)` float32 of images `(N, S, S, 3)` uint8 RGB, as `Network` describes them."""
    values = coloured(images, network.colour, channels).astype(np.float32) * np.float32(network.scale / 255)
    mean, std = (np.asarray(each, dtype=np.float32) for each in (network.mean, network.std))
    return np.asarray((values - mean) / std, dtype=np.float32)


def coloured(images: Images, colour: str, channels: int) -> Images:
    """`(N, S, S, channels)` uint8 of images `(N, S, S, 3)` RGB: in another order, or grey as often as needed."""
    if colour == "rgb":
        return images
    if colour == "bgr":
        return np.ascontiguousarray(images[..., ::-1])
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images])
    return np.repeat(grey[..., None], channels, axis=3)
