"""Batches from worker processes, whose images lie in memory that all of them share.

That memory is mapped once, and a batch takes the place of one that was used. A tensor that torch sends between
processes has a file of its own, which the receiver opens, maps and closes: most of what such a batch costs it.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from occfer.data.batch_maker import BatchMaker, HostBatch
from occfer.data.feed import AHEAD, Feed
from occfer.errors import TrainingError
from occsynth.reading import one_line


class SharedBatches:
    """The batches of a maker by their numbers, made ahead of their use.

    Args:
        make: makes them.
        workers: number of processes, at least 1.
    """

    def __init__(self, make: BatchMaker, workers: int) -> None:
        self._make, self._workers = make, workers
        self._places: Tensor | None = None
        self._feed: Feed[HostBatch] | None = None

    def batch(self, number: int) -> HostBatch:
        """The batch of that number; its images last until the next batch is asked for.

        Raises:
            OccFERError: see `Feed.item`; also where shared memory has run out.
        """
        if self._feed is None:
            self._feed = self._start()
        made = self._feed.item(number)
        if self._places is None:
            return made
        place = self._places[number % len(self._places)]
        return replace(made, images=place[:, : len(made.indices)])

    def close(self) -> None:
        """Ends the workers, and frees the memory."""
        if self._feed is not None:
            self._feed.close()
        self._feed = self._places = None

    def _start(self) -> Feed[HostBatch]:
        needed = {type(self._make).__module__, type(self._make.live_occlusion).__module__}
        shape = self._make.images_shape
        if shape is not None:
            # Those ahead of their use, and the one in use: the next one is begun when the one after that is asked for.
            self._places = _shared((AHEAD * self._workers + 1, *shape))
        return Feed(_Maker(self._make, self._places), self._workers, preload=sorted(needed))


@dataclass(frozen=True, slots=True, eq=False)
class _Maker:
    """What the workers call: it leaves the images in the shared memory, and sends the rest."""

    make: BatchMaker
    places: Tensor | None

    def __call__(self, number: int) -> HostBatch:
        made = self.make(number)
        if self.places is None or made.images is None:
            return made
        self.places[number % len(self.places)][:, : len(made.indices)] = made.images
        return replace(made, images=None)


def _shared(shape: tuple[int, ...]) -> Tensor:
    memory = torch.empty(shape, dtype=torch.uint8)
    try:
        memory.share_memory_()  # type: ignore[no-untyped-call]
    except RuntimeError as error:  # of torch, which reserves the memory at once
        raise TrainingError(
            f"shared memory (/dev/shm) for batches ran out ({one_line(error)}): try fewer --workers, or 0, and "
            "continue with --resume"
        ) from error
    return memory
