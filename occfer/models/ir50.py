"""IR-50: the residual network of face recognition with an ArcFace loss (Deng et al. 2019, arXiv:1801.07698).

Its tensors have the names under which such weights are passed on (`input_layer`, `body.0` to `body.23`), so those files
fit. It is made for 112 px faces, whose pixels are normalised to [-1, 1]. The embedding of face recognition
(`output_layer`: 512 x 7 x 7 numbers to 512) is left out, since it takes 112 px alone; a linear layer on the averaged
map takes its place [decided].
"""

from torch import Tensor, nn

# Blocks of each stage and their channels. The first block of a stage halves the size.
STAGES = ((3, 64), (4, 128), (14, 256), (3, 512))


class IRBlock(nn.Module):
    """A residual block without an activation after the sum: norm, convolution, PReLU, convolution with stride, norm."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module
        if channels == width:
            self.shortcut_layer = nn.MaxPool2d(1, stride)  # takes every second pixel where the stride is 2
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """`(B, width, ceil(H/stride), ceil(W/stride))` of maps `(B, channels, H, W)`."""
        total: Tensor = self.res_layer(maps) + self.shortcut_layer(maps)
        return total


class IR50(nn.Module):
    """The network with random weights and 1000 outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        blocks: list[nn.Module] = []
        channels = 64
        for count, width in STAGES:
            for index in range(count):
                blocks.append(IRBlock(channels, width, stride=2 if index == 0 else 1))
                channels = width
        self.body = nn.Sequential(*blocks)
        self.fc = nn.Linear(channels, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, images: Tensor) -> Tensor:
        """Outputs `(B, 1000)` of normalised images `(B, 3, H, W)`."""
        outputs: Tensor = self.fc(self.body(self.input_layer(images)).mean(dim=(2, 3)))
        return outputs
