"""The decoder of Section 4.3.2: the clean image, from the feature of the occluded one."""

import math
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from occfer.errors import MethodError

LAYERS = 3  # [paper]
WIDTH = 256


class Decoder(nn.Module):
    """Three deconvolutional layers on the shared feature h (Section 5.1).

    [paper] three deconvolutional layers; the target is the clean image. [decided] 256, 128 and 3 channels, batch norm
    and ReLU between, a sigmoid last, targets in [0, 1]. A layer of a 4x4 kernel, stride 2 and padding 1 doubles the
    size exactly. At a stride of 8, the paper's, all three do, and 48, 88, 144 and 224 px are restored exactly; at a
    smaller one only as many as it needs, the last ones, and a 3x3 kernel keeps the size in the others.

    Args:
        feature_channels: channels of h.
        feature_stride: pixels of the image per cell of h, see `Classifier.feature_stride`.
        width: channels of the first layer; the second has half of them.

    Raises:
        MethodError: three doublings do not restore the size.
    """

    def __init__(self, feature_channels: int, feature_stride: float = 8.0, width: int = WIDTH) -> None:
        super().__init__()
        doublings = max(0, math.ceil(math.log2(feature_stride)))
        if doublings > LAYERS:
            raise MethodError(
                f"the shared feature has a stride of {feature_stride:g} px, and the decoder's {LAYERS} layers restore "
                "8 at most: choose a larger --network-size, or a method without the reconstruction loss"
            )
        self._zoom = 2**doublings / feature_stride
        widths = (feature_channels, width, max(1, width // 2), 3)
        layers: list[nn.Module] = []
        for number in range(LAYERS):
            inner = number < LAYERS - 1
            stride = 2 if number >= LAYERS - doublings else 1
            layers.append(
                nn.ConvTranspose2d(
                    widths[number], widths[number + 1], kernel_size=2 + stride, stride=stride, padding=1, bias=not inner
                )
            )
            layers += [nn.BatchNorm2d(widths[number + 1]), nn.ReLU(inplace=True)] if inner else [nn.Sigmoid()]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """The picture, `(B, 3, *size_hw)` in [0, 1], of features `(B, feature_channels, h, w)`.

        Where cells reach beyond the image, the surplus at the right and lower edge is cut off; a picture that is then
        still larger, since the faces were enlarged for the network, is averaged down [decided; at the paper's sizes
        there is neither].
        """
        picture: Tensor = self.layers(features)
        shown = [round(side * self._zoom) for side in size_hw]
        picture = picture[..., : shown[0], : shown[1]]
        return picture if picture.shape[-2:] == size_hw else F.interpolate(picture, size_hw, mode="area")


def width_of(weights: Mapping[str, Tensor]) -> int:
    """The width of a stored decoder; that of an ordinary one where the weights are none, which loading then says."""
    first = weights.get("layers.0.weight")
    return int(first.shape[1]) if first is not None and first.ndim == 4 else WIDTH
