"""The Hub's own client, and its errors as one line that tells no secret."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from logging import ERROR
from typing import TYPE_CHECKING

from occfer.errors import HubError
from occfer.hub.repository import Address
from occsynth.reading import one_line

if TYPE_CHECKING:
    from huggingface_hub import DatasetInfo, HfApi, ModelInfo


def client() -> "HfApi":
    """The client; it takes the token from HF_TOKEN or from the login itself, and the address from HF_ENDPOINT.

    Raises:
        HubError: it is not installed.
    """
    need_client()
    import huggingface_hub

    huggingface_hub.logging.set_verbosity(ERROR)  # it reports every try, and an error says it once
    return huggingface_hub.HfApi()


def repository_info(address: Address) -> "ModelInfo | DatasetInfo":
    """What the Hub says of a repository: visibility, newest commit, files and their sizes."""
    if address.kind == "dataset":
        return client().dataset_info(address.name, files_metadata=True)
    return client().model_info(address.name, files_metadata=True)


def need_client() -> None:
    """Raises HubError if the client is not installed."""
    if find_spec("huggingface_hub") is None:
        raise HubError("the Hub needs huggingface-hub: pip install 'occsynth[hub]'")


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turns whatever the client raises into a HubError that begins with `what`."""
    try:
        yield
    except HubError:
        raise
    except Exception as error:  # no network, no permission, a full disk: the client raises errors of many kinds
        raise HubError(f"{what} ({_without_token(one_line(error)) or type(error).__name__})") from error


def _without_token(text: str) -> str:
    from huggingface_hub import get_token

    token = get_token()
    return text.replace(token, "[token]") if token else text
