"""The networks' input: faces of any size, resized; in training a random part of them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from occfer.baselines.patches.network import INPUT_PX
from occfer.data.image_store import network_input

RESIZED_PX = 232  # side of the face that a training input is cut from (the authors' prototxt)
MOST_SHIFT_PX = RESIZED_PX - INPUT_PX


def resized(images: Tensor, side_px: int) -> Tensor:
    """`(B, 3, side_px, side_px)` float32 in [0, 1] of uint8 RGB images `(B, S, S, 3)`."""
    return F.interpolate(network_input(images), size=(side_px, side_px), mode="bilinear", antialias=True).clamp_(0, 1)


def cut(images: Tensor, shift_xy: Tensor) -> Tensor:
    """`(B, 3, 224, 224)`: the parts of images `(B, 3, 232, 232)` that begin at `shift_xy`, `(B, 2)` int64, 0 to 8."""
    side = torch.arange(INPUT_PX, device=images.device)
    x, y = (shift_xy[:, each : each + 1] + side for each in (0, 1))
    batch = torch.arange(len(images), device=images.device).view(-1, 1, 1)
    # Advanced indices around a slice put the channels last.
    return images[batch, :, y.unsqueeze(2), x.unsqueeze(1)].permute(0, 3, 1, 2)
