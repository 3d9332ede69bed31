"""What is about to be uploaded, looked up and then uploaded as one commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from occfer.errors import HubError
from occfer.hub.card_head import Licence
from occfer.hub.client import client, repository_info, told
from occfer.hub.data_card import data_card
from occfer.hub.manifest_files import manifest_set
from occfer.hub.model_card import model_card
from occfer.hub.model_files import model_files
from occfer.hub.repository import BENCHMARKS, CARD, EVAL_RESULTS, LIST, Address, write_list
from occfer.metrics.result_files import METRICS, read_summary
from occsynth.files import is_file


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """What is about to be uploaded.

    Attributes:
        address: of the repository.
        files: name and content; nothing else is sent.
        left: names of files of the run folder that stay here.
    """

    address: Address
    files: dict[str, bytes]
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A repository as it is on the Hub.

    Attributes:
        private: whether only its owners see it.
        commit: its newest one.
        files: names of all files in it.
    """

    private: bool
    commit: str
    files: tuple[str, ...]

    def stale(self, upload: Upload) -> list[str]:
        """Results of benchmarks in it that are not uploaded again: they are of an earlier model."""
        results = (f"{BENCHMARKS}/", f"{EVAL_RESULTS}/")
        return [name for name in self.files if name.startswith(results) and name not in upload.files]


def model_upload(
    checkpoint: Path, address: Address, licence: Licence, benchmarks: Sequence[Path], version: str
) -> Upload:
    """The upload of a run folder or model file; see `model_files` for what is raised."""
    if address.kind != "model":
        raise HubError(f"{address} is the address of a data set; a model goes to {address.name}")
    model = model_files(checkpoint, benchmarks)
    tested = read_summary(checkpoint) if is_file(checkpoint / METRICS) else None
    listed = write_list("model", model.files, version, model.trained_sha256)
    card = model_card(address, model, licence, tested)
    return Upload(address, {CARD: card, LIST: listed, **model.files}, model.left)


def manifests_upload(paths: Sequence[Path], address: Address, licence: Licence, version: str) -> Upload:
    """The upload of published manifests, or of the folder of a suite; see `manifest_set` for what is raised."""
    manifests = manifest_set(paths)
    address = Address("dataset", address.name)
    card = data_card(address, manifests, licence)
    return Upload(address, {CARD: card, LIST: write_list("dataset", manifests.files, version), **manifests.files})


def look_up(address: Address, *, public: bool) -> Found | None:
    """The repository as it is now; None if there is none, or none that this user may see.

    Args:
        address: of the repository.
        public: whether everyone may see what is uploaded there.

    Raises:
        HubError: the Hub cannot be asked, nobody is logged in, or the repository is public against the user's wish.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import RepositoryNotFoundError

    if not get_token():
        raise HubError("nobody is logged in to Hugging Face: type `hf auth login`, or set HF_TOKEN")
    with told(f"{address} cannot be looked up"):
        try:
            info = repository_info(address)
        except RepositoryNotFoundError:
            return None
    if not info.private and not public:
        raise HubError(f"{address} is public already; give --public if everyone may see these files, or another name")
    return Found(bool(info.private), str(info.sha or ""), tuple(each.rfilename for each in info.siblings or ()))


def upload(planned: Upload, found: Found | None, *, private: bool) -> str:
    """Makes the repository if there is none, and uploads all files in one commit.

    Args:
        planned: what the user has agreed to.
        found: what `look_up` found; if the repository has changed since, nothing is uploaded.
        private: the visibility of a new repository.

    Returns:
        The address of the commit.

    Raises:
        HubError: the Hub refuses, or does not hold all of the files afterwards.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    address, api = planned.address, client()
    if found is None:
        with told(f"{address} cannot be made; nothing was uploaded"):
            api.create_repo(address.name, repo_type=address.kind, private=private)
    added = [CommitOperationAdd(name, content) for name, content in planned.files.items()]
    removed = [CommitOperationDelete(name) for name in (found.stale(planned) if found else ())]
    with told(f"the files could not be uploaded to {address}, which is as it was or empty"):
        commit = api.create_commit(
            address.name,
            [*added, *removed],
            commit_message="Upload with occfer push",
            repo_type=address.kind,
            parent_commit=found.commit if found and found.commit else None,
        )
        there = repository_info(address)
    missing = planned.files.keys() - {each.rfilename for each in there.siblings or ()}
    if missing:
        raise HubError(
            f"{address} lacks {', '.join(sorted(missing))} after the upload; see whether its .gitignore names them"
        )
    return str(commit.commit_url)
