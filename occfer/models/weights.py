"""Initial weights of a branch: torchvision's ImageNet weights, none, or a file; never by running a pickle."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlparse

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import get_weight

from occfer.errors import WeightsError
from occfer.models.classifier import Classifier

_OURS = "classifier.network."  # before a key in our model files
_WRAPPERS = (_OURS, "module.", "_orig_mod.", "network.")  # the others: DDP, torch.compile, a Classifier's state dict
_SHOWN = 6  # number of keys that an error lists; the rest it only counts


def load_weights(classifier: Classifier, weights: str | Path) -> list[str]:
    """Puts initial weights into a classifier, in place.

    Args:
        classifier: the branch; it is not changed when an error is raised.
        weights: `imagenet` (torchvision's, through its own API and cache; the paper starts from these), `none` (keeps
            the random initialisation), or a file: `.safetensors`, or `.pth`/`.pt` read with `weights_only=True`, which
            executes nothing. The file holds a state dict with torchvision's names or ours, perhaps under `state_dict`
            or with the prefixes of DataParallel and torch.compile; or it is a model file of an earlier run.

    Returns:
        What the user should be told, such as that a last layer for another number of classes was dropped.

    Raises:
        WeightsError: there is no such file, it cannot be read, or it differs from the network in more than the last
            layer.
    """
    if weights == "none":
        return ["random initial weights"]
    if weights == "imagenet":
        state = imagenet_state(classifier.backbone.weights)
        # Its thousand classes are not expressions, so the last layer is dropped whatever its size.
        objects = {
            key: value for key, value in state.items() if not f"network.{key}".startswith(classifier.head_prefix)
        }
        _fit(classifier, objects, source="ImageNet weights")
        return []
    path = Path(weights)
    return _fit(classifier, file_state(path), source=f"--weights {path}")


def imagenet_state(name: str) -> Mapping[str, Tensor]:
    """Torchvision's ImageNet weights of a network, from its cache or downloaded.

    Args:
        name: of the weights, such as `ResNet18_Weights.IMAGENET1K_V1`.

    Raises:
        WeightsError: neither works; the message names the file and where to put it.
    """
    weights = get_weight(name)
    file_name = Path(urlparse(weights.url).path).name
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    try:
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # no network, another digest, or a damaged file in the cache, which can raise anything
        raise WeightsError(
            f"ImageNet weights {file_name} could not be downloaded from {weights.url} ({_reason(error)}). Download "
            f"that file on another machine and put it into {cache}, or start from a file with --weights FILE, or from "
            "random weights with --weights none."
        ) from error
    return state


def file_state(path: Path) -> Mapping[str, Tensor]:
    """The tensors of the file of `--weights FILE`; nothing in it is executed.

    Raises:
        WeightsError: the file is missing, damaged, of another kind, or not a state dict.
    """
    if not path.is_file():
        raise WeightsError(f"--weights {path}: no such file; give imagenet, none, or a .safetensors or .pth file.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"--weights {path} is not a readable safetensors file ({_reason(error)}).") from error
    if path.suffix not in (".pth", ".pt"):
        raise WeightsError(f"--weights {path}: unknown ending '{path.suffix}'; give a .safetensors or .pth file.")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile or damaged file can make the reader raise anything; none of it is executed
        raise WeightsError(
            f"--weights {path} was refused: it is damaged or holds more than tensors, which is never executed "
            f"({_reason(error)}). Save its state dict as .safetensors."
        ) from error
    return _state_dict(loaded, path)


def _state_dict(loaded: object, path: Path) -> Mapping[str, Tensor]:
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in loaded.items()
    ):
        raise WeightsError(f"--weights {path} does not hold a state dict, which maps names to tensors.")
    return loaded


def _fit(classifier: Classifier, state: Mapping[str, Tensor], *, source: str) -> list[str]:
    """Loads what fits, drops a head of another shape, and refuses any other difference before anything is changed."""
    own = classifier.state_dict()
    given = {f"network.{bare_name(key)}": value for key, value in _branch(state).items()}
    heads = {key for key in own if key.startswith(classifier.head_prefix)}
    given_heads = {key: given[key] for key in heads & given.keys()}
    fits = all(key in given and given[key].shape == own[key].shape for key in heads)
    if not fits:
        given = {key: value for key, value in given.items() if key not in heads}
    # num_batches_tracked came with PyTorch 0.4.1 and is only a counter: where an old file lacks it, ours stays.
    wanted = {key for key in own if not key.endswith("num_batches_tracked")} - (heads - given.keys())
    problems = {
        "missing": sorted(wanted - given.keys()),
        "unexpected": sorted(given.keys() - own.keys()),
        "of another shape": sorted(k for k in given.keys() & own.keys() if given[k].shape != own[k].shape),
    }
    if any(problems.values()):
        raise WeightsError(
            f"{source} does not fit the backbone {type(classifier.network).__name__} ({listed(problems)}). Only the "
            "last layer may differ; choose the --backbone that the file was made with."
        )
    classifier.load_state_dict(given, strict=False)
    return [_head_note(source, given_heads, classifier.classes, kept=fits)]


def _branch(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The classifier of a model file of ours, without the decoder; any other state dict as it is."""
    ours = {key: value for key, value in state.items() if key.startswith(_OURS)}
    return ours or state


def bare_name(key: str) -> str:
    """A tensor's name without the prefixes of a `Classifier`, DataParallel and torch.compile."""
    stripped = True
    while stripped:
        stripped = False
        for prefix in _WRAPPERS:
            if key.startswith(prefix):
                key, stripped = key[len(prefix) :], True
    return key


def _head_note(source: str, heads: Mapping[str, Tensor], classes: int, *, kept: bool) -> str:
    if kept:
        return (
            f"{source}: its last layer has {classes} units too and was kept; check that its classes are in the same "
            "order"
        )
    units = next((value.shape[0] for value in heads.values() if value.ndim), None)
    was = "it has no last layer" if units is None else f"its last layer of {units} units was dropped"
    return f"{source}: {was}; the one for {classes} classes starts from random weights"


def listed(problems: Mapping[str, Sequence[str]]) -> str:
    """Names of tensors by what is wrong with them, in words: `2 missing: conv1.weight, fc.bias; 1 unexpected: ...`."""
    return "; ".join(f"{len(keys)} {what}: {_some(keys)}" for what, keys in problems.items() if keys)


def _some(keys: Sequence[str]) -> str:
    shown = ", ".join(key.removeprefix("network.") for key in keys[:_SHOWN])
    return shown if len(keys) <= _SHOWN else f"{shown} and {len(keys) - _SHOWN} more"


def _reason(error: Exception) -> str:
    """An error's first sentence: the next ones of torch's tell how to load a file that is not trusted anyway."""
    lines = str(error).strip().splitlines()
    return lines[0].partition(". ")[0] if lines else type(error).__name__
