"""What a backbone's row says: how to build the torchvision network and where its shared feature lies."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torchvision import models as zoo


@dataclass(frozen=True, slots=True)
class Backbone:
    """One torchvision network, described by the names of its parts.

    Attributes:
        constructor: builds the network; called with `weights=None`.
        weights: torchvision's ImageNet weights. Version 1 everywhere, the recipe of the paper's time [decided].
        trunk: names of the modules that run before the global average pooling, in order.
        feature_node: the member of `trunk` whose output is the shared feature h: the last one at stride 8.
            For ResNet-50 that is `layer2`, the paper's 28x28x512 map of a 224 px input [decided: the paper gives
            the size, not the layer].
        feature_channels: channels of h.
        top: name of the module after the pooling (classifier head, with its dropout where there is one).
        head: name of the linear layer that is replaced by one with as many outputs as there are classes.
    """

    constructor: Callable[..., nn.Module]
    weights: zoo.WeightsEnum
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


def resnet(constructor: Callable[..., nn.Module], weights: zoo.WeightsEnum, feature_channels: int) -> Backbone:
    """A row for a torchvision ResNet: h after `layer2`."""
    return Backbone(constructor, weights, _RESNET_TRUNK, "layer2", feature_channels, "fc", "fc")


RESNET50 = resnet(zoo.resnet50, zoo.ResNet50_Weights.IMAGENET1K_V1, 512)
RESNET34 = resnet(zoo.resnet34, zoo.ResNet34_Weights.IMAGENET1K_V1, 128)
RESNET18 = resnet(zoo.resnet18, zoo.ResNet18_Weights.IMAGENET1K_V1, 128)
MOBILENET_V2 = Backbone(
    constructor=zoo.mobilenet_v2,
    weights=zoo.MobileNet_V2_Weights.IMAGENET1K_V1,
    trunk=tuple(f"features.{index}" for index in range(19)),
    feature_node="features.6",
    feature_channels=32,
    top="classifier",
    head="classifier.1",
)
