"""A branch of the model: a backbone with as many outputs as there are expressions, cut at the shared feature."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from occfer.errors import lookup
from occfer.models import BACKBONES, Backbone

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Classifier(nn.Module):
    """One branch, `F_o` or `F_c` (Section 4.1), that can be stopped at and resumed from the shared feature h.

    The torchvision network lies under `network`, so the state dict is torchvision's with that prefix. The ImageNet
    normalisation happens inside; its constants are buffers that follow the device but are not saved.

    Args:
        backbone: an entry of `occfer.models.BACKBONES`.
        classes: number of expressions; the last layer gets as many units ([paper]: 7).

    Attributes:
        feature_channels: channels of h.
        classes: number of outputs.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__()
        self.network = backbone.constructor(weights=None)
        head = self.network.get_submodule(backbone.head)
        if not isinstance(head, nn.Linear):
            raise TypeError(f"the backbone's head '{backbone.head}' is a {type(head).__name__}, not a linear layer")
        self.network.set_submodule(backbone.head, nn.Linear(head.in_features, classes))
        self.backbone = backbone
        self.classes = classes
        self.feature_channels = backbone.feature_channels
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    @property
    def head_prefix(self) -> str:
        """The state dict's prefix of the replaced last layer, such as `network.fc.`."""
        return f"network.{self.backbone.head}."

    def features(self, images: Tensor) -> Tensor:
        """The shared feature h, `(B, feature_channels, ceil(H/8), ceil(W/8))`, of images `(B, 3, H, W)` in [0, 1]."""
        return self._run(self.backbone.stem, (images - self.mean) / self.std)

    def from_features(self, features: Tensor) -> Tensor:
        """Logits `(B, classes)` from the shared feature."""
        pooled = self._run(self.backbone.rest, features).mean(dim=(2, 3))
        logits: Tensor = self.network.get_submodule(self.backbone.top)(pooled)
        return logits

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The shared feature and the logits of images `(B, 3, H, W)` in [0, 1], in one pass."""
        features = self.features(images)
        return features, self.from_features(features)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, classes)`, before softmax, of images `(B, 3, H, W)`, float32 RGB in [0, 1]."""
        return self.from_features(self.features(images))

    def _run(self, names: Sequence[str], values: Tensor) -> Tensor:
        for name in names:
            values = self.network.get_submodule(name)(values)
        return values


def build_classifier(backbone: str, classes: int) -> Classifier:
    """A branch with random weights, drawn from torch's current random stream; `load_weights` puts others in.

    Args:
        backbone: a key of `BACKBONES`; the paper's is `resnet50`.
        classes: number of expressions.

    Raises:
        UnknownNameError: there is no backbone of that name.
    """
    return Classifier(lookup(BACKBONES, backbone, kind="backbone"), classes)
