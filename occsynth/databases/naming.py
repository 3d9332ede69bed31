"""From a source's name to the pair_id of its images: stable, as unique as the source, and safe as a relative path."""

import hashlib
import re
from pathlib import PurePosixPath

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")
_LONGEST = 120
"""Longest path component, in characters: file systems allow 255 bytes, and mark, suffix and ending still follow."""


def pair_id_of(source: str, suffix: str = "") -> str:
    """The source's path without its ending, then the source's `-row<n>` or `-frame<n>`, then `suffix`.

    A name that is too long, starts with a dot, or has characters other than A-Z a-z 0-9 . _ + - is cleaned and followed
    by ten digits of the hash of the whole path, so that names which become equal by cleaning stay different.

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


def name_fault(source: str) -> str | None:
    """Why a source of this name cannot be written to a manifest and read back, or None if it can."""
    path = source.partition("#")[0] if re.search(r"#(row|frame)=\d+$", source) else source
    if any("\udc80" <= char <= "\udcff" for char in path):
        return "its name is not UTF-8; rename it"
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        return "its name contains a control character; rename it"
    if "\\" in path:
        return "its name contains a backslash, which some systems take for a folder separator; rename it"
    if "#" in path:
        return "its name contains '#', which marks a row or frame in a source; rename it"
    return None
