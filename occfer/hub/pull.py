"""Fetches what `occfer push` has uploaded: only files that its list names, each compared with its digest."""

from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

from occfer.errors import CheckpointError, HubError
from occfer.files import file_sha256
from occfer.hub.client import client, repository_info, told
from occfer.hub.repository import CARD, LARGEST_TEXT_BYTES, LIST, MODEL, Address, FileList, read_list
from occfer.runs.checkpoint import read_model_info
from occsynth.files import inside, replacing
from occsynth.ownership import owned_folder
from occsynth.reading import read_bytes

MAKER = "occfer pull"


@dataclass(frozen=True, slots=True)
class Pulled:
    """What lies in the folder now.

    Attributes:
        files: names, in the order of the list, and the card.
        left: names of files of the repository that were not taken, because the list does not name them.
    """

    files: tuple[str, ...]
    left: tuple[str, ...]


def pull(address: Address, out: Path) -> Pulled:
    """Downloads a repository through the client's cache, checks it, and then copies it into a folder.

    Args:
        address: of the repository.
        out: a folder that is new, empty, or an earlier copy of the same files.

    Raises:
        HubError: the repository cannot be read, is not one of `occfer push`, or is not as it was uploaded; or the
            folder holds something else.
    """
    with told(f"{address} cannot be read"):
        info = repository_info(address)
    sizes = {each.rfilename: each.size for each in info.siblings or ()}
    if LIST not in sizes:
        raise HubError(f"{address} has no {LIST}: it was not uploaded with `occfer push`, and nothing was taken")
    fetch = _Fetch(address, str(info.sha), sizes)
    listed = read_list(read_bytes(fetch(LIST, LARGEST_TEXT_BYTES), HubError), str(address))
    if listed.kind != address.kind:
        raise HubError(f"{address}: {LIST} is of a {listed.kind}, which lies elsewhere; nothing was taken")
    found = {LIST: fetch(LIST, LARGEST_TEXT_BYTES)} | {name: fetch.checked(name, listed) for name in listed.files}
    if CARD in sizes:  # people edit it on the Hub, so that the list does not name it
        found[CARD] = fetch(CARD, LARGEST_TEXT_BYTES)
    if address.kind == "model":
        if MODEL not in found:
            raise HubError(f"{address} has no {MODEL}; nothing was taken")
        try:
            read_model_info(found[MODEL])
        except CheckpointError as error:
            raise HubError(f"{address}: {error}") from error
    with owned_folder(out, MAKER, HubError, advice="Choose another folder with --out"):
        _copy(found, out)
    return Pulled(tuple(found), tuple(sorted(sizes.keys() - found.keys() - {".gitattributes"})))


@dataclass(frozen=True, slots=True)
class _Fetch:
    """Downloads files of one commit of a repository."""

    address: Address
    commit: str
    sizes: dict[str, Any]

    def __call__(self, name: str, largest: int) -> Path:
        """The file in the client's cache; raises HubError if it is larger than `largest`, as told or as found."""
        told_size = self.sizes.get(name)
        if not isinstance(told_size, int) or told_size > largest:
            raise HubError(f"{self.address}: {name} has {told_size} bytes, more than the {largest:,} that are taken")
        with told(f"{name} of {self.address} cannot be downloaded"):
            path = Path(
                client().hf_hub_download(self.address.name, name, repo_type=self.address.kind, revision=self.commit)
            )
            size = path.stat().st_size
        if size > largest:
            raise HubError(f"{self.address}: {name} has {size:,} bytes, more than it should; nothing was taken")
        return path

    def checked(self, name: str, listed: FileList) -> Path:
        """A listed file, which must have the size and the digest of the list."""
        expected = listed.files[name]
        if name not in self.sizes:
            raise HubError(f"{self.address} has no {name}, though {LIST} names it; nothing was taken")
        path = self(name, expected.size_bytes)
        if file_sha256(path) != expected.sha256:
            raise HubError(
                f"{name} of {self.address} is not as it was uploaded: its digest differs from that in {LIST}; nothing "
                "was taken. Ask its owners"
            )
        return path


def _copy(found: dict[str, Path], out: Path) -> None:
    """Copies the files; raises HubError if one is there already and differs, before anything is copied."""
    places = {name: inside(out, name) for name in found}
    for name, place in places.items():
        if place.exists() and file_sha256(place) != file_sha256(found[name]):
            raise HubError(f"{place} exists and differs from that of the Hub. Choose another folder with --out")
    for name, place in places.items():
        place.parent.mkdir(exist_ok=True)
        with replacing(place) as part:
            copyfile(found[name], part)
