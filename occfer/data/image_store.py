"""A run's images while it trains: on the device if they fit, else in the memory-mapped packs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from occfer.data.arrays import Images, Indices, Int64Array, View
from occfer.data.balance import earlier_draws
from occfer.data.manifests import Sample
from occfer.data.packs import ImagePack

VIEWS: tuple[View, ...] = ("occluded", "clean")


def network_input(images: Tensor) -> Tensor:
    """`(B, 3, S, S)` float32 in [0, 1] of uint8 images `(B, S, S, 3)`, on the same device."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def laid_out(images: Tensor, channels_last: bool) -> Tensor:
    """The same images in the memory layout that the networks have."""
    return images.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


@dataclass(frozen=True, slots=True, eq=False)
class HostImages:
    """The images of a corpus in the host's memory or on its disk; cheap to send to another process.

    Attributes:
        packs: one per manifest.
        manifests, positions: `(samples of the corpus,)` int64: the manifest of each sample, and its place in the pack.
        faces, modes: `Sample.face` and `Sample.mode` of each sample.
        same_face: `(samples of the corpus,)` int64: how many samples before each one show the same face, as where the
            manifests of two modes are merged.
    """

    packs: Sequence[ImagePack]
    manifests: Int64Array
    positions: Int64Array
    faces: Sequence[str]
    modes: Sequence[str]
    same_face: Int64Array

    @classmethod
    def of(cls, packs: Sequence[ImagePack], samples: Sequence[Sample]) -> "HostImages":
        """The images of some samples, with one pack per manifest."""
        manifests, positions = (
            np.array([getattr(sample, name) for sample in samples], dtype=np.int64) for name in ("manifest", "position")
        )
        faces = [sample.face for sample in samples]
        _, codes = np.unique(faces, return_inverse=True)
        return cls(packs, manifests, positions, faces, [sample.mode for sample in samples], earlier_draws(codes))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.packs[0].occluded.shape[1:]
        return height, width, channels

    def read(self, view: View, indices: Indices) -> Images:
        """`(len(indices), S, S, 3)` uint8 RGB, a copy."""
        arrays = [pack.occluded if view == "occluded" else pack.clean for pack in self.packs]
        manifests, positions = self.manifests[indices], self.positions[indices]
        if len(arrays) == 1:
            return np.asarray(arrays[0][positions])
        images = np.empty((len(indices), *arrays[0].shape[1:]), dtype=np.uint8)
        for manifest in np.unique(manifests):
            members = manifests == manifest
            images[members] = arrays[manifest][positions[members]]
        return images


class ImageStore:
    """The images of a corpus by sample, as uint8 tensors on one device.

    On a CPU, images are read from the packs. On an accelerator, both views of the samples that are used often are
    copied there once if they take at most `resident_fraction` of its memory (13.8 kB per pair at 48 px, 301 kB at
    224 px); else each batch is gathered into pinned memory and copied while the device goes on computing.

    Args:
        packs: one per manifest.
        samples: of the corpus.
        device: where batches go.
        indices: the samples that are used often.
        resident_fraction: of the device's memory; 0 keeps all images on the host.
    """

    def __init__(
        self,
        packs: Sequence[ImagePack],
        samples: Sequence[Sample],
        device: torch.device,
        indices: Indices,
        resident_fraction: float = 0.4,
    ) -> None:
        self.samples = samples
        self.device = device
        self.on_host = HostImages.of(packs, samples)
        self._packs = packs
        self._tensors: dict[View, Tensor] = {}
        self._place = np.full(len(samples), -1, dtype=np.int64)
        if device.type == "cuda" and self._fits(len(indices), resident_fraction):
            self._place[indices] = np.arange(len(indices))
            self._tensors = {view: self._copy(view, indices) for view in VIEWS}

    @property
    def resident(self) -> bool:
        """Whether the images lie on an accelerator."""
        return bool(self._tensors)

    @property
    def size_px(self) -> int:
        """Side of the images."""
        return int(self._packs[0].occluded.shape[1])

    def occluded(self, indices: Indices) -> Tensor:
        """`(len(indices), S, S, 3)` uint8 RGB on the device."""
        return self.view("occluded", indices)

    def clean(self, indices: Indices) -> Tensor:
        """`(len(indices), S, S, 3)` uint8 RGB on the device; zero where a sample has no clean image."""
        return self.view("clean", indices)

    def view(self, view: View, indices: Indices) -> Tensor:
        """`(len(indices), S, S, 3)` uint8 RGB on the device, of either view."""
        places = self._place[indices]
        if self._tensors and (places >= 0).all():
            return self._tensors[view][torch.from_numpy(places).to(self.device, non_blocking=True)]
        return self.upload(torch.from_numpy(self.host(view, indices)))

    def host(self, view: View, indices: Indices) -> Images:
        """`(len(indices), S, S, 3)` uint8 RGB, a copy in the host's memory."""
        return self.on_host.read(view, indices)

    def upload(self, images: Tensor) -> Tensor:
        """The images on the device."""
        if self.device.type != "cuda":
            return images.to(self.device)
        pinned = images if images.is_pinned() else images.pin_memory()
        return pinned.to(self.device, non_blocking=True)

    def _fits(self, pairs: int, fraction: float) -> bool:
        needed = pairs * self._packs[0].occluded[0].nbytes * len(VIEWS)
        total = torch.cuda.get_device_properties(self.device).total_memory
        free, _ = torch.cuda.mem_get_info(self.device)
        # Of the free memory a fifth is left: other processes may share the device.
        return bool(needed <= min(fraction * total, 0.8 * free))

    def _copy(self, view: View, indices: Indices, chunk: int = 4096) -> Tensor:
        shape = (len(indices), *self._packs[0].occluded.shape[1:])
        images = torch.empty(shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(indices), chunk):
            part = indices[start : start + chunk]
            images[start : start + len(part)] = torch.from_numpy(self.host(view, part)).to(self.device)
        return images
