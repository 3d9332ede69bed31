"""What the line of a backbone says: how to build the network and where its shared feature lies.

Neither torch nor torchvision is loaded before a network is built.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

Stem = Literal["full", "small"]
Constants = tuple[float, float, float]

IMAGENET_MEAN: Constants = (0.485, 0.456, 0.406)
IMAGENET_STD: Constants = (0.229, 0.224, 0.225)
FEATURE_STRIDE = 8
"""Input pixels per cell of the shared feature, with the full stem."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """One network whose parts run one after the other, described by their names.

    Attributes:
        constructor: builds the network with random weights; called with `weights=None`.
        weights: torchvision's name of the ImageNet weights, as `torchvision.models.get_weight` takes it. Version 1
            everywhere, the recipe of the paper's time [decided]. Empty: there are none.
        trunk: names of the modules that run before the global average pooling, in order.
        feature_node: the member of `trunk` whose output is the shared feature h: the last one at stride 8.
            For ResNet-50 that is `layer2`, the paper's 28x28x512 map of a 224 px input [decided: the paper gives
            the size, not the layer].
        feature_channels: channels of h.
        top: name of the module after the pooling (classifier head, with its dropout where there is one).
        head: name of the linear layer that is replaced by one with as many outputs as there are classes.
        small_stem: names of the convolutions or poolings whose stride of 2 becomes 1 for `--stem small`, so that every
            later map is twice as large: one layer, or those that run side by side.
        mean, std: of the input's normalisation, per channel, for pixels in [0, 1].
        left_out: how the names of tensors begin that published weights hold and the network has no use for.
    """

    constructor: "Callable[..., nn.Module]"
    weights: str
    trunk: tuple[str, ...]
    feature_node: str
    feature_channels: int
    top: str
    head: str
    small_stem: tuple[str, ...] = ()
    mean: Constants = IMAGENET_MEAN
    std: Constants = IMAGENET_STD
    left_out: tuple[str, ...] = ()

    @property
    def lower(self) -> tuple[str, ...]:
        """The trunk's modules up to and including the feature node."""
        return self.trunk[: self.trunk.index(self.feature_node) + 1]

    @property
    def upper(self) -> tuple[str, ...]:
        """The trunk's modules after the feature node."""
        return self.trunk[self.trunk.index(self.feature_node) + 1 :]

    def features(self, network: "nn.Module", images: "Tensor") -> "Tensor":
        """The shared feature of normalised images `(B, 3, H, W)`."""
        return _run(network, self.lower, images)

    def both(self, network: "nn.Module", images: "Tensor") -> "tuple[Tensor, Tensor]":
        """The shared feature and the logits of normalised images `(B, 3, H, W)`."""
        features = self.features(network, images)
        return features, self.logits(network, _run(network, self.upper, features))

    def last_map(self, network: "nn.Module", images: "Tensor") -> "Tensor":
        """The map that is pooled, `(B, C, h, w)`, of normalised images `(B, 3, H, W)`."""
        return _run(network, self.trunk, images)

    def logits(self, network: "nn.Module", last_map: "Tensor") -> "Tensor":
        """The logits that follow from the map of `last_map`."""
        logits: Tensor = network.get_submodule(self.top)(last_map.mean(dim=(2, 3)))
        return logits


def _run(network: "nn.Module", names: Sequence[str], values: "Tensor") -> "Tensor":
    for name in names:
        values = network.get_submodule(name)(values)
    return values


_RESNET_TRUNK = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def resnet(name: str, weights: str, feature_channels: int) -> Backbone:
    """A ResNet of torchvision: h comes after `layer2`; the small stem keeps the pooling."""
    return Backbone(
        from_torchvision(name), weights, _RESNET_TRUNK, "layer2", feature_channels, "fc", "fc", small_stem=("conv1",)
    )


def from_torchvision(name: str) -> "Callable[..., nn.Module]":
    """A constructor of torchvision's network of that name, which loads torchvision when it is called."""

    def construct(weights: None = None) -> "nn.Module":
        from torchvision import models

        network: nn.Module = models.get_model(name, weights=weights)
        return network

    return construct


def construct_ir50(weights: None = None) -> "nn.Module":
    """IR-50 with random weights, see `occfer.models.ir50`."""
    from occfer.models.ir50 import IR50

    del weights
    return IR50()
