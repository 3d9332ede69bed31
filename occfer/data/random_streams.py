"""Random streams by name: whatever is random in a run follows from its seed and from what it is drawn for."""

import hashlib

import numpy as np


def stream_rng(seed: int, *names: object) -> np.random.Generator:
    """The random stream of (seed, names): the same numbers whenever and wherever they are drawn."""
    # The separator cannot occur in a name, so ("a", "bc") and ("ab", "c") are different streams.
    text = "\x1f".join(map(str, (seed, *names)))
    return np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")))
