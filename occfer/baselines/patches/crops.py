"""Cutting patches out of a feature map."""

import torch
from torch import Tensor

PATCH_SIDE = 6  # cells of the map
STRIDE_PX = 8  # pixels of the input per cell


def crop_patches(features: Tensor, centres_xy: Tensor) -> Tensor:
    """`(B, P, C, 6, 6)`: patches of a map, copied cell by cell (without pooling); zero outside the map.

    A patch starts at round(x / 8 - 3), halves away from zero, as in the authors' layer.

    Args:
        features: `(B, C, H, W)`, finite.
        centres_xy: `(B, P, 2)` int64, pixels of the network's input; may lie outside.
    """
    batch, channels, height, width = features.shape
    eighths = centres_xy - PATCH_SIDE // 2 * STRIDE_PX
    start_xy = eighths.sign() * ((eighths.abs() + STRIDE_PX // 2) // STRIDE_PX)
    cells = start_xy.unsqueeze(2) + torch.arange(PATCH_SIDE, device=features.device).view(-1, 1)
    x, y = cells[..., 0].unsqueeze(2), cells[..., 1].unsqueeze(3)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    wanted = torch.where(inside, y * width + x, -1).reshape(batch, 1, -1)
    # A product with a 0/1 matrix, not indexing: on a GPU the gradient of an index is summed by atomic additions, whose
    # order, and so whose rounding, differs from run to run.
    chosen = wanted == torch.arange(height * width, device=features.device).view(1, -1, 1)
    patches = features.flatten(2) @ chosen.to(features.dtype)
    return patches.view(batch, channels, -1, PATCH_SIDE, PATCH_SIDE).transpose(1, 2)
