"""Backbones of timm: any of its networks that says which of its maps has stride 8 (extra `timm`)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from occfer.errors import UnknownNameError
from occfer.models import FROM_TIMM
from occfer.models.backbones import FEATURE_STRIDE, Constants

# Nothing else is a name of a network: timm would take `hf-hub:...` for one, and load it from the network.
_NAME = re.compile(r"\w{1,80}(\.\w{1,80})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class TimmBackbone:
    """A network of timm, used as `occfer.models.Backbone` is; see there for what the attributes mean.

    Attributes:
        name: timm's.
        weights: the repository of its weights on Hugging Face, as `hf://ORG/NAME`; empty if timm names none.
        feature_index: which of the maps that timm lists is h: the last one at stride 8.
    """

    name: str
    weights: str
    feature_index: int
    feature_channels: int
    head: str
    small_stem: tuple[str, ...]
    mean: Constants
    std: Constants
    left_out: tuple[str, ...] = ()

    def constructor(self, weights: None = None) -> nn.Module:
        """The network with random weights."""
        import timm

        del weights
        network: nn.Module = timm.create_model(self.name, pretrained=False)
        pools = [name for name, part in network.named_modules() if _pools_all(part)]
        for name in pools:
            network.set_submodule(name, _Average())
        return network

    def features(self, network: nn.Module, images: Tensor) -> Tensor:
        """The shared feature of normalised images `(B, 3, H, W)`; the layers after it do not run."""
        found: Any = network
        features: Tensor = found.forward_intermediates(
            images, indices=[self.feature_index], stop_early=True, intermediates_only=True
        )[0]
        return features

    def both(self, network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """The shared feature and the logits of normalised images `(B, 3, H, W)`."""
        found: Any = network
        last, (features,) = found.forward_intermediates(images, indices=[self.feature_index])
        return features, self.logits(network, last)

    def last_map(self, network: nn.Module, images: Tensor) -> Tensor:
        """The map that is pooled, `(B, C, h, w)`, of normalised images `(B, 3, H, W)`."""
        found: Any = network
        last: Tensor = found.forward_features(images)
        return last

    def logits(self, network: nn.Module, last_map: Tensor) -> Tensor:
        """The logits that follow from the map of `last_map`."""
        found: Any = network
        logits: Tensor = found.forward_head(last_map)
        return logits


class _Average(nn.Module):
    """What AdaptiveAvgPool2d(1) computes, in an operation whose ONNX form has sizes that are known beforehand."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3), keepdim=True)


def _pools_all(part: nn.Module) -> bool:
    return isinstance(part, nn.AdaptiveAvgPool2d) and part.output_size in (1, (1, 1))


@cache
def timm_backbone(name: str) -> TimmBackbone:
    """The description of a network of timm.

    Args:
        name: `timm:NAME`, perhaps with the tag of its weights (`timm:resnet18.a1_in1k`).

    Raises:
        UnknownNameError: timm is not installed, has no such network, or that network cannot be a backbone.
    """
    if find_spec("timm") is None:
        raise UnknownNameError(f"--backbone {name} needs timm: pip install 'occsynth[timm]'")
    import timm

    own = name.removeprefix(FROM_TIMM)
    if not _NAME.fullmatch(own) or not timm.is_model(own.partition(".")[0]):
        near = get_close_matches(own[:80], timm.list_models(), n=5)
        raise UnknownNameError(
            f"--backbone {name[:100]}: timm {timm.__version__} has no such network; "
            + (f"near are {', '.join(FROM_TIMM + each for each in near)}" if near else "timm.list_models() lists all")
        )
    try:
        with torch.device("meta"):  # takes neither memory nor random numbers
            network: Any = timm.create_model(own, pretrained=False)
    except Exception as error:  # an unknown tag, or a network that only some versions of timm can build
        raise UnknownNameError(f"--backbone {name}: timm {timm.__version__} cannot build it ({error})") from error
    return _described(name, own, network)


def _described(name: str, own: str, network: Any) -> TimmBackbone:
    facts = network.pretrained_cfg
    found = [
        (index, each["num_chs"])
        for index, each in enumerate(getattr(network, "feature_info", None) or ())
        if each["reduction"] == FEATURE_STRIDE
    ]
    if not found or not hasattr(network, "forward_intermediates"):
        raise UnknownNameError(
            f"--backbone {name} has no map of stride {FEATURE_STRIDE} that timm can hand out, which is the feature "
            "that both branches share; choose a network such as timm:convnext_tiny or timm:efficientnet_b0"
        )
    head = facts.get("classifier")
    if not isinstance(head, str) or not isinstance(network.get_submodule(head), nn.Linear):
        raise UnknownNameError(
            f"--backbone {name} does not end in one linear layer, which is replaced by one for the expressions"
        )
    if facts.get("fixed_input_size"):
        sides = " x ".join(map(str, facts["input_size"][1:]))
        raise UnknownNameError(f"--backbone {name} takes only pictures of {sides} px; choose one that takes any size")
    index, channels = found[-1]
    place = facts.get("hf_hub_id")
    mean, std = (_constants(facts[each]) for each in ("mean", "std"))
    weights = f"hf://{place}" if place else ""
    return TimmBackbone(own, weights, index, channels, head, _first_layers(network), mean, std)


def _constants(values: Sequence[float]) -> Constants:
    red, green, blue = map(float, values)
    return red, green, blue


def _first_layers(network: Any) -> tuple[str, ...]:
    """The first convolution, or the first ones side by side, if their stride is 2; else there is no small stem."""
    first = network.pretrained_cfg.get("first_conv") or ()
    names = (first,) if isinstance(first, str) else tuple(first)
    layers = [network.get_submodule(each) for each in names]
    fits = all(isinstance(each, nn.Conv2d) and each.stride == (2, 2) for each in layers)
    return names if fits else ()
