"""What a repository of ours on the Hub holds: its address, its files as bytes, and the list of their digests.

A repository is either of a model or of published manifests, which the Hub calls a data set. `LIST` names every file but
the card with its size and digest; `occfer pull` takes what it names, and nothing else.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from occfer.errors import HubError
from occsynth.reading import parse_json, record_of

RepositoryKind = Literal["model", "dataset"]

CARD, LIST = "README.md", "occfer.json"
MODEL, SETTINGS = "model.safetensors", "config.json"
BENCHMARKS, EVAL_RESULTS = "benchmark", ".eval_results"
"""Folders of results: in our form, and in that which the Hub reads."""
SUITE = "suite.toml"
FORMAT = 1
MOST_FILES = 500
LARGEST_TEXT_BYTES = 2**20
"""Of the card and of the list."""
LARGEST_FILE_BYTES = 8 * 2**30
LARGEST_BYTES = 16 * 2**30
"""Of all files together."""

_WORD = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}"
_ADDRESS = re.compile(r"(datasets/)?(?!datasets/)([A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95})")
_NAMES: dict[RepositoryKind, re.Pattern[str]] = {
    "model": re.compile(
        rf"{re.escape(MODEL)}|{re.escape(SETTINGS)}|{BENCHMARKS}/{_WORD}\.json|\{EVAL_RESULTS}/{_WORD}\.yaml"
    ),
    "dataset": re.compile(rf"{re.escape(SUITE)}|({_WORD}/)?{_WORD}\.(csv|csv\.gz|json)"),
}
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF", b"\0\0\0")
"""How files of pictures and of films begin."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a repository is: of a model `ORG/NAME`, of manifests `datasets/ORG/NAME`.

    >>> parse_address("datasets/jane/ck-r16")
    Address(kind='dataset', name='jane/ck-r16')
    """

    kind: RepositoryKind
    name: str

    def __str__(self) -> str:
        return f"datasets/{self.name}" if self.kind == "dataset" else self.name


def parse_address(text: str) -> Address:
    """The address of `ORG/NAME` or `datasets/ORG/NAME`, with or without `hf://`; raises HubError for any other text."""
    found = _ADDRESS.fullmatch(text.removeprefix("hf://"))
    if found is None or ".." in text:
        raise HubError(
            f"'{text[:200]}' is no repository of Hugging Face: type ORG/NAME, or datasets/ORG/NAME for manifests"
        )
    return Address("dataset" if found[1] else "model", found[2])


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file as the list names it."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FileList:
    """The content of `LIST`.

    Attributes:
        kind: of the repository.
        files: by name.
        occsynth: the version that wrote it.
        trained_sha256: of the model file as it lies with its owner, which the results of a benchmark name; the uploaded
            one has the same weights, but a header without the names of people and folders.
        format: of the list.
    """

    kind: RepositoryKind
    files: dict[str, ListedFile]
    occsynth: str = ""
    trained_sha256: str = ""
    format: int = FORMAT


def write_list(kind: RepositoryKind, files: Mapping[str, bytes], occsynth: str, trained_sha256: str = "") -> bytes:
    """The content of `LIST` for files that are about to be uploaded.

    Raises:
        HubError: a file has a name that no such repository holds, is too large, or looks like a picture.
    """
    for name, content in files.items():
        if not _NAMES[kind].fullmatch(name):
            raise HubError(f"'{name[:200]}' is no name of a file that occfer shares; rename what it was made from")
        if len(content) > LARGEST_FILE_BYTES:
            raise HubError(f"{name} has {len(content):,} bytes, more than the {LARGEST_FILE_BYTES:,} that are shared")
        if name != MODEL and content.startswith(_PICTURES):
            raise HubError(f"{name} is a picture or a film, which is never uploaded")
    listed = {
        name: {"sha256": hashlib.sha256(files[name]).hexdigest(), "size_bytes": len(files[name])} for name in files
    }
    facts: dict[str, Any] = {"format": FORMAT, "kind": kind, "occsynth": occsynth}
    facts |= {"trained_sha256": trained_sha256} if trained_sha256 else {}
    return (json.dumps(facts | {"files": listed}, indent=2, ensure_ascii=False) + "\n").encode()


def read_list(content: bytes, where: str) -> FileList:
    """The list of a repository that nobody vouches for: types, names and sizes are checked.

    Args:
        content: of `LIST`.
        where: the repository, for errors.

    Raises:
        HubError: it is no such list, or it names a file that no such repository holds.
    """
    found = record_of(FileList, parse_json(content, f"{where}: {LIST}", HubError), f"{where}: {LIST}", HubError)
    if found.format != FORMAT:
        raise HubError(f"{where}: {LIST} has the format {found.format}, but this version reads {FORMAT}")
    if not 0 < len(found.files) <= MOST_FILES:
        raise HubError(f"{where}: {LIST} names {len(found.files):,} files; a repository holds 1 to {MOST_FILES}")
    for name, file in found.files.items():
        if not _NAMES[found.kind].fullmatch(name):
            raise HubError(
                f"{where}: {LIST} names '{name[:200]}', which `occfer push` never uploads; nothing was taken"
            )
        if not 0 <= file.size_bytes <= LARGEST_FILE_BYTES:
            raise HubError(
                f"{where}: {name} has {file.size_bytes:,} bytes, more than the {LARGEST_FILE_BYTES:,} that are taken"
            )
    if sum(file.size_bytes for file in found.files.values()) > LARGEST_BYTES:
        raise HubError(f"{where}: its files have more than {LARGEST_BYTES:,} bytes together, the most that is taken")
    return found
