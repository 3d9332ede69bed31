"""Where a run's images are while it trains: on the device if they fit, else in the memory-mapped packs."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from occfer.data.arrays import View
from occfer.data.manifests import Sample
from occfer.data.packs import Pack

VIEWS: tuple[View, ...] = ("occluded", "clean")


class ImageStore:
    """The images of a corpus by row, as uint8 tensors on one device.

    On a CPU the packs themselves are the memory. On an accelerator the rows named are copied there once, both views,
    when they take no more than `resident_fraction` of its memory (48 px: 13.8 kB a pair; 224 px: 301 kB); else each
    batch is gathered into pinned memory and copied without waiting.

    Args:
        packs: one a manifest.
        samples: of the corpus.
        device: where batches go.
        rows: rows of the corpus that are used often.
        resident_fraction: of the device's memory; 0 keeps everything on the host.
    """

    def __init__(
        self,
        packs: Sequence[Pack],
        samples: Sequence[Sample],
        device: torch.device,
        rows: npt.NDArray[np.int64],
        resident_fraction: float = 0.4,
    ) -> None:
        self.samples = samples
        self.device = device
        self._packs = packs
        self._sources = np.array([sample.source for sample in samples], dtype=np.int64)
        self._positions = np.array([sample.position for sample in samples], dtype=np.int64)
        self._tensors: dict[View, Tensor] = {}
        self._place = np.full(len(samples), -1, dtype=np.int64)
        if device.type == "cuda" and self._fits(len(rows), resident_fraction):
            self._place[rows] = np.arange(len(rows))
            self._tensors = {view: self._copy(view, rows) for view in VIEWS}

    @property
    def resident(self) -> bool:
        """Whether the images lie on an accelerator."""
        return bool(self._tensors)

    @property
    def size_px(self) -> int:
        """Side of the images."""
        return int(self._packs[0].occluded.shape[1])

    def occluded(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """`(len(rows), S, S, 3)` uint8 RGB on the device."""
        return self.view("occluded", rows)

    def clean(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """`(len(rows), S, S, 3)` uint8 RGB on the device; zero where a row has no clean image."""
        return self.view("clean", rows)

    def view(self, view: View, rows: npt.NDArray[np.int64]) -> Tensor:
        """`(len(rows), S, S, 3)` uint8 RGB on the device, of either view."""
        places = self._place[rows]
        if self._tensors and (places >= 0).all():
            return self._tensors[view][torch.from_numpy(places).to(self.device, non_blocking=True)]
        return self.upload(self.host(view, rows))

    def host(self, view: View, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """`(len(rows), S, S, 3)` uint8 RGB, a copy in the host's memory."""
        arrays = [pack.occluded if view == "occluded" else pack.clean for pack in self._packs]
        sources, positions = self._sources[rows], self._positions[rows]
        if len(arrays) == 1:
            return np.asarray(arrays[0][positions])
        images = np.empty((len(rows), *arrays[0].shape[1:]), dtype=np.uint8)
        for source in np.unique(sources):
            members = sources == source
            images[members] = arrays[source][positions[members]]
        return images

    def upload(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """The images on the device."""
        tensor = torch.from_numpy(images)
        if self.device.type != "cuda":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _fits(self, rows: int, fraction: float) -> bool:
        needed = rows * self._packs[0].occluded[0].nbytes * len(VIEWS)
        total = torch.cuda.get_device_properties(self.device).total_memory
        free, _ = torch.cuda.mem_get_info(self.device)
        return bool(needed <= min(fraction * total, 0.8 * free))

    def _copy(self, view: View, rows: npt.NDArray[np.int64], chunk: int = 4096) -> Tensor:
        shape = (len(rows), *self._packs[0].occluded.shape[1:])
        images = torch.empty(shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(rows), chunk):
            part = rows[start : start + chunk]
            images[start : start + len(part)] = torch.from_numpy(self.host(view, part)).to(self.device)
        return images
