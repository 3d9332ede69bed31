"""The decoder of Section 4.3.2: the clean image, from the feature of the occluded one."""

from torch import Tensor, nn


class Decoder(nn.Module):
    """Three deconvolutional layers on the shared feature h (Section 5.1).

    [paper] three deconvolutional layers; the target is the clean image. [decided] 4x4 kernels of stride 2 and padding
    1 with 256, 128 and 3 channels, batch norm and ReLU between, a sigmoid last, targets in [0, 1]. Each layer doubles
    the size exactly, so the picture is eight times the feature: 48, 88, 144 and 224 px are restored exactly.

    Args:
        feature_channels: channels of h.
    """

    def __init__(self, feature_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(feature_channels, 256, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(256, 128, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(128, 3, kernel_size=4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """The picture, `(B, 3, 8H, 8W)` in [0, 1], of features `(B, feature_channels, H, W)`."""
        picture: Tensor = self.layers(features)
        return picture
