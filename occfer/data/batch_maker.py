"""The host's part of a batch: the samples, the draw of their augmentation, and the images that the device lacks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from occfer.data.arrays import BoolArray, Images, Indices, Int64Array
from occfer.data.augmentation import Augmentation, Draw, sample
from occfer.data.image_store import HostImages, ImageStore
from occfer.data.passes import Pairing, Passes
from occfer.data.random_streams import stream_rng

# (clean image (S, S, 3) uint8 RGB, `database/pair_id`, mode of its manifest, number of the draw) -> occluded image of
# the same shape; another number draws another occlusion
LiveOcclusion = Callable[[Images, str, str, int], Images]


@runtime_checkable
class KnownOcclusion(Protocol):
    """A live occlusion that says what it draws, so that runs can share the branches which it trains."""

    @property
    def digest(self) -> str:
        """Equal for two of them only if both draw the same occlusion for the same image, face, mode and number."""


_AGAIN = 2**32
"""Between the draws' numbers where a pass shows a sample again; those of its first showing are the epochs'."""
_SAME_FACE = 2**48
"""Between the draws' numbers of samples that show one face."""


def occlude_live(store: ImageStore, live_occlusion: LiveOcclusion, indices: Indices, epoch: int) -> Tensor:
    """`(len(indices), S, S, 3)` uint8 on the device: the samples' clean images, with new occlusions for this epoch."""
    images = store.host("clean", indices)
    _occlude(images, store.on_host, indices, live_occlusion, np.full(len(indices), epoch))
    return store.upload(torch.from_numpy(images))


def _occlude(
    images: Images, of: HostImages, indices: Indices, live_occlusion: LiveOcclusion, draws: Int64Array
) -> None:
    """Draws an occlusion into each image, in place; the images are those of the samples."""
    numbers = draws + _SAME_FACE * of.same_face[indices]
    for place, (index, number) in enumerate(zip(indices, numbers.tolist(), strict=True)):
        images[place] = live_occlusion(images[place], of.faces[index], of.modes[index], number)


@dataclass(frozen=True, slots=True, eq=False)
class HostBatch:
    """One process's share of a batch before it is on the device.

    Attributes:
        indices, clean_indices, all_indices: see `PairBatch`.
        shown_clean: `(B,)` bool, the samples whose clean image takes the place of the occluded one.
        draw: how the pairs are augmented.
        images: `(1 or 2, B, S, S, 3)` uint8, the occluded images and, where they are wanted and the device does not
            have them, the clean ones; None where the device has all.
    """

    indices: Indices
    clean_indices: Indices
    all_indices: Indices
    shown_clean: BoolArray
    draw: Draw
    images: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class BatchMaker:
    """Makes the batches of a stream in the host's memory, in this process or in another one to which it is sent.

    Attributes:
        images: of the corpus.
        on_device: whether the device has all images, so that only live occlusions are made here.
        passes: which samples, in which order.
        pairing: which clean images.
        augmentation: what is drawn for the pairs.
        with_clean: whether clean images are wanted.
        rank: this process among `passes.world_size`.
        live_occlusion: draws new occlusions in each pass, in place of the manifest's.
        first_epoch: number of passes that an earlier stage has drawn occlusions for.
        clean_share: share of the samples whose clean image takes the place of the occluded one.
    """

    images: HostImages
    on_device: bool
    passes: Passes
    pairing: Pairing
    augmentation: Augmentation
    with_clean: bool = True
    rank: int = 0
    live_occlusion: LiveOcclusion | None = None
    first_epoch: int = 0
    clean_share: float = 0.0

    @property
    def images_shape(self) -> tuple[int, int, int, int, int] | None:
        """`HostBatch.images` of the largest batch has that shape; None where no images are made here."""
        if self.on_device and self.live_occlusion is None:
            return None
        most = -(-self.passes.batch_size // self.passes.world_size)
        return (1 if self.on_device or not self.with_clean else 2, most, *self.images.shape)

    def __call__(self, number: int) -> HostBatch:
        """The batch with that number, counted from 0."""
        all_indices = self.passes.batch(number)
        rng, later, clean = (self._rng(what, number) for what in ("batch", "later augmentation", "clean share"))
        # Drawn for the whole batch and then divided, so that the number of processes changes nothing.
        draw = sample(self.augmentation, len(all_indices), rng, later)
        clean_indices = self.pairing.draw(all_indices, rng)
        shown_clean = clean.random(len(all_indices)) < self.clean_share
        draws = self.first_epoch + self.passes.epoch(number) + _AGAIN * self.passes.earlier(number)
        share = slice(self.rank, None, self.passes.world_size)
        indices = np.ascontiguousarray(all_indices[share])
        own_clean = np.ascontiguousarray(clean_indices[share])
        return HostBatch(
            indices=indices,
            clean_indices=own_clean,
            all_indices=all_indices,
            shown_clean=shown_clean[share],
            draw=draw.part(share),
            images=self._images(indices, own_clean, shown_clean[share], draws[share]),
        )

    def _rng(self, what: str, number: int) -> np.random.Generator:
        return stream_rng(self.passes.seed, self.passes.stream, what, number)

    def _images(self, indices: Indices, clean: Indices, shown_clean: BoolArray, draws: Int64Array) -> Tensor | None:
        if self.on_device:
            if self.live_occlusion is None:
                return None
            return torch.from_numpy(self._occluded(indices, shown_clean, draws)[None])
        views = [self._occluded(indices, shown_clean, draws)]
        if self.with_clean:
            views.append(self.images.read("clean", clean))
        return torch.from_numpy(np.stack(views))

    def _occluded(self, indices: Indices, shown_clean: BoolArray, draws: Int64Array) -> Images:
        if self.live_occlusion is not None:
            images = self.images.read("clean", indices)
            hidden = np.flatnonzero(~shown_clean)
            drawn = images[hidden]
            _occlude(drawn, self.images, indices[hidden], self.live_occlusion, draws[hidden])
            images[hidden] = drawn
        else:
            images = self.images.read("occluded", indices)
            if shown_clean.any():
                images[shown_clean] = self.images.read("clean", indices[shown_clean])
        return images
