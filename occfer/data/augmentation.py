"""Paired augmentation: drawn once for a pair, applied to its clean and its occluded image alike.

Every operation changes each pixel by itself, moves all pixels together, or hides the same rectangle, so a pair whose
images are equal outside the mask stays equal outside the mask that is moved with it. Sampling needs a generator;
applying is pure.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_LUMA = (0.299, 0.587, 0.114)

# The rectangles of "Random Erasing Data Augmentation" (Zhong et al. 2020): share of the picture, and height to width.
ERASED_SHARES = (0.02, 0.33)
ERASED_RATIOS = (0.3, 1 / 0.3)

_LATER_NUMBERS = 11  # per pair: the uniform numbers of which `_draw_later` makes its operations


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may be done to a pair.

    Attributes:
        flip: mirror half of the pairs, left to right.
        crop_px: shift each pair by at most this many pixels in x and in y; the border is repeated.
        colour: brightness, contrast and saturation change by factors between 1 - `colour` and 1 + `colour`.
        rotate_deg: turn each pair by at most this angle, either way, about the centre; the border is repeated.
        scale: enlarge or shrink each pair by a factor between 1 - `scale` and 1 + `scale`; the border is repeated.
        grey_share: share of the pairs that lose their colours.
        erase_share: share of the pairs in which a rectangle gets one random colour.
    """

    flip: bool = True
    crop_px: int = 0
    colour: float = 0.0
    rotate_deg: float = 0.0
    scale: float = 0.0
    grey_share: float = 0.0
    erase_share: float = 0.0

    @property
    def only_flips(self) -> bool:
        """Whether a pair has at most two appearances, so that the teacher's answers can be cached."""
        return self == Augmentation(flip=self.flip)


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """What is done to each pair of a batch; the operations that are None are switched off.

    Attributes:
        flip: `(B,)` bool.
        shift_yx: `(B, 2)` int64, pixels.
        factors: `(B, 3)` float32: brightness, contrast, saturation; 1 changes nothing.
        turn: `(B, 2)` float32: the angle in radians (counter-clockwise), and the factor of growth.
        grey: `(B,)` bool.
        erased: `(B, 7)` float32: top, left, bottom and right of a rectangle in [0, 1], and its red, green and blue;
            a rectangle without area changes nothing.
    """

    flip: Tensor
    shift_yx: Tensor
    factors: Tensor
    turn: Tensor | None = None
    grey: Tensor | None = None
    erased: Tensor | None = None

    def part(self, pairs: slice) -> "Draw":
        """The draw of some pairs of the batch."""
        return self._each(lambda tensor: tensor[pairs])

    def to(self, device: torch.device) -> "Draw":
        """The same draw on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def __reduce__(self) -> tuple[Any, ...]:
        """What is sent to another process: a few bytes, where each tensor would be a piece of shared memory."""
        tensors = (getattr(self, each.name) for each in fields(self))
        return _of_arrays, tuple(None if tensor is None else tensor.numpy() for tensor in tensors)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Draw":
        tensors = {each.name: getattr(self, each.name) for each in fields(self)}
        changed: dict[str, Any] = {name: None if tensor is None else change(tensor) for name, tensor in tensors.items()}
        return Draw(**changed)


def _of_arrays(*arrays: "np.ndarray[Any, Any] | None") -> Draw:
    tensors: list[Any] = [None if array is None else torch.from_numpy(array) for array in arrays]
    return Draw(*tensors)


def sample(augmentation: Augmentation, count: int, rng: np.random.Generator, later: np.random.Generator) -> Draw:
    """Draws for `count` pairs.

    Args:
        augmentation: what may be done.
        count: number of pairs.
        rng: of flips, shifts and colours.
        later: of the other operations, which version 0.1 did not have: a stream of its own, so that they change neither
            the draws of that version nor what else is drawn from `rng`. Switching one of them off leaves the others as
            they are.
    """
    flips = rng.random(count) < 0.5
    shifts = rng.integers(-augmentation.crop_px, augmentation.crop_px + 1, size=(count, 2))
    factors = 1 + augmentation.colour * rng.uniform(-1, 1, size=(count, 3))
    first = Draw(
        torch.from_numpy(flips & augmentation.flip),
        torch.from_numpy(shifts.astype(np.int64)),
        torch.from_numpy(factors.astype(np.float32)),
    )
    return _draw_later(first, augmentation, later.random((count, _LATER_NUMBERS)))


def _draw_later(first: Draw, augmentation: Augmentation, uniform: np.ndarray) -> Draw:
    turn = grey = erased = None
    angle, growth, is_grey, is_erased, share, ratio, top, left = uniform[:, :8].T
    if augmentation.rotate_deg or augmentation.scale:
        angles = np.radians(augmentation.rotate_deg) * (2 * angle - 1)
        turn = _float32(np.stack([angles, 1 + augmentation.scale * (2 * growth - 1)], axis=1))
    if augmentation.grey_share:
        grey = torch.from_numpy(is_grey < augmentation.grey_share)
    if augmentation.erase_share:
        shares = np.interp(share, (0, 1), ERASED_SHARES) * (is_erased < augmentation.erase_share)
        ratios = np.exp(np.interp(ratio, (0, 1), np.log(ERASED_RATIOS)))
        height, width = np.minimum(np.sqrt(shares * ratios), 1), np.minimum(np.sqrt(shares / ratios), 1)
        top, left = top * (1 - height), left * (1 - width)
        erased = _float32(np.column_stack([top, left, top + height, left + width, uniform[:, 8:]]))
    return replace(first, turn=turn, grey=grey, erased=erased)


def _float32(numbers: np.ndarray) -> Tensor:
    return torch.from_numpy(numbers.astype(np.float32))


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
    if draw.turn is not None:
        images = _turn(images, draw.turn)
    if augmentation.colour:
        images = _recolour(images, draw.factors)
    if draw.grey is not None:
        images = torch.where(draw.grey.view(-1, 1, 1, 1), _grey(images), images)
    if draw.erased is not None:
        images = _erase(images, draw.erased)
    return images


def _shift(images: Tensor, shift_yx: Tensor) -> Tensor:
    count, _, height, width = images.shape
    y = (torch.arange(height, device=images.device) + shift_yx[:, :1]).clamp(0, height - 1)
    x = (torch.arange(width, device=images.device) + shift_yx[:, 1:]).clamp(0, width - 1)
    batch = torch.arange(count, device=images.device).view(-1, 1, 1)
    # Advanced indices around a slice put the channels last.
    return images[batch, :, y.unsqueeze(2), x.unsqueeze(1)].permute(0, 3, 1, 2)


def _turn(images: Tensor, turn: Tensor) -> Tensor:
    """Rotates and scales square images about their centres, with bilinear interpolation."""
    angle, growth = turn[:, 0], turn[:, 1]
    cosine, sine = angle.cos() / growth, angle.sin() / growth
    zero = torch.zeros_like(angle)
    # From a pixel of the result to its place in the image, so a face that grows is sampled more densely.
    to_source = torch.stack([cosine, -sine, zero, sine, cosine, zero], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(to_source, list(images.shape), align_corners=False)
    # Places outside are moved onto the border here, as not every device knows the padding mode that would do it.
    most = 1 - 1 / images.shape[-1]
    return F.grid_sample(images, grid.clamp(-most, most), align_corners=False).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    return (images * images.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _recolour(images: Tensor, factors: Tensor) -> Tensor:
    brightness, contrast, saturation = (factors[:, index].view(-1, 1, 1, 1) for index in range(3))
    grey = _grey(images)
    saturated = grey + (images - grey) * saturation
    # Contrast is relative to mid-grey: the image's mean would differ between a clean and an occluded image.
    return ((saturated * brightness - 0.5) * contrast + 0.5).clamp(0, 1)


def _erase(images: Tensor, erased: Tensor) -> Tensor:
    count, _, height, width = images.shape
    top, left, bottom, right = (erased[:, index].view(-1, 1) for index in range(4))
    y = (torch.arange(height, device=images.device) + 0.5) / height
    x = (torch.arange(width, device=images.device) + 0.5) / width
    rows, columns = (top <= y) & (y < bottom), (left <= x) & (x < right)
    inside = rows.view(count, 1, height, 1) & columns.view(count, 1, 1, width)
    return torch.where(inside, erased[:, 4:].view(count, 3, 1, 1), images)
