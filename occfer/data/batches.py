"""Batches of pairs, as a function of their number.

Which samples a batch holds, which clean image meets which occluded one, and how they are augmented depends only on the
seed, the stream's name and the batch's number. So the whole state of sampling is a counter: a resumed run meets the
same batches, and any number of processes shares one global batch.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from occfer.data.arrays import BoolArray, Float32Array, Images, Indices, Int64Array
from occfer.data.augmentation import Augmentation, Draw, apply, sample
from occfer.data.balance import balanced_pass
from occfer.data.feed import Feed
from occfer.data.image_store import HostImages, ImageStore, laid_out, network_input
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
        balanced: `(samples of the corpus,)` int64, labels whose classes are drawn alike, see `balanced_pass`; None
            draws each sample once.
    """

    indices: Indices
    batch_size: int
    seed: int
    stream: str
    world_size: int = 1
    flag: str = "--batch-size"
    balanced: Int64Array | None = None
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
            self._order = (epoch, self._drawn(stream_rng(self.seed, self.stream, "pass", epoch)))
        # The edges are computed in units of one sample per process, so that each batch divides evenly among them.
        units = len(self.indices) // self.world_size
        first, last = (self.world_size * (units * edge // self.batches) for edge in (position, position + 1))
        return self._order[1][first:last]

    def _drawn(self, rng: np.random.Generator) -> Indices:
        if self.balanced is None:
            return rng.permutation(self.indices)
        return balanced_pass(self.indices, self.balanced, rng)


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
    _occlude(images, store.on_host.faces, live_occlusion, indices, epoch)
    return store.upload(torch.from_numpy(images))


def _occlude(images: Images, faces: Sequence[str], live_occlusion: LiveOcclusion, indices: Indices, epoch: int) -> None:
    """Draws an occlusion into each image, in place."""
    for place, index in enumerate(indices):
        images[place] = live_occlusion(images[place], faces[index], epoch)


@dataclass(frozen=True, slots=True, eq=False)
class HostBatch:
    """One process's share of a batch before it is on the device.

    Attributes:
        indices, clean_indices, all_indices: see `PairBatch`.
        shown_clean: `(B,)` bool, the samples whose clean image takes the place of the occluded one.
        draw: how the pairs are augmented.
        images: `(1 or 2, B, S, S, 3)` uint8, the occluded images and, where they are wanted and the device does not
            have them, the clean ones; None where the device has all. One tensor, because each that comes from another
            process costs a message of its own.
    """

    indices: Indices
    clean_indices: Indices
    all_indices: Indices
    shown_clean: BoolArray
    draw: Draw
    images: Tensor | None

    def pin_memory(self) -> "HostBatch":
        """The same batch, its images in memory from which a GPU copies while it computes."""
        return self if self.images is None else replace(self, images=self.images.pin_memory())


@dataclass(frozen=True, slots=True, eq=False)
class BatchMaker:
    """Makes the batches of a stream in the host's memory, in this process or in another one to which it is sent.

    Attributes:
        images: of the corpus.
        on_device: whether the device has all images, so that only live occlusions are made here.
        passes, pairing, with_clean, rank, live_occlusion, first_epoch, clean_share: see `Batches`.
        augmentation: what is drawn for the pairs.
    """

    images: HostImages
    on_device: bool
    passes: Passes
    pairing: Pairing
    augmentation: Augmentation
    with_clean: bool
    rank: int
    live_occlusion: LiveOcclusion | None
    first_epoch: int
    clean_share: float

    def __call__(self, number: int) -> HostBatch:
        """The batch with that number, counted from 0."""
        all_indices = self.passes.batch(number)
        rng, later, clean = (self._rng(what, number) for what in ("batch", "later augmentation", "clean share"))
        # Drawn for the whole batch and then divided, so that the number of processes changes nothing.
        draw = sample(self.augmentation, len(all_indices), rng, later)
        clean_indices = self.pairing.draw(all_indices, rng)
        shown_clean = clean.random(len(all_indices)) < self.clean_share
        share = slice(self.rank, None, self.passes.world_size)
        indices = np.ascontiguousarray(all_indices[share])
        own_clean = np.ascontiguousarray(clean_indices[share])
        return HostBatch(
            indices=indices,
            clean_indices=own_clean,
            all_indices=all_indices,
            shown_clean=shown_clean[share],
            draw=draw.part(share),
            images=self._images(indices, own_clean, shown_clean[share], self.first_epoch + self.passes.epoch(number)),
        )

    def _rng(self, what: str, number: int) -> np.random.Generator:
        return stream_rng(self.passes.seed, self.passes.stream, what, number)

    def _images(self, indices: Indices, clean: Indices, shown_clean: BoolArray, epoch: int) -> Tensor | None:
        if self.on_device:
            if self.live_occlusion is None:
                return None
            return torch.from_numpy(self._occluded(indices, shown_clean, epoch)[None])
        views = [self._occluded(indices, shown_clean, epoch)]
        if self.with_clean:
            views.append(self.images.read("clean", clean))
        return torch.from_numpy(np.stack(views))

    def _occluded(self, indices: Indices, shown_clean: BoolArray, epoch: int) -> Images:
        if self.live_occlusion is not None:
            images = self.images.read("clean", indices)
            hidden = np.flatnonzero(~shown_clean)
            drawn = images[hidden]
            _occlude(drawn, self.images.faces, self.live_occlusion, indices[hidden], epoch)
            images[hidden] = drawn
        else:
            images = self.images.read("occluded", indices)
            if shown_clean.any():
                images[shown_clean] = self.images.read("clean", indices[shown_clean])
        return images


@dataclass(slots=True)
class Batches:
    """The batches of one stream.

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
        clean_share: share of the samples whose clean image takes the place of the occluded one.
        workers: processes that make batches ahead of their use; 0: this process makes each when it is asked for.
        channels_last: memory layout of the images.
        votes: `(samples of the corpus, classes)` float32, see `label_shares`; None with hard labels.
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
    clean_share: float = 0.0
    workers: int = 0
    channels_last: bool = False
    votes: Float32Array | None = None
    _make: BatchMaker = field(init=False, repr=False)
    _feed: Feed[HostBatch] | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self._make = BatchMaker(
            images=self.store.on_host,
            on_device=self.store.resident,
            passes=self.passes,
            pairing=self.pairing,
            augmentation=self.augmentation,
            with_clean=self.with_clean,
            rank=self.rank,
            live_occlusion=self.live_occlusion,
            first_epoch=self.first_epoch,
            clean_share=self.clean_share,
        )
        if self.workers:
            needed = {type(self).__module__, type(self.live_occlusion).__module__}
            pinned = self.store.device.type == "cuda"
            self._feed = Feed(self._make, self.workers, pinned=pinned, preload=sorted(needed))

    def batch(self, number: int) -> PairBatch:
        """The batch with that number, counted from 0.

        Raises:
            OccFERError: it cannot be made, or a worker died.
        """
        made = self._make(number) if self._feed is None else self._feed.item(number)
        device = self.store.device
        draw = made.draw.to(device)
        clean = self._clean(made) if self.with_clean else None
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
        if self._feed is not None:
            self._feed.close()

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
        return laid_out(apply(network_input(images), draw, self.augmentation), self.channels_last)
