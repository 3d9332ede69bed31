"""What the landmark detector gets to see of an image: scaled, cropped and padded pixels, and the way back."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.errors import SourceError
from occsynth.pixels.images import Pixels

FaceBox = tuple[float, float, float, float]
"""Left, top, right, bottom of a face, source pixels."""

GREY = 128
MIN_SIDE_PX = 256
MAX_SIDE_PX = 1280
_PADDING_FRACTION = 0.4
_BOX_MARGIN_FRACTION = 0.4


@dataclass(frozen=True, slots=True)
class DetectorView:
    """Pixels as the detector sees them, and where they lie in the source.

    Attributes:
        pixels: `(H, W, 3)` uint8.
        start_xy: the view's top left corner, in source pixels counted from the source's top left corner.
        extent_xy: size of the view in source pixels.
    """

    pixels: Pixels
    start_xy: npt.NDArray[np.float64]
    extent_xy: npt.NDArray[np.float64]

    def to_source(self, normalised: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """MediaPipe's points, which go from 0 to 1 between the edges of the view, as source pixels."""
        # minus 0.5: our pixel centres are whole numbers, so the outer corner of the source lies at (-0.5, -0.5)
        return normalised * self.extent_xy + self.start_xy - 0.5


def scaled_view(pixels: Pixels, start_xy: npt.NDArray[np.float64]) -> DetectorView:
    """The pixels enlarged to `MIN_SIDE_PX` on the shorter side, or reduced to `MAX_SIDE_PX` on the longer one.

    Args:
        pixels: `(H, W, 3)` uint8, a part of the source at its original scale.
        start_xy: see `DetectorView`.
    """
    height, width = pixels.shape[:2]
    scale = min(max(1.0, MIN_SIDE_PX / min(width, height)), MAX_SIDE_PX / max(width, height))
    view_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    if view_wh != (width, height):
        # these two give the same pixels on every machine, and so the detector the same input
        method = cv2.INTER_LINEAR if scale > 1.0 else cv2.INTER_AREA
        pixels = np.asarray(cv2.resize(pixels, view_wh, interpolation=method), np.uint8)
    return DetectorView(pixels, start_xy, np.array([width, height], np.float64))


def padded_view(view: DetectorView) -> DetectorView:
    """The view with a grey border of 0.4 of its sides, since the detector misses faces that fill the picture."""
    height, width = view.pixels.shape[:2]
    border_xy = np.array([round(_PADDING_FRACTION * width), round(_PADDING_FRACTION * height)])
    step_xy = view.extent_xy / (width, height)
    pixels = _grey_border(view.pixels, border_xy[1], border_xy[1], border_xy[0], border_xy[0])
    return DetectorView(pixels, view.start_xy - border_xy * step_xy, view.extent_xy + 2 * border_xy * step_xy)


def _grey_border(pixels: Pixels, top: int, bottom: int, left: int, right: int) -> Pixels:
    grey = (GREY, GREY, GREY)
    return np.asarray(
        cv2.copyMakeBorder(pixels, int(top), int(bottom), int(left), int(right), cv2.BORDER_CONSTANT, value=grey),
        np.uint8,
    )


def crop_box(rgb: Pixels, box_xyxy: FaceBox) -> tuple[Pixels, npt.NDArray[np.float64]]:
    """Cuts out the box with a margin of 0.4 of its sides; what lies outside the image is grey.

    Returns:
        the pixels, and their `start_xy` (see `DetectorView`).

    Raises:
        SourceError: the box is malformed or outside the image.
    """
    height, width = rgb.shape[:2]
    box = np.asarray(box_xyxy, np.float64)
    if box.shape != (4,) or not np.isfinite(box).all() or not (box[2:] > box[:2]).all():
        raise SourceError(f"face box {box_xyxy} must be left, top, right, bottom with left < right and top < bottom")
    if box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0:
        raise SourceError(f"face box {box_xyxy} lies outside the image of {width} x {height} pixels")
    margin = _BOX_MARGIN_FRACTION * (box[2:] - box[:2])
    # a box from a damaged table may be far larger than the image, and its crop would fill the memory with grey
    low = np.maximum(np.floor(box[:2] - margin), (-width, -height)).astype(int)
    high = np.minimum(np.ceil(box[2:] + margin), (2 * width, 2 * height)).astype(int)
    inside_low, inside_high = np.maximum(low, 0), np.minimum(high, (width, height))
    part = rgb[inside_low[1] : inside_high[1], inside_low[0] : inside_high[0]]
    before, after = inside_low - low, high - inside_high
    return _grey_border(part, before[1], after[1], before[0], after[0]), low.astype(np.float64)


def box_area(points_xy: npt.NDArray[np.float64]) -> float:
    """Area of the smallest upright box around the points, square pixels."""
    return float(np.prod(np.ptp(points_xy, axis=0)))


def box_overlap(points_xy: npt.NDArray[np.float64], box_xyxy: FaceBox) -> float:
    """Intersection over union of the smallest upright box around the points and the given box."""
    low, high = points_xy.min(axis=0), points_xy.max(axis=0)
    box = np.asarray(box_xyxy, np.float64)
    common = float(np.prod(np.maximum(0.0, np.minimum(high, box[2:]) - np.maximum(low, box[:2]))))
    union = float(np.prod(high - low)) + float(np.prod(box[2:] - box[:2])) - common
    return common / union if union > 0.0 else 0.0
