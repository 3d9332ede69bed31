"""Batches of pairs, as a function of their number.

Which samples a batch holds, which clean image meets which occluded one, and how they are augmented depends only on the
seed, the stream's name and the batch's number. So the whole state of sampling is a counter: a resumed run meets the
same batches, and any number of processes shares one global batch.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from occfer.data.arrays import Images, Indices, Int64Array
from occfer.data.augmentation import Augmentation, Draw, apply, sample
from occfer.data.image_store import ImageStore, laid_out, network_input
from occfer.errors import ConfigError

# (clean image (S, S, 3) uint8 RGB, `database/pair_id`, epoch) -> occluded image of the same shape
LiveOcclusion = Callable[[Images, str, int], Images]


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
    """

    occluded: Tensor
    clean: Tensor | None
    labels: Tensor
    indices: Tensor
    clean_indices: Tensor
    flipped: Tensor
    all_indices: Indices


def stream_rng(seed: int, *names: object) -> np.random.Generator:
    """The random stream of (seed, names): the same numbers whenever and wherever they are drawn."""
    # The separator cannot occur in a name, so ("a", "bc") and ("ab", "c") are different streams.
    text = "\x1f".join(map(str, (seed, *names)))
    return np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")))


@dataclass(slots=True)
class Passes:
    """Shuffled passes without replacement over some samples.

    A pass over N samples is cut into ceil(N / batch_size) batches whose sizes differ as little as possible, so that no
    batch of one is left over, on which batch norm cannot train. With several processes, the size of every batch is a
    multiple of their number, and up to `world_size - 1` samples are left out of a pass.

    Attributes:
        indices: the samples.
        batch_size: over all processes.
        seed, stream: what the shuffling depends on; two players have two streams.
        world_size: number of processes.
        flag: the flag that sets the batch size, for an error.
    """

    indices: Indices
    batch_size: int
    seed: int
    stream: str
    world_size: int = 1
    flag: str = "--batch-size"
    _order: tuple[int, Indices] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.indices) // self.world_size // self.batches < 2:
            raise ConfigError(
                f"{len(self.indices)} training samples in batches of {self.batch_size} over {self.world_size} "
                f"process(es) leave fewer than two samples to a process, which batch norm cannot train on: raise "
                f"{self.flag} or lower --devices"
            )
        self._order = (-1, self.indices)

    @property
    def batches(self) -> int:
        """Batches in a pass."""
        return -(-len(self.indices) // self.batch_size)

    def epoch(self, number: int) -> int:
        """The pass that a batch belongs to."""
        return number // self.batches

    def batch(self, number: int) -> Indices:
        """The samples of the batch with that number, counted from the first pass; over all processes."""
        epoch, position = divmod(number, self.batches)
        if self._order[0] != epoch:
            self._order = (epoch, stream_rng(self.seed, self.stream, "pass", epoch).permutation(self.indices))
        # The edges are computed in units of one sample per process, so that each batch divides evenly among them.
        units = len(self.indices) // self.world_size
        first, last = (self.world_size * (units * edge // self.batches) for edge in (position, position + 1))
        return self._order[1][first:last]


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """Draws the clean images that a batch's occluded ones meet (Section 4.4).

    Attributes:
        how: `paired` (the sample's own), `category` (any of the same label) or `unpaired` (any).
        indices: the training samples that are drawn from.
        labels: `(samples of the corpus,)` int64.
    """

    how: str
    indices: Indices
    labels: Int64Array

    def draw(self, indices: Indices, rng: np.random.Generator) -> Indices:
        """A sample with a clean image for each of `indices`."""
        if self.how == "paired":
            return indices
        # One number per sample, whatever its label, so that a batch advances the stream by its size alone.
        positions = rng.random(len(indices))
        if self.how == "unpaired":
            return self.indices[(positions * len(self.indices)).astype(np.int64)]
        chosen = indices.copy()
        for label in np.unique(self.labels[indices]):
            same = self.indices[self.labels[self.indices] == label]
            members = self.labels[indices] == label
            chosen[members] = same[(positions[members] * len(same)).astype(np.int64)]
        return chosen


def occlude_live(store: ImageStore, live_occlusion: LiveOcclusion, indices: Indices, epoch: int) -> Tensor:
    """`(len(indices), S, S, 3)` uint8 on the device: the samples' clean images, with new occlusions for this epoch."""
    images = store.host("clean", indices)
    faces = (store.samples[index].face for index in indices)
    return store.upload(np.stack([live_occlusion(*each, epoch) for each in zip(images, faces, strict=True)]))


@dataclass(slots=True)
class Batches:
    """The batches of one stream.

    On an accelerator that does not hold the images, a thread fetches the next batch while this one is used.

    Attributes:
        store: the images.
        passes: which samples, in which order.
        labels: `(samples of the corpus,)` int64.
        pairing: which clean images.
        augmentation: what is done to both.
        with_clean: whether clean images are wanted.
        rank: this process among `passes.world_size`.
        live_occlusion: draws new occlusions in each pass, in place of the manifest's.
        first_epoch: number of passes that an earlier stage has drawn occlusions for.
        channels_last: memory layout of the images.
    """

    store: ImageStore
    passes: Passes
    labels: Int64Array
    pairing: Pairing
    augmentation: Augmentation
    with_clean: bool = True
    rank: int = 0
    live_occlusion: LiveOcclusion | None = None
    first_epoch: int = 0
    channels_last: bool = False
    _worker: ThreadPoolExecutor | None = field(init=False, default=None, repr=False)
    _next: tuple[int, Future["_RawBatch"]] | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        if self.store.device.type != "cpu" and (not self.store.resident or self.live_occlusion is not None):
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="batches")

    def batch(self, number: int) -> PairBatch:
        """The batch with that number, counted from 0."""
        raw = self._raw(number)
        device = self.store.device
        draw = raw.draw.to(device)
        return PairBatch(
            occluded=self._augmented(raw.occluded, draw),
            clean=None if raw.clean is None else self._augmented(raw.clean, draw),
            labels=torch.from_numpy(self.labels[raw.indices]).to(device, non_blocking=True),
            indices=torch.from_numpy(raw.indices).to(device, non_blocking=True),
            clean_indices=torch.from_numpy(raw.clean_indices).to(device, non_blocking=True),
            flipped=draw.flip,
            all_indices=raw.all_indices,
        )

    def close(self) -> None:
        """Ends the thread that fetches the next batch."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)

    def _raw(self, number: int) -> "_RawBatch":
        if self._worker is None:
            return self._fetch(number)
        if self._next is not None and self._next[0] == number:
            raw = self._next[1].result()
        else:
            raw = self._worker.submit(self._fetch, number).result()
        self._next = (number + 1, self._worker.submit(self._fetch, number + 1))
        return raw

    def _fetch(self, number: int) -> "_RawBatch":
        all_indices = self.passes.batch(number)
        rng = stream_rng(self.passes.seed, self.passes.stream, "batch", number)
        # Drawn for the whole batch and then divided, so that the number of processes changes nothing.
        draw = sample(self.augmentation, len(all_indices), rng)
        clean_indices = self.pairing.draw(all_indices, rng)
        share = slice(self.rank, None, self.passes.world_size)
        indices = np.ascontiguousarray(all_indices[share])
        own_clean = np.ascontiguousarray(clean_indices[share])
        occluded = None
        if self.live_occlusion is not None:
            epoch = self.first_epoch + self.passes.epoch(number)
            occluded = occlude_live(self.store, self.live_occlusion, indices, epoch)
        return _RawBatch(
            occluded=self.store.occluded(indices) if occluded is None else occluded,
            clean=self.store.clean(own_clean) if self.with_clean else None,
            draw=draw.part(share),
            indices=indices,
            clean_indices=own_clean,
            all_indices=all_indices,
        )

    def _augmented(self, images: Tensor, draw: Draw) -> Tensor:
        return laid_out(apply(network_input(images), draw, self.augmentation), self.channels_last)


@dataclass(frozen=True, slots=True, eq=False)
class _RawBatch:
    """A batch before augmentation: images `(B, S, S, 3)` uint8 on the device."""

    occluded: Tensor
    clean: Tensor | None
    draw: Draw
    indices: Indices
    clean_indices: Indices
    all_indices: Indices
