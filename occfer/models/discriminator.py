"""The discriminator D of Section 4.3.1: does a feature come from a clean or an occluded image?"""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (128, 256, 512, 1024, 1)


class Discriminator(nn.Module):
    """A five-layer CNN on the shared feature h (Section 5.1).

    [paper] five layers on the 28x28x512 map. [decided] 3x3 convolutions of stride 2 and padding 1 with 128, 256, 512,
    1024 and 1 channels, LeakyReLU 0.2 between, no batch norm, logits instead of probabilities. The maps of the paper's
    input sizes (48, 88, 144, 224 px) end at 1x1; where a larger map leaves more, their mean is the logit. It runs in
    float32 under any mixed precision: it is the small player, and on CPUs the bfloat16 gradients of convolutions that
    step over maps of a pixel or two can be NaN.

    Args:
        feature_channels: channels of h.
        spectral: whether every layer's weights are divided by their largest singular value (Miyato et al. 2018,
            arXiv:1802.05957), which bounds how sure it can become. Not the paper's.
    """

    def __init__(self, feature_channels: int, *, spectral: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = feature_channels
        for width in WIDTHS:
            layer = nn.Conv2d(channels, width, kernel_size=3, stride=2, padding=1)
            layers += [spectral_norm(layer) if spectral else layer, nn.LeakyReLU(0.2)]
            channels = width
        self.layers = nn.Sequential(*layers[:-1])  # no activation after the logit

    def maps(self, features: Tensor) -> Tensor:
        """The last layer's map of logits, `(B, 1, h, w)`: 1x1 for features of up to 32x32."""
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.layers(features.float() if features.itemsize < 4 else features)
        return logits

    def forward(self, features: Tensor) -> Tensor:
        """Logits `(B,)` of "from a clean image" for features `(B, feature_channels, H, W)`."""
        return self.maps(features).mean(dim=(1, 2, 3))
