"""The networks of both branches, the discriminator and the decoder, their initial weights, and the table of backbones.

How they are trained is a matter for `occfer.methods` and `occfer.engine`, how they are stored one for `occfer.runs`.
"""

from occfer.models.backbones import Backbone, Stem, construct_ir50, from_torchvision, resnet

__all__ = ["BACKBONES", "FROM_TIMM", "Backbone", "Stem"]

FROM_TIMM = "timm:"
"""How the name of a backbone begins that timm builds, see `occfer.models.timm_backbone`."""

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
        small_stem=("features.0.0",),
    ),
    "ir50": Backbone(
        constructor=construct_ir50,
        weights="",
        trunk=("input_layer", *(f"body.{index}" for index in range(24))),
        feature_node="body.20",
        feature_channels=256,
        top="fc",
        head="fc",
        small_stem=("body.0.res_layer.3", "body.0.shortcut_layer"),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        left_out=("output_layer.",),
    ),
}
