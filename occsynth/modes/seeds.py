"""Random streams that depend on what a row is, not on when it is drawn: it gets the same numbers in any worker.

What a row draws is published with it, so whoever guesses where its stream comes from can check the guess. The stream of
a row therefore comes from columns that are published too, and never from a name, a label or a person.
"""

import hashlib
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Stream:
    """A random stream, made by `row_stream` or `key_stream`.

    Attributes:
        identity: the texts that it comes from; other texts give other numbers.
    """

    identity: tuple[str, ...]

    def rng(self) -> np.random.Generator:
        """The stream from its start. Only sampling draws from it, and what it draws is stored in the row."""
        key = _Key(_key(self.identity))
        return np.random.Generator(np.random.Philox(key))  # type: ignore[arg-type]  # its stubs leave out ISeedSequence

    def noise_key(self) -> str:
        """The key of `noise_bytes`, 32 hexadecimal digits; the row stores it, so that a replay draws the same noise."""
        return f"{_key(('noise', *self.identity)):032x}"


def row_stream(seed: int, mode: str, source_pixels_sha256: str, face_pixels_sha256: str = "") -> Stream:
    """The stream of a manifest row of schema 2.

    All that it comes from stands in the row when the row is published, so its draws tell nothing else. Pictures with
    equal pixels draw alike, whatever they are called.

    Args:
        seed: of the build.
        mode: the occlusion mode.
        source_pixels_sha256: the row's column.
        face_pixels_sha256: its column `clean_pixels_sha256`, where a picture may hold several faces; otherwise empty,
            so that another size or alignment leaves the draws as they are.
    """
    return Stream(("row of schema 2", str(seed), mode, source_pixels_sha256, face_pixels_sha256))


def key_stream(seed: int, mode: str, key: str) -> Stream:
    """The stream of an image that a caller knows by a key of its own, see `occsynth.occluder.Occluder`.

    Its draws confirm a guess of the key, so they are for data loaders and are not published.
    """
    return Stream((str(seed), "", mode, key))


def noise_bytes(key: str, count: int) -> npt.NDArray[np.uint8]:
    """`(count,)` uint8 from the raw bits of a Philox.

    NumPy promises that the raw bits of a bit generator never change. It does not promise this for the methods of
    `Generator`, so a replay must not draw pixels with them.

    Args:
        key: 32 hexadecimal digits, see `Stream.noise_key`.
        count: how many bytes.
    """
    words = np.random.Philox(key=int(key, 16)).random_raw((count + 7) // 8)
    return np.asarray(words, dtype="<u8").view(np.uint8)[:count]
