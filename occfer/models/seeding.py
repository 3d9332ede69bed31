"""Random weights from identity: the same seed and part give the same weights, independent of earlier draws."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def weight_seed(seed: int, part: str) -> Iterator[None]:
    """Networks built inside draw their weights from (seed, part); torch's random stream is put back afterwards.

    So the occluded branch of a seed starts from the same last layer in every method, even if the method also builds a
    decoder or a discriminator.

    Args:
        seed: the run's seed.
        part: which network, such as `occluded`, `clean`, `discriminator`, `decoder`.
    """
    digest = hashlib.sha256(f"{seed}\x1f{part}".encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        yield
