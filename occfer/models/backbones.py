"""What the line of a backbone says: how to build the torchvision network and where its shared feature lies.

Neither torch nor torchvision is loaded before a network is built.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Backbone:
    """One torchvision network, described by the names of its parts.

    Attributes:
        constructor: builds the network with random weights; called with `weights=None`.
        weights: torchvision's name of the ImageNet weights, as `torchvision.models.get_weight` takes it. Version 1
            everywhere, the recipe of the paper's time [decided].
        trunk: names of the modules that run before the global average pooling, in order.
        feature_node: the member of `trunk` whose output is the shared feature h: the last one at stride 8.
            For ResNet-50 that is `layer2`, the paper's 28x28x512 map of a 224 px input [decided: the paper gives
            the size, not the layer].
        feature_channels: channels of h.
        top: name of the module after the pooling (classifier head, with its dropout where there is one).
        head: name of the linear layer that is replaced by one with as many outputs as there are classes.
    """

    constructor: "Callable[..., nn.Module]"
    weights: str
    trunk: tuple[str, ...]
    feature_node: str
    feature_channels: int
    top: str
    head: str

    @property
    def stem(self) -> tuple[str, ...]:
        """The trunk's modules up to and including the feature node."""
        return self.trunk[: self.trunk.index(self.feature_node) + 1]

    @property
    def rest(self) -> tuple[str, ...]:
        """The trunk's modules after the feature node."""
        return self.trunk[self.trunk.index(self.feature_node) + 1 :]


_RESNET_TRUNK = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def resnet(name: str, weights: str, feature_channels: int) -> Backbone:
    """A ResNet of torchvision: h comes after `layer2`."""
    return Backbone(from_torchvision(name), weights, _RESNET_TRUNK, "layer2", feature_channels, "fc", "fc")


def from_torchvision(name: str) -> "Callable[..., nn.Module]":
    """A constructor of torchvision's network of that name, which loads torchvision when it is called."""

    def construct(weights: None = None) -> "nn.Module":
        from torchvision import models

        network: nn.Module = models.get_model(name, weights=weights)
        return network

    return construct
