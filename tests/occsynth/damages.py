"""What may become of a file in a kill, a power failure or on a bad disk."""

import random
from collections.abc import Callable
from pathlib import Path


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


DAMAGES: dict[str, Callable[[Path, Path], bytes | None]] = {
    "missing": lambda _path, _other: None,
    "empty": lambda _path, _other: b"",
    "half": lambda path, _other: path.read_bytes()[: path.stat().st_size // 2],
    "one byte short": lambda path, _other: path.read_bytes()[:-1],
    "zeros": lambda path, _other: bytes(path.stat().st_size),
    "zeros from the middle on": lambda path, _other: (
        path.read_bytes()[: path.stat().st_size // 2] + bytes(-(-path.stat().st_size // 2))
    ),
    "one bit": lambda path, _other: flipped(path.read_bytes()),
    "binary": lambda path, _other: random.Random(0).randbytes(path.stat().st_size),
    "the content of another": lambda _path, other: other.read_bytes(),
    "other JSON": lambda _path, _other: b'{"rows": {}, "rejects": []}',
    "deep JSON": lambda _path, _other: b"[" * 100_000,
}
"""What may become of a file: its new content, or None if it is gone."""


def damage(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
