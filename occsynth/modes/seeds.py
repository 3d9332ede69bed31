"""Random streams that depend on what a row is, not on when it is drawn: it gets the same numbers in any worker."""

import hashlib

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence


def _key(parts: tuple[str, ...]) -> int:
    text = "\x1f".join(parts).encode()  # a separator that no name contains keeps ("a", "bc") apart from ("ab", "c")
    return int.from_bytes(hashlib.sha256(text).digest()[:16], "big")


class _Key(ISeedSequence):
    """Hands Philox its 128-bit key: the stream of `Philox(key=key)`, without the system seed that it reads in vain."""

    def __init__(self, key: int) -> None:
        self._words = np.array([key & ((1 << 64) - 1), key >> 64], np.uint64)

    def generate_state(self, n_words: int, dtype: npt.DTypeLike = np.uint64) -> npt.NDArray[np.uint64]:
        """The two words of the key, the low one first."""
        if n_words != 2 or dtype != np.uint64:
            raise ValueError(f"the key has 2 uint64 words, but {n_words} of {dtype} were asked for")
        return self._words


def row_rng(seed: int, database: str, mode: str, pair_id: str) -> np.random.Generator:
    """The random stream of one manifest row. Only sampling draws from it, and what it draws is stored in the row."""
    key = _Key(_key((str(seed), database, mode, pair_id)))
    return np.random.Generator(np.random.Philox(key))  # type: ignore[arg-type]  # its stubs leave out ISeedSequence


def noise_key(seed: int, database: str, mode: str, pair_id: str) -> str:
    """Key of a row's noise fill, 32 hexadecimal digits; the row stores it, so that a replay draws the same noise."""
    return f"{_key(('noise', str(seed), database, mode, pair_id)):032x}"


def noise_bytes(key: str, count: int) -> npt.NDArray[np.uint8]:
    """`(count,)` uint8 from the raw bits of a Philox.

    NumPy promises that the raw bits of a bit generator never change. It does not promise this for the methods of
    `Generator`, so a replay must not draw pixels with them.

    Args:
        key: 32 hexadecimal digits, see `noise_key`.
        count: how many bytes.
    """
    words = np.random.Philox(key=int(key, 16)).random_raw((count + 7) // 8)
    return np.asarray(words, dtype="<u8").view(np.uint8)[:count]
