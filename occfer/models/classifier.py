"""A branch of the model: a backbone with as many outputs as there are expressions, cut at the shared feature."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from occfer.errors import ConfigError, UnknownNameError
from occfer.models import BACKBONES, FROM_TIMM, Backbone, Stem
from occfer.models.backbones import FEATURE_STRIDE
from occfer.models.timm_backbone import TimmBackbone, timm_backbone


class Classifier(nn.Module):
    """One branch, `F_o` or `F_c` (Section 4.1), that can be stopped at the shared feature h.

    The network lies under `network`, so the state dict is torchvision's or timm's with that prefix. Faces are enlarged
    and normalised inside; the constants are buffers that follow the device but are not saved.

    Args:
        backbone: an entry of `occfer.models.BACKBONES`, or one of timm.
        classes: number of expressions; the last layer gets as many units ([paper]: 7).
        stem: `small` turns one early stride of 2 into 1, which makes every later map twice as large. The weights are
            the same.
        size_px: side of the faces as they are stored; needed with `network_px` alone.
        network_px: side to which faces are enlarged (or shrunk) before they are normalised; None: they stay.

    Attributes:
        feature_channels: channels of h.
        classes: number of outputs.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Backbone | TimmBackbone,
        classes: int,
        *,
        stem: Stem = "full",
        size_px: int | None = None,
        network_px: int | None = None,
    ) -> None:
        super().__init__()
        self.network = backbone.constructor(weights=None)
        head = self.network.get_submodule(backbone.head)
        if not isinstance(head, nn.Linear):
            raise TypeError(f"the backbone's head '{backbone.head}' is a {type(head).__name__}, not a linear layer")
        self.network.set_submodule(backbone.head, nn.Linear(head.in_features, classes))
        if stem == "small":
            _make_small(self.network, backbone)
        self.backbone = backbone
        self.classes = classes
        self.feature_channels = backbone.feature_channels
        self.network_px = network_px
        self._stride = FEATURE_STRIDE / (2 if stem == "small" else 1)
        if network_px is not None:
            if size_px is None:
                raise TypeError("network_px needs size_px")
            self._stride *= size_px / network_px
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1), persistent=False)

    @property
    def head_prefix(self) -> str:
        """The state dict's prefix of the replaced last layer, such as `network.fc.`."""
        return f"network.{self.backbone.head}."

    @property
    def feature_stride(self) -> float:
        """Pixels of a stored face per cell of h along each axis: 8, half of it with the small stem.

        A network size divides it by how many times faces are enlarged.
        """
        return self._stride

    def features(self, images: Tensor) -> Tensor:
        """The shared feature h, `(B, feature_channels, h, w)`, of images `(B, 3, H, W)` in [0, 1].

        h is `ceil(H / feature_stride)` for all backbones of our table; some networks of timm round in another way.
        """
        return self.backbone.features(self.network, self._prepared(images))

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The shared feature and the logits of images `(B, 3, H, W)` in [0, 1], in one pass."""
        return self.backbone.both(self.network, self._prepared(images))

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, classes)`, before softmax, of images `(B, 3, H, W)`, float32 RGB in [0, 1]."""
        return self.both(images)[1]

    def last_map(self, images: Tensor) -> Tensor:
        """The map that is pooled before the last layer, `(B, C, h, w)`, of images `(B, 3, H, W)` in [0, 1]."""
        return self.backbone.last_map(self.network, self._prepared(images))

    def logits(self, last_map: Tensor) -> Tensor:
        """Logits `(B, classes)` that follow from `last_map`; those of `forward`, computed in two steps."""
        return self.backbone.logits(self.network, last_map)

    def _prepared(self, images: Tensor) -> Tensor:
        side_px = self.network_px
        if side_px is not None and images.shape[-2:] != (side_px, side_px):
            # A picture that shrinks is filtered first, or its fine detail would turn into false patterns.
            shrinks = side_px < max(images.shape[-2:])
            images = F.interpolate(images, (side_px, side_px), mode="bilinear", antialias=shrinks)
        return (images - self.mean) / self.std


def _make_small(network: nn.Module, backbone: Backbone | TimmBackbone) -> None:
    if not backbone.small_stem:
        raise ConfigError("--stem small: this backbone does not begin with a stride of 2; choose --stem full")
    for name in backbone.small_stem:
        layer: Any = network.get_submodule(name)
        layer.stride = (1, 1)


def backbone_named(name: str) -> Backbone | TimmBackbone:
    """The backbone of that name.

    Raises:
        UnknownNameError: there is none; the message lists all, or says why timm's cannot be one.
    """
    if name.startswith(FROM_TIMM):
        return timm_backbone(name)
    table: Mapping[str, Backbone] = BACKBONES
    if name not in table:
        raise UnknownNameError(
            f"unknown backbone '{name}'; choose one of: {', '.join(table)}, or {FROM_TIMM}NAME for one of timm"
        )
    return table[name]


def build_classifier(
    backbone: str,
    classes: int,
    *,
    stem: Stem = "full",
    size_px: int | None = None,
    network_px: int | None = None,
) -> Classifier:
    """A branch with random weights, drawn from torch's current random stream; `load_weights` puts others in.

    Args:
        backbone: a key of `BACKBONES`, or `timm:NAME`; the paper's is `resnet50`.
        classes: number of expressions.
        stem, size_px, network_px: see `Classifier`.

    Raises:
        UnknownNameError: there is no backbone of that name.
        ConfigError: it has no small stem.
    """
    return Classifier(backbone_named(backbone), classes, stem=stem, size_px=size_px, network_px=network_px)
