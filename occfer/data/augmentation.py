"""Paired augmentation: drawn once for a pair, applied to its clean and its occluded image alike.

Every operation changes each pixel by itself or moves all pixels together, so a pair whose images are equal outside the
mask stays equal there. Sampling needs a generator; applying is pure.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may be done to a pair.

    Attributes:
        flip: mirror half of the pairs, left to right.
        crop_px: shift each pair by at most this many pixels in x and in y; the border is repeated.
        colour: brightness, contrast and saturation change by factors between 1 - `colour` and 1 + `colour`.
    """

    flip: bool = True
    crop_px: int = 0
    colour: float = 0.0

    @property
    def only_flips(self) -> bool:
        """Whether a pair has at most two appearances, so that the teacher's answers can be cached."""
        return self.crop_px == 0 and self.colour == 0


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """What is done to each pair of a batch.

    Attributes:
        flip: `(B,)` bool.
        shift_yx: `(B, 2)` int64, pixels.
        factors: `(B, 3)` float32: brightness, contrast, saturation; 1 changes nothing.
    """

    flip: Tensor
    shift_yx: Tensor
    factors: Tensor

    def part(self, pairs: slice) -> "Draw":
        """The draw of some pairs of the batch."""
        return Draw(self.flip[pairs], self.shift_yx[pairs], self.factors[pairs])

    def to(self, device: torch.device) -> "Draw":
        """The same draw on a device."""
        flip, shift_yx, factors = (
            part.to(device, non_blocking=True) for part in (self.flip, self.shift_yx, self.factors)
        )
        return Draw(flip, shift_yx, factors)


def sample(augmentation: Augmentation, count: int, rng: np.random.Generator) -> Draw:
    """Draws for `count` pairs.

    All three are always drawn, so that switching one off leaves the others as they are.
    """
    flips = rng.random(count) < 0.5
    shifts = rng.integers(-augmentation.crop_px, augmentation.crop_px + 1, size=(count, 2))
    factors = 1 + augmentation.colour * rng.uniform(-1, 1, size=(count, 3))
    return Draw(
        torch.from_numpy(flips & augmentation.flip),
        torch.from_numpy(shifts.astype(np.int64)),
        torch.from_numpy(factors.astype(np.float32)),
    )


def apply(images: Tensor, draw: Draw, augmentation: Augmentation) -> Tensor:
    """Augmented images.

    Args:
        images: `(B, 3, H, W)` float32 in [0, 1]; they are not changed.
        draw: of B pairs, on the images' device.
        augmentation: the one that the draw was made with; operations that are switched off are skipped.

    Returns:
        `(B, 3, H, W)` float32 in [0, 1].
    """
    if augmentation.flip:
        images = torch.where(draw.flip.view(-1, 1, 1, 1), images.flip(3), images)
    if augmentation.crop_px:
        images = _shift(images, draw.shift_yx)
    if augmentation.colour:
        images = _recolour(images, draw.factors)
    return images


def _shift(images: Tensor, shift_yx: Tensor) -> Tensor:
    count, _, height, width = images.shape
    y = (torch.arange(height, device=images.device) + shift_yx[:, :1]).clamp(0, height - 1)
    x = (torch.arange(width, device=images.device) + shift_yx[:, 1:]).clamp(0, width - 1)
    batch = torch.arange(count, device=images.device).view(-1, 1, 1)
    # Advanced indices around a slice put the channels last.
    return images[batch, :, y.unsqueeze(2), x.unsqueeze(1)].permute(0, 3, 1, 2)


def _recolour(images: Tensor, factors: Tensor) -> Tensor:
    brightness, contrast, saturation = (factors[:, index].view(-1, 1, 1, 1) for index in range(3))
    grey = (images * images.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    saturated = grey + (images - grey) * saturation
    # Contrast is relative to mid-grey: the image's mean would differ between a clean and an occluded image.
    return ((saturated * brightness - 0.5) * contrast + 0.5).clamp(0, 1)
