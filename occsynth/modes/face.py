"""What a mode knows when it samples: the clean face with its regions, and the choices of the build."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.compose import Fill
from occsynth.face_regions import eyes_hull, face_oval, mouth_hull, region_mask
from occsynth.images import Pixels
from occsynth.templates import CATEGORIES, TemplatePack

REGIONS = ("face", "eyes", "mouth")


class Face:
    """A clean face and where its regions lie.

    Attributes:
        pixels: `(H, W, 3)` uint8 RGB.
        points_xy: `(478, 2)` mesh points in its pixels.
    """

    def __init__(self, pixels: Pixels, points_xy: npt.NDArray[np.floating]) -> None:
        self.pixels = pixels
        self.points_xy = points_xy

    @property
    def wh(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def side_px(self) -> int:
        """The shorter side of the picture: an aligned face fills it."""
        return min(self.wh)

    @cached_property
    def hulls(self) -> dict[str, npt.NDArray[np.float32]]:
        """Polygons of face, eyes (with brows) and mouth in pixels."""
        points = self.points_xy
        return {"face": face_oval(points), "eyes": eyes_hull(points), "mouth": mouth_hull(points)}

    @cached_property
    def region_pixels_xy(self) -> dict[str, npt.NDArray[np.int64]]:
        """`(N, 2)` whole pixels of each region inside the picture; N may be 0."""
        found = {}
        for name, hull in self.hulls.items():
            ys, xs = np.nonzero(region_mask(hull, self.wh))
            found[name] = np.stack([xs, ys], axis=1)
        return found

    @cached_property
    def width_px(self) -> float:
        """Width of the face oval."""
        xs = self.hulls["face"][:, 0]
        return float(xs.max() - xs.min())

    @cached_property
    def centre_xy(self) -> tuple[float, float]:
        """Centre of the face oval's box, moved into the picture."""
        box = self.hulls["face"]
        middle = (box.min(axis=0) + box.max(axis=0)) / 2
        return (
            float(np.clip(middle[0], 0, self.wh[0] - 1)),
            float(np.clip(middle[1], 0, self.wh[1] - 1)),
        )

    @cached_property
    def mean_rgb(self) -> tuple[int, int, int]:
        """Mean colour of the face's pixels (of the picture, where the face lies outside), rounded."""
        inside = self.region_pixels_xy["face"]
        pixels = self.pixels[inside[:, 1], inside[:, 0]] if len(inside) else self.pixels.reshape(-1, 3)
        sums = pixels.sum(axis=0, dtype=np.int64)
        red, green, blue = ((int(total) + len(pixels) // 2) // len(pixels) for total in sums)
        return red, green, blue

    def coverage(self, alpha: npt.NDArray[np.uint8], threshold: int) -> dict[str, float]:
        """Share of each region's pixels with at least that alpha, rounded to six places; 0 for an empty region."""
        hidden = alpha >= threshold
        return {
            name: round(float(hidden[inside[:, 1], inside[:, 0]].mean()), 6) if len(inside) else 0.0
            for name, inside in self.region_pixels_xy.items()
        }


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose for all faces of a build.

    Attributes:
        pack: None where no fill or mode needs templates.
        colour_match: pull a template's brightness half-way towards the face's.
        shadow: a contact shadow under templates.
    """

    pack: TemplatePack | None
    fill: Fill = "template"
    categories: tuple[str, ...] = CATEGORIES
    colour_match: bool = False
    shadow: bool = False


def long_axis_deg(hull_xy: npt.NDArray[np.floating]) -> float:
    """Direction of a polygon's longest side after a minimal box is laid around it, in (-90, 90]."""
    (_, _), (width, height), angle = cv2.minAreaRect(hull_xy.astype(np.float32))
    turned = angle if width >= height else angle + 90
    return (turned + 90) % 180 - 90
