"""Where the file of `--weights` or `--checkpoint` lies: a path, or a repository of Hugging Face through its client and
cache.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from logging import ERROR
from pathlib import Path

from occfer.errors import WeightsError
from occfer.models.weight_names import PICKLED, SAFE, is_weights_name

HUB = "hf://"
# What a repository calls its weights, the best first: a format that cannot hold code, then the customary pickle.
_USUAL = ("model.safetensors", "pytorch_model.bin")


def weights_file(weights: str | Path) -> Path:
    """The file of `--weights FILE` or `--weights hf://ORG/NAME[/FILE]`; what is not in the cache is downloaded.

    Raises:
        WeightsError: there is no such file, or it can be downloaded neither.
    """
    text = str(weights)
    if text.startswith(HUB):
        return _hub_file("--weights", text, ", or --weights none")
    path = Path(weights)
    if not path.is_file():
        raise WeightsError(
            f"--weights {path}: no such file; give imagenet, none, hf://ORG/NAME, or a file that ends in "
            f"{', '.join((*SAFE, *PICKLED))}"
        )
    return path


def given_file(weights: str | Path) -> Path | None:
    """The file of `--weights`, see `weights_file`; None for `imagenet` and `none`, which are no files."""
    return None if weights in ("imagenet", "none") else weights_file(weights)


def checkpoint_file(text: str) -> Path:
    """The model file of `--checkpoint hf://ORG/NAME[/FILE]`, as `weights_file` finds it.

    Raises:
        WeightsError: it can be neither found in the cache nor downloaded, or is of a format that may hold code.
    """
    path = _hub_file("--checkpoint", text, "")
    if not path.name.endswith(SAFE):
        raise WeightsError(
            f"--checkpoint {text}: {path.name} is no .safetensors file, as `occfer push` uploads models; give weights "
            "that others trained to `occfer train --weights`"
        )
    return path


def _hub_file(flag: str, text: str, otherwise: str) -> Path:
    """The file of an address that was given to a flag; `otherwise` ends the advice where it cannot be had."""
    organisation, _, rest = text.removeprefix(HUB).partition("/")
    name, _, file = rest.partition("/")
    if not organisation or not name:
        raise WeightsError(f"{flag} {text}: must be hf://ORG/NAME, or hf://ORG/NAME/FILE for one of its files")
    if find_spec("huggingface_hub") is None:
        raise WeightsError(f"{flag} {text} needs huggingface-hub: pip install 'occsynth[hub]'")
    repository = f"{organisation}/{name}"
    return _cached(repository, file) or _downloaded(f"{flag} {text}", repository, file, otherwise)


def _cached(repository: str, file: str) -> Path | None:
    """A file that an earlier download left; it is taken without asking whether the repository has a newer one."""
    import huggingface_hub

    try:
        folder = Path(huggingface_hub.snapshot_download(repository, local_files_only=True))
    except Exception:  # nothing of the repository is there, or its name is not one: the download says which
        return None
    names = [each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()]
    chosen = file if file in names else "" if file else _chosen(names)
    return folder / chosen if chosen else None


def _downloaded(given: str, repository: str, file: str, otherwise: str) -> Path:
    import huggingface_hub

    level = huggingface_hub.logging.get_verbosity()
    huggingface_hub.logging.set_verbosity(ERROR)  # it reports every try, and the error below says it once
    try:
        names = [] if file else huggingface_hub.HfApi().list_repo_files(repository)
        chosen = file or _chosen(names)
        if chosen:
            return Path(huggingface_hub.hf_hub_download(repository, chosen))
    except Exception as error:  # no network, no such repository, a full disk: the client raises errors of many kinds
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"{given} could not be downloaded ({reason}), and is not in {huggingface_hub.constants.HF_HUB_CACHE}; "
            f"download the file on another machine and give its path{otherwise}"
        ) from error
    finally:
        huggingface_hub.logging.set_verbosity(level)
    some = [each for each in names if is_weights_name(each)][:6]
    raise WeightsError(
        f"{given}: that repository has no {_USUAL[0]}; "
        + (
            f"name one of its files, such as {HUB}{repository}/{some[0]} ({', '.join(some)})"
            if some
            else "it holds no weights"
        )
    )


def _chosen(names: Sequence[str]) -> str:
    """The file of weights among a repository's files; empty if there is none, or several and none has a usual name."""
    usual = next((each for each in _USUAL if each in names), "")
    found = [each for each in names if is_weights_name(each)]
    safe = [each for each in found if each.endswith(SAFE)]
    for some in (safe, found):
        if usual in some:
            return usual
        if len(some) == 1:
            return some[0]
    return ""
