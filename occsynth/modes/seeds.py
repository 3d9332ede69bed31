"""Random streams from identity, never from order: the same row draws the same numbers in any worker."""

import hashlib

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence


def _key(parts: tuple[str, ...]) -> int:
    text = "\x1f".join(parts).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:16], "big")


class _Key(ISeedSequence):
    """Hands Philox its 128-bit key: the stream of `Philox(key=key)`, which would first ask the system for a seed."""

    def __init__(self, key: int) -> None:
        self._words = np.array([key & ((1 << 64) - 1), key >> 64], np.uint64)

    def generate_state(self, n_words: int, dtype: npt.DTypeLike = np.uint64) -> npt.NDArray[np.uint64]:
        """The two words, low one first, that a Philox asks for."""
        if n_words != 2 or dtype != np.uint64:
            raise ValueError(f"a key of 2 uint64 words, not of {n_words} {dtype}")
        return self._words


def row_rng(seed: int, database: str, mode: str, pair_id: str) -> np.random.Generator:
    """The random stream of one manifest row; only sampling draws from it, and its results are stored."""
    key = _Key(_key((str(seed), database, mode, pair_id)))
    return np.random.Generator(np.random.Philox(key))  # type: ignore[arg-type]  # its stubs leave out ISeedSequence


def noise_key(seed: int, database: str, mode: str, pair_id: str) -> str:
    """The name under which a row's noise fill is drawn again at replay (32 hexadecimal digits)."""
    return f"{_key(('noise', str(seed), database, mode, pair_id)):032x}"


def noise_bytes(key: str, count: int) -> npt.NDArray[np.uint8]:
    """`(count,)` uint8 from Philox raw bits, which no numpy release may change.

    Args:
        key: 32 hexadecimal digits, see `noise_key`.
        count: how many bytes.
    """
    words = np.random.Philox(key=int(key, 16)).random_raw((count + 7) // 8)
    return np.asarray(words, dtype="<u8").view(np.uint8)[:count]
