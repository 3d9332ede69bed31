"""What a bad disk, a power failure or a mix-up does to a file."""

import json
from collections.abc import Callable
from pathlib import Path

from occfer.files import SEAL

OTHER_JSON = {"kind": "something else", "n": [1, 2, 3]}


def damage(path: Path, how: str) -> None:
    """Damages a file as one of `DAMAGES` says."""
    content = path.read_bytes()
    changed = DAMAGES[how](content)
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)


def flipped(content: bytes, place: int | None = None) -> bytes:
    """The content with the lowest bit of a byte inverted, by default of the one in the middle."""
    place = len(content) // 2 if place is None else place
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def unseal(folder: Path) -> None:
    """Takes the checksums out of JSON files: version 0.1 wrote none, and whoever forges a file can compute them."""
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_bytes())
        if SEAL in content:
            path.write_text(json.dumps({name: value for name, value in content.items() if name != SEAL}))


def _missing(_content: bytes) -> None:
    return None


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": _missing,
    "empty": lambda _content: b"",
    "cut in half": lambda content: content[: len(content) // 2],
    "zeroed": lambda content: bytes(len(content)),
    "binary": lambda content: b"\x89\xff\xfe" + bytes(range(256)),
    "other JSON": lambda _content: json.dumps(OTHER_JSON).encode(),
    "a flipped byte": flipped,
}
