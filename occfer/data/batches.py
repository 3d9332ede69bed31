"""Batches of pairs, as a function of their number.

Which samples a batch holds, which clean image meets which occluded one, and how they are augmented depends only on the
seed, the stream's name and the batch's number. So the whole state of sampling is a counter: a resumed run meets the
same batches, and any number of processes shares one global batch.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from occfer.data.arrays import Float32Array, Indices, Int64Array
from occfer.data.augmentation import Draw, apply
from occfer.data.batch_maker import BatchMaker, HostBatch
from occfer.data.image_store import ImageStore, laid_out, network_input
from occfer.data.shared_batches import SharedBatches


@dataclass(frozen=True, slots=True, eq=False)
class PairBatch:
    """One process's share of a batch, on its device.

    Attributes:
        occluded: `(B, 3, S, S)` float32 in [0, 1].
        clean: the same shape, or None where it was not asked for.
        labels: `(B,)` int64, of the occluded images.
        indices: `(B,)` int64, the samples whose occluded images these are.
        clean_indices: `(B,)` int64, the samples whose clean images these are; equal to `indices` in paired training.
        flipped: `(B,)` bool, which pairs are mirrored.
        all_indices: the samples of the whole batch over all processes, to name them in an error.
        votes: `(B, classes)` float32, see `label_shares`; None with hard labels.
    """

    occluded: Tensor
    clean: Tensor | None
    labels: Tensor
    indices: Tensor
    clean_indices: Tensor
    flipped: Tensor
    all_indices: Indices
    votes: Tensor | None = None


@dataclass(slots=True)
class Batches:
    """The batches of one stream, on the device.

    Attributes:
        store: the images.
        make: which samples, and all that is random about them.
        labels: `(samples of the corpus,)` int64.
        workers: processes that make batches ahead of their use; 0: this process makes each when it is asked for.
        channels_last: memory layout of the images.
        votes: `(samples of the corpus, classes)` float32, see `label_shares`; None with hard labels.
    """

    store: ImageStore
    make: BatchMaker
    labels: Int64Array
    workers: int = 0
    channels_last: bool = False
    votes: Float32Array | None = None
    _shared: SharedBatches | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        if self.workers:
            self._shared = SharedBatches(self.make, self.workers)

    def __len__(self) -> int:
        """Batches in a pass."""
        return self.make.passes.batches

    def batch(self, number: int) -> PairBatch:
        """The batch with that number, counted from 0.

        Raises:
            OccFERError: it cannot be made, or a worker died.
        """
        made = self.make(number) if self._shared is None else self._shared.batch(number)
        device = self.store.device
        draw = made.draw.to(device)
        clean = self._clean(made) if self.make.with_clean else None
        return PairBatch(
            occluded=self._augmented(self._occluded(made), draw),
            clean=None if clean is None else self._augmented(clean, draw),
            labels=torch.from_numpy(self.labels[made.indices]).to(device, non_blocking=True),
            indices=torch.from_numpy(made.indices).to(device, non_blocking=True),
            clean_indices=torch.from_numpy(made.clean_indices).to(device, non_blocking=True),
            flipped=draw.flip,
            all_indices=made.all_indices,
            votes=self._votes(made.indices),
        )

    def _votes(self, indices: Indices) -> Tensor | None:
        if self.votes is None:
            return None
        return torch.from_numpy(self.votes[indices]).to(self.store.device, non_blocking=True)

    def close(self) -> None:
        """Ends the workers."""
        if self._shared is not None:
            self._shared.close()

    def _clean(self, made: HostBatch) -> Tensor:
        if made.images is not None and len(made.images) > 1:
            return self.store.upload(made.images[1])
        return self.store.clean(made.clean_indices)

    def _occluded(self, made: HostBatch) -> Tensor:
        if made.images is not None:
            return self.store.upload(made.images[0])
        images = self.store.occluded(made.indices)
        if made.shown_clean.any():
            shown = torch.from_numpy(made.shown_clean).to(self.store.device, non_blocking=True)
            images = torch.where(shown.view(-1, 1, 1, 1), self.store.clean(made.indices), images)
        return images

    def _augmented(self, images: Tensor, draw: Draw) -> Tensor:
        return laid_out(apply(network_input(images), draw, self.make.augmentation), self.channels_last)
