"""The networks of both branches, the discriminator and the decoder, their initial weights, and the table of backbones.

How they are trained is a matter for `occfer.methods` and `occfer.engine`, how they are stored one for `occfer.runs`.
"""

from occfer.models.backbones import Backbone, from_torchvision, resnet

__all__ = ["BACKBONES", "Backbone"]

# The line of a backbone is all that a new one needs. Importing the table loads no torch, so help texts can list it.
BACKBONES: dict[str, Backbone] = {
    "resnet50": resnet("resnet50", "ResNet50_Weights.IMAGENET1K_V1", feature_channels=512),
    "resnet18": resnet("resnet18", "ResNet18_Weights.IMAGENET1K_V1", feature_channels=128),
    "resnet34": resnet("resnet34", "ResNet34_Weights.IMAGENET1K_V1", feature_channels=128),
    "mobilenet_v2": Backbone(
        constructor=from_torchvision("mobilenet_v2"),
        weights="MobileNet_V2_Weights.IMAGENET1K_V1",
        trunk=tuple(f"features.{index}" for index in range(19)),
        feature_node="features.6",
        feature_channels=32,
        top="classifier",
        head="classifier.1",
    ),
}
