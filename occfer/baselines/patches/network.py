"""PG-CNN and gACNN (Li, Zeng, Shan, Chen: ICPR 2018, IEEE TIP 2019), as the authors' prototxt describes them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from occfer.baselines.patches.centres import PATCHES
from occfer.baselines.patches.crops import PATCH_SIDE, crop_patches
from occfer.baselines.patches.units import GATE_WIDTHS, GatedFeatures, PatchUnits, init_msra
from occfer.baselines.patches.vgg import TO_CONV4_2, TO_CONV5_2, vgg_layers

INPUT_PX = 224
_GLOBAL_SIDE = INPUT_PX // 16


@dataclass(frozen=True, slots=True)
class PatchSizes:
    """Widths of the layers; the defaults are the authors'.

    Attributes:
        blocks: channels of VGG-16's five blocks.
        gate: of the two layers of every gate.
        feature, global_feature: of a PG-Unit's and the GG-Unit's feature.
        hidden: of the layer before the last.
    """

    blocks: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512)
    gate: tuple[int, int] = GATE_WIDTHS
    feature: int = 64
    global_feature: int = 512
    hidden: int = 1024


class PatchNetwork(nn.Module):
    """PG-CNN; with the global unit, gACNN.

    A batch norm with affine parameters on the raw input replaces the subtraction of a mean. VGG-16 up to conv4_2 gives
    a map of 28x28, of which 24 patches go to 24 units. gACNN adds conv4_3 to conv5_2 and a unit for the whole face.
    [decided] PyTorch's momentum of batch norm (0.1), and the exact gradient of the cropping: the authors' own code
    repeats the first row's.

    Args:
        classes: number of expressions.
        sizes: widths.
        global_unit: whether there is a GG-Unit.
    """

    def __init__(self, classes: int, sizes: PatchSizes | None = None, *, global_unit: bool = False) -> None:
        super().__init__()
        sizes = sizes or PatchSizes()
        channels = sizes.blocks[3]
        self.classes = classes
        self.normalise = nn.BatchNorm2d(3)
        self.trunk = vgg_layers(TO_CONV4_2, 3, sizes.blocks)
        self.units = PatchUnits(PATCHES, channels, PATCH_SIDE, sizes.feature, sizes.gate)
        width = PATCHES * sizes.feature
        self.deeper: nn.Sequential | None = None
        self.global_unit: GatedFeatures | None = None
        if global_unit:
            self.deeper = vgg_layers(TO_CONV5_2, channels, sizes.blocks)
            self.global_unit = GatedFeatures(1, sizes.blocks[4], _GLOBAL_SIDE, sizes.global_feature, sizes.gate)
            width += sizes.global_feature
        self.head = nn.Sequential(
            nn.ReLU(), nn.Linear(width, sizes.hidden), nn.Dropout(0.5), nn.ReLU(), nn.Linear(sizes.hidden, classes)
        )
        init_msra(self)

    def features(self, images: Tensor) -> Tensor:
        """The map after conv4_2, `(B, 512, 28, 28)`, of images `(B, 3, 224, 224)` in [0, 1]."""
        features: Tensor = self.trunk(self.normalise(images))
        return features

    def forward(self, images: Tensor, centres_xy: Tensor) -> Tensor:
        """Logits `(B, classes)`.

        Args:
            images: `(B, 3, 224, 224)` float32 RGB in [0, 1].
            centres_xy: `(B, 24, 2)` int64, pixels of these images, see `patch_centres`.
        """
        features = self.features(images)
        parts = [self.units(crop_patches(features, centres_xy)).flatten(1)]
        if self.deeper is not None and self.global_unit is not None:
            parts.append(self.global_unit(self.deeper(features)).flatten(1))
        logits: Tensor = self.head(torch.cat(parts, dim=1))
        return logits
