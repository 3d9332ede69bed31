"""Which samples a batch holds, and which clean images meet them, as functions of the batch's number."""

from dataclasses import dataclass, field

import numpy as np

from occfer.data.arrays import Indices, Int64Array
from occfer.data.balance import balanced_pass, earlier_draws
from occfer.data.random_streams import stream_rng
from occfer.errors import ConfigError


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
    _last: tuple[int, Indices, Int64Array] | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        if len(self.indices) // self.world_size // self.batches < 2:
            raise ConfigError(
                f"{len(self.indices)} training samples in batches of {self.batch_size} over {self.world_size} "
                f"process(es) leave fewer than two samples to a process, which batch norm cannot train on: raise "
                f"{self.flag} or lower --devices"
            )

    @property
    def batches(self) -> int:
        """Batches in a pass."""
        return -(-len(self.indices) // self.batch_size)

    def epoch(self, number: int) -> int:
        """The pass that a batch belongs to."""
        return number // self.batches

    def batch(self, number: int) -> Indices:
        """The samples of the batch with that number, counted from the first pass; over all processes."""
        order, _ = self._pass(self.epoch(number))
        return order[self._span(number)]

    def earlier(self, number: int) -> Int64Array:
        """How often the pass has drawn each sample of a batch before; 0 but for balanced passes."""
        _, earlier = self._pass(self.epoch(number))
        return earlier[self._span(number)]

    def _span(self, number: int) -> slice:
        # The edges are computed in units of one sample per process, so that each batch divides evenly among them.
        units, position = len(self.indices) // self.world_size, number % self.batches
        first, last = (self.world_size * (units * edge // self.batches) for edge in (position, position + 1))
        return slice(first, last)

    def _pass(self, epoch: int) -> tuple[Indices, Int64Array]:
        if self._last is None or self._last[0] != epoch:
            rng = stream_rng(self.seed, self.stream, "pass", epoch)
            if self.balanced is None:
                self._last = (epoch, rng.permutation(self.indices), np.zeros(len(self.indices), dtype=np.int64))
            else:
                order = balanced_pass(self.indices, self.balanced, rng)
                self._last = (epoch, order, earlier_draws(order))
        return self._last[1:]


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
