"""From a source's name to the pair_id of its images: safe as a relative path, stable, and as unique as the source."""

import hashlib
import re
from pathlib import PurePosixPath

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")
_LONGEST = 120
"""Characters of one path component; file systems allow 255 bytes, and an ending and a temporary name follow."""


def pair_id_of(source: str, suffix: str = "") -> str:
    """The source's path without its ending, then `-row<n>` or `-frame<n>` as the source says, then `suffix`.

    A name with other characters than A-Z a-z 0-9 . _ + - (or a leading point, or too long) is cleaned, and ten digits
    of the hash of the whole path follow it, so that two names which become equal by cleaning stay apart.

    Args:
        source: as in `FaceRecord`.
        suffix: such as `-face2`, where one image gives several records.
    """
    path, _, fragment = source.partition("#")
    folder, _, name = path.rpartition("/")
    parts = [*filter(None, folder.split("/")), PurePosixPath(name).stem]
    clean = [_clean(part) for part in parts]
    mark = "" if clean == parts else "-" + _digest(path)
    number = "-" + fragment.replace("=", "") if fragment else ""
    return "/".join(clean) + mark + _UNSAFE.sub("_", number + suffix)


def _clean(part: str) -> str:
    safe = _UNSAFE.sub("_", part)[:_LONGEST]
    return "_" + safe[1:] if safe.startswith(".") else safe


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:10]


def printable(text: str) -> str:
    """The text as it can be written to a UTF-8 file and shown in one line: odd bytes and control characters escaped."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in plain)


def name_fault(source: str) -> str | None:
    """Why a source of this name cannot be written to a manifest and read again, or None."""
    path = source.partition("#")[0] if re.search(r"#(row|frame)=\d+$", source) else source
    if any("\udc80" <= char <= "\udcff" for char in path):
        return "its name is not UTF-8; rename it"
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        return "its name holds a control character; rename it"
    if "\\" in path:
        return "its name holds a backslash, which is no path on every system; rename it"
    if "#" in path:
        return "its name holds '#', which a source keeps for the row or frame; rename it"
    return None
