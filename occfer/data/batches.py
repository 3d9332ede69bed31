"""Batches of pairs, as a function of their number.

Which rows a batch holds, which clean image meets which occluded one and how they are augmented depends on the seed, the
stream's name and the batch's number alone. So the whole state of sampling is a counter, a resumed run meets the same
batches, and any number of processes shares one global batch.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from occfer.data.augmentation import Augmentation, Draw, apply, sample
from occfer.data.image_store import ImageStore
from occfer.errors import ConfigError

Rows = npt.NDArray[np.int64]
# (clean image (S, S, 3) uint8 RGB, `database/pair_id`, epoch) -> occluded image of the same shape
LiveOcclusion = Callable[[npt.NDArray[np.uint8], str, int], npt.NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class PairBatch:
    """One process's share of a batch, on its device.

    Attributes:
        occluded: `(B, 3, S, S)` float32 in [0, 1].
        clean: the same shape, or None where nobody asked for it.
        labels: `(B,)` int64, of the occluded images.
        rows: `(B,)` int64, rows of the occluded images in the corpus.
        clean_rows: `(B,)` int64, rows of the clean images; equal to `rows` in paired training.
        flipped: `(B,)` bool, which pairs are mirrored.
        all_rows: rows of the whole batch over all processes, to name it in an error.
    """

    occluded: Tensor
    clean: Tensor | None
    labels: Tensor
    rows: Tensor
    clean_rows: Tensor
    flipped: Tensor
    all_rows: Rows


def stream_rng(seed: int, *names: object) -> np.random.Generator:
    """The random stream of (seed, names): the same numbers whenever and wherever they are drawn."""
    text = "\x1f".join(map(str, (seed, *names)))
    return np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")))


@dataclass(slots=True)
class Passes:
    """Shuffled passes without replacement over some rows.

    A pass over N rows is cut into ceil(N / batch_size) batches whose sizes differ as little as they can, so no batch of
    one is left over for batch norm to fail on. With several processes every batch is a multiple of their number: up to
    `world_size - 1` rows sit a pass out.

    Attributes:
        rows: rows in the corpus.
        batch_size: over all processes.
        seed, stream: what the shuffling depends on; two players get two streams.
        world_size: number of processes.
        flag: what sets the batch size, for an error.
    """

    rows: Rows
    batch_size: int
    seed: int
    stream: str
    world_size: int = 1
    flag: str = "--batch-size"
    _order: tuple[int, Rows] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.rows) // self.world_size // self.batches < 2:
            raise ConfigError(
                f"{len(self.rows)} training rows in batches of {self.batch_size} over {self.world_size} process(es) "
                f"leave fewer than two rows to a process, which batch norm cannot train on: raise {self.flag} or lower "
                "--devices"
            )
        self._order = (-1, self.rows)

    @property
    def batches(self) -> int:
        """Batches in a pass."""
        return -(-len(self.rows) // self.batch_size)

    def epoch(self, number: int) -> int:
        """The pass that a batch belongs to."""
        return number // self.batches

    def batch(self, number: int) -> Rows:
        """The rows of the batch with that number, counted from the first pass; over all processes."""
        epoch, position = divmod(number, self.batches)
        if self._order[0] != epoch:
            self._order = (epoch, stream_rng(self.seed, self.stream, "pass", epoch).permutation(self.rows))
        units = len(self.rows) // self.world_size
        first, last = (self.world_size * (units * edge // self.batches) for edge in (position, position + 1))
        return self._order[1][first:last]


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """Draws the clean images that a batch's occluded ones meet (Section 4.4).

    Attributes:
        how: `paired` (the row's own), `category` (any of the same label) or `unpaired` (any).
        rows: the training rows that are drawn from.
        labels: `(rows of the corpus,)` int64.
    """

    how: str
    rows: Rows
    labels: npt.NDArray[np.int64]

    def draw(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """A row with a clean image for each of `rows`."""
        if self.how == "paired":
            return rows
        positions = rng.random(len(rows))
        if self.how == "unpaired":
            return self.rows[(positions * len(self.rows)).astype(np.int64)]
        chosen = rows.copy()
        for label in np.unique(self.labels[rows]):
            same = self.rows[self.labels[self.rows] == label]
            members = self.labels[rows] == label
            chosen[members] = same[(positions[members] * len(same)).astype(np.int64)]
        return chosen


def occlude_live(store: ImageStore, live_occlusion: LiveOcclusion, rows: Rows, epoch: int) -> Tensor:
    """`(len(rows), S, S, 3)` uint8 on the device: the rows' clean images, occluded afresh for an epoch."""
    images = store.host("clean", rows)
    made = [live_occlusion(image, store.samples[row].face, epoch) for image, row in zip(images, rows, strict=True)]
    return store.upload(np.stack(made))


@dataclass(slots=True)
class Batches:
    """Makes the batches of one stream; on an accelerator that cannot hold the images, the next one while this is used.

    Attributes:
        store: where the images are.
        passes: which rows, in which order.
        labels: `(rows of the corpus,)` int64.
        pairing: which clean images.
        augmentation: what is done to both.
        with_clean: whether clean images are wanted at all.
        rank: this process among `passes.world_size`.
        live_occlusion: draws occlusions afresh each pass instead of the manifest's.
        first_epoch: passes that other stages have used up, for `live_occlusion`.
        channels_last: memory layout of the images.
    """

    store: ImageStore
    passes: Passes
    labels: npt.NDArray[np.int64]
    pairing: Pairing
    augmentation: Augmentation
    with_clean: bool = True
    rank: int = 0
    live_occlusion: LiveOcclusion | None = None
    first_epoch: int = 0
    channels_last: bool = False
    _worker: ThreadPoolExecutor | None = field(init=False, default=None, repr=False)
    _next: tuple[int, Future["_Raw"]] | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        if self.store.device.type != "cpu" and (not self.store.resident or self.live_occlusion is not None):
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="batches")

    def batch(self, number: int) -> PairBatch:
        """The batch with that number, counted from 0."""
        raw = self._raw(number)
        device = self.store.device
        draw = raw.draw.to(device)
        clean = None if raw.clean is None else apply(self._floats(raw.clean), draw, self.augmentation)
        return PairBatch(
            occluded=self._laid_out(apply(self._floats(raw.occluded), draw, self.augmentation)),
            clean=None if clean is None else self._laid_out(clean),
            labels=torch.from_numpy(self.labels[raw.rows]).to(device, non_blocking=True),
            rows=torch.from_numpy(raw.rows).to(device, non_blocking=True),
            clean_rows=torch.from_numpy(raw.clean_rows).to(device, non_blocking=True),
            flipped=draw.flip,
            all_rows=raw.all_rows,
        )

    def close(self) -> None:
        """Stops fetching ahead."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)

    def _raw(self, number: int) -> "_Raw":
        if self._worker is None:
            return self._fetch(number)
        if self._next is not None and self._next[0] == number:
            raw = self._next[1].result()
        else:
            raw = self._worker.submit(self._fetch, number).result()
        self._next = (number + 1, self._worker.submit(self._fetch, number + 1))
        return raw

    def _fetch(self, number: int) -> "_Raw":
        all_rows = self.passes.batch(number)
        rng = stream_rng(self.passes.seed, self.passes.stream, "batch", number)
        draw = sample(self.augmentation, len(all_rows), rng)
        clean_rows = self.pairing.draw(all_rows, rng)
        share = slice(self.rank, None, self.passes.world_size)
        rows = np.ascontiguousarray(all_rows[share])
        own_clean = np.ascontiguousarray(clean_rows[share])
        occluded = None
        if self.live_occlusion is not None:
            epoch = self.first_epoch + self.passes.epoch(number)
            occluded = occlude_live(self.store, self.live_occlusion, rows, epoch)
        return _Raw(
            occluded=self.store.occluded(rows) if occluded is None else occluded,
            clean=self.store.clean(own_clean) if self.with_clean else None,
            draw=draw.part(share),
            rows=rows,
            clean_rows=own_clean,
            all_rows=all_rows,
        )

    def _floats(self, images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2).float().div_(255)

    def _laid_out(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)


@dataclass(frozen=True, slots=True, eq=False)
class _Raw:
    """A batch before it becomes floating point: images `(B, S, S, 3)` uint8 on the device."""

    occluded: Tensor
    clean: Tensor | None
    draw: Draw
    rows: Rows
    clean_rows: Rows
    all_rows: Rows
