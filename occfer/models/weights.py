"""Initial weights of a branch: ImageNet weights of torchvision or timm, none, or a file; never by running a pickle."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor
from torchvision.models import get_weight

from occfer.errors import WeightsError
from occfer.models.classifier import Classifier
from occfer.models.hub import weights_file
from occfer.models.timm_backbone import TimmBackbone
from occfer.models.weight_files import file_state, reason, some

_OURS = "classifier.network."  # before a key in our model files
# What training code puts before the names of a network: ours, DDP, torch.compile, a Classifier, and wrappers of others
# (MoCo's `module.encoder_q.` stands for two of them).
_WRAPPERS = (
    _OURS, "module.", "_orig_mod.", "network.", "backbone.", "model.", "encoder.", "encoder_q.",
)  # fmt: skip


def load_weights(classifier: Classifier, weights: str | Path) -> list[str]:
    """Puts initial weights into a classifier, in place.

    Args:
        classifier: the branch; it is not changed when an error is raised.
        weights: `imagenet` (torchvision's or timm's, through its own API and cache; the paper starts from these),
            `none` (keeps the random initialisation), or a file as `weights_file` finds it: `.safetensors`, or a pickled
            one read with `weights_only=True`, which executes nothing. It holds a state dict with the network's names,
            perhaps in a container (`occfer.models.weight_files.CONTAINERS`) or with prefixes such as `module.`; or it
            is a model file of an earlier run.

    Returns:
        What the user should be told, such as that a last layer for another number of classes was dropped.

    Raises:
        WeightsError: there is no such file, it cannot be read, holds NaN or infinite numbers, or differs from the
            network in more than the last layer.
    """
    if weights == "none":
        return ["random initial weights"]
    if weights == "imagenet":
        # Its thousand classes are not expressions, so the last layer is dropped whatever its size.
        objects = {
            key: value
            for key, value in _imagenet(classifier).items()
            if not f"network.{key}".startswith(classifier.head_prefix)
        }
        _fit(classifier, objects, source="ImageNet weights")
        return []
    return _fit(classifier, file_state(weights_file(weights)), source=f"--weights {weights}")


def _imagenet(classifier: Classifier) -> Mapping[str, Tensor]:
    backbone = classifier.backbone
    if not backbone.weights:
        raise WeightsError("--weights imagenet: this backbone has none; give --weights FILE, or --weights none")
    if isinstance(backbone, TimmBackbone):
        return file_state(weights_file(backbone.weights))
    return imagenet_state(backbone.weights)


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
            f"ImageNet weights {file_name} could not be downloaded from {weights.url} ({reason(error)}). Download "
            f"that file on another machine and put it into {cache}, or start from a file with --weights FILE, or from "
            "random weights with --weights none."
        ) from error
    return state


def _fit(classifier: Classifier, state: Mapping[str, Tensor], *, source: str) -> list[str]:
    """Loads what fits, drops a head of another shape, and refuses any other difference before anything is changed."""
    own = {key.removeprefix("network."): value for key, value in classifier.state_dict().items()}
    head = classifier.backbone.head + "."
    heads = {key for key in own if key.startswith(head)}
    prefix, given = unwrapped(state, own.keys() - heads)
    left = [] if prefix == _OURS else [key for key in state if not key.startswith(prefix)]
    published = [key for key in given if key.startswith(classifier.backbone.left_out)]
    given = {key: value for key, value in given.items() if key not in published}
    given_heads = {key: value for key, value in given.items() if key.startswith(head)}
    fits = all(key in given and given[key].shape == own[key].shape for key in heads) and len(given_heads) == len(heads)
    if not fits:
        given = {key: value for key, value in given.items() if key not in given_heads}
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
    refuse_not_finite(given, source)
    classifier.load_state_dict({f"network.{key}": value for key, value in given.items()}, strict=False)
    notes = [_head_note(source, given_heads, classifier.classes, kept=fits)]
    if left or published:
        notes.append(f"{source}: left out, as the backbone has no such part: {some(sorted([*left, *published]))}")
    return notes


def unwrapped(state: Mapping[str, Tensor], wanted: Collection[str]) -> tuple[str, dict[str, Tensor]]:
    """The tensors under the prefix, of those that training code adds, under which most wanted names stand.

    Args:
        state: tensors by name.
        wanted: names without a prefix.

    Returns:
        The prefix, empty where the names stand as they are, and the tensors under it by their bare names. A model file
        of ours gives the classifier alone, MoCo's the encoder that is trained.
    """
    prefixes = {""}
    for key in state:
        prefix = ""
        while more := next((each for each in _WRAPPERS if key.startswith(each, len(prefix))), ""):
            prefix += more
            prefixes.add(prefix)
    found = {prefix: {key[len(prefix) :] for key in state if key.startswith(prefix)} for prefix in prefixes}
    # of equally good ones the longest: where nothing fits, the error then lists bare names
    best = max(sorted(prefixes), key=lambda each: (len(found[each].intersection(wanted)), len(each)))
    return best, {key.removeprefix(best): value for key, value in state.items() if key.startswith(best)}


def refuse_not_finite(state: Mapping[str, Tensor], source: str) -> None:
    """Raises WeightsError if a tensor holds NaN or infinite numbers: nothing could be trained from it."""
    wrong = [key for key, value in state.items() if value.is_floating_point() and not value.float().isfinite().all()]
    if wrong:
        raise WeightsError(
            f"{source} holds NaN or infinite numbers in {some(wrong)}, as training that diverged leaves them; give "
            "another file"
        )


def _head_note(source: str, heads: Mapping[str, Tensor], classes: int, *, kept: bool) -> str:
    if kept:
        return (
            f"{source}: its last layer has {classes} units too and was kept; check that its classes are in the same "
            "order"
        )
    units = next((value.shape[0] for value in list(heads.values())[::-1] if value.ndim), None)
    was = "it has no last layer" if units is None else f"its last layer of {units} units was dropped"
    return f"{source}: {was}; the one for {classes} classes starts from random weights"


def listed(problems: Mapping[str, Sequence[str]]) -> str:
    """Names of tensors by what is wrong with them, in words: `2 missing: conv1.weight, fc.bias; 1 unexpected: ...`."""
    return "; ".join(f"{len(keys)} {what}: {some(keys)}" for what, keys in problems.items() if keys)
