"""Gated units: the feature of a patch (or of the whole face), times a gate that says how far it can be trusted."""

from torch import Tensor, nn

GATE_WIDTHS = (128, 64)


class GatedFeatures(nn.Module):
    """The gates and features of several maps at once. Weights are not shared: unit i sees only map i.

    Gate: 2x2 maximum, conv1x1-128 pad 1, batch norm, ReLU, global average, fc64, batch norm, ReLU, fc1, batch norm with
    affine, sigmoid. Feature: fc over the flattened map, ReLU, times the gate. (The authors' prototxt.)

    Every layer is a grouped convolution with one group per unit; the fc layer is a convolution over the whole map.

    Args:
        units: number of units.
        channels, side: of each map.
        width: of each feature.
        gate_widths: of the gate's two layers.
    """

    def __init__(
        self, units: int, channels: int, side: int, width: int, gate_widths: tuple[int, int] = GATE_WIDTHS
    ) -> None:
        super().__init__()
        first, second = (units * each for each in gate_widths)
        self.gate = nn.Sequential(
            nn.MaxPool2d(2),
            nn.Conv2d(units * channels, first, 1, padding=1, groups=units),
            nn.BatchNorm2d(first, affine=False),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(first, second, 1, groups=units),
            nn.BatchNorm2d(second, affine=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(second, units, 1, groups=units),
            nn.BatchNorm2d(units),
            nn.Sigmoid(),
        )
        self.feature = nn.Sequential(nn.Conv2d(units * channels, units * width, side, groups=units), nn.ReLU())
        self._units = units

    def gates(self, maps: Tensor) -> Tensor:
        """`(B, units)` in (0, 1) of maps `(B, units * channels, side, side)`."""
        gates: Tensor = self.gate(maps)
        return gates.flatten(1)

    def forward(self, maps: Tensor) -> Tensor:
        """`(B, units, width)`, at least 0, of maps `(B, units * channels, side, side)`."""
        features: Tensor = self.feature(maps)
        return features.view(len(maps), self._units, -1) * self.gates(maps).unsqueeze(2)


class PatchUnits(nn.Module):
    """The PG-Units: two conv3x3, each with batch norm (not affine) and ReLU, then `GatedFeatures`; nothing is shared.

    Args:
        units: number of patches; each has a unit of its own.
        channels: of a patch, and of the two convolutions.
        side: of a patch, in cells.
        width: of a unit's feature.
        gate_widths: see `GatedFeatures`.
    """

    def __init__(
        self, units: int, channels: int, side: int, width: int, gate_widths: tuple[int, int] = GATE_WIDTHS
    ) -> None:
        super().__init__()
        every = units * channels
        self.convolutions = nn.Sequential(
            nn.Conv2d(every, every, 3, padding=1, groups=units),
            nn.BatchNorm2d(every, affine=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(every, every, 3, padding=1, groups=units),
            nn.BatchNorm2d(every, affine=False),
            nn.ReLU(inplace=True),
        )
        self.gated = GatedFeatures(units, channels, side, width, gate_widths)

    def maps(self, patches: Tensor) -> Tensor:
        """`(B, units * channels, side, side)`, what gates and features are made from."""
        maps: Tensor = self.convolutions(patches.flatten(1, 2))
        return maps

    def gates(self, patches: Tensor) -> Tensor:
        """`(B, units)` in (0, 1): how far each of the patches `(B, units, channels, side, side)` is trusted."""
        return self.gated.gates(self.maps(patches))

    def forward(self, patches: Tensor) -> Tensor:
        """`(B, units, width)` gated features of patches `(B, units, channels, side, side)`, patch i by unit i."""
        features: Tensor = self.gated(self.maps(patches))
        return features


def init_msra(module: nn.Module) -> None:
    """He's initialisation, as in the authors' prototxt: normal with variance 2 / fan-in of one unit; biases 0."""
    for each in module.modules():
        if isinstance(each, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(each.weight, nonlinearity="relu")
            if each.bias is not None:
                nn.init.zeros_(each.bias)
