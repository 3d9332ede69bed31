"""What a mode draws from: the clean face with its regions, and what the user chose for the build."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.faces.regions import eyes_hull, face_oval, mouth_hull, region_mask
from occsynth.modes.measures import Measures, edge_blur_px, is_grey, measured
from occsynth.option_values import CATEGORIES, Fill, Look, SquareAt, TemplateSplit
from occsynth.pixels.images import Pixels
from occsynth.templates.pack import TemplatePack

_POINT_DRAWS = 100


class Regions:
    """Where a face and its regions lie in a picture.

    Attributes:
        points_xy: `(478, 2)` mesh points in pixels of the picture.
        wh: width and height of the picture in pixels.
    """

    def __init__(self, points_xy: npt.NDArray[np.floating], wh: tuple[int, int]) -> None:
        self.points_xy = points_xy
        self.wh = wh

    @cached_property
    def hulls(self) -> dict[str, npt.NDArray[np.float32]]:
        """Polygons of face, eyes (with brows) and mouth in pixels."""
        points = self.points_xy
        return {"face": face_oval(points), "eyes": eyes_hull(points), "mouth": mouth_hull(points)}

    @cached_property
    def masks(self) -> dict[str, Pixels]:
        """`(H, W)` uint8, 1 inside each region and the picture."""
        return {name: region_mask(hull, self.wh) for name, hull in self.hulls.items()}

    def pixels_of(self, region: str) -> npt.NDArray[np.float64]:
        """`(2, N)` x and y of a region's pixels inside the picture; N may be 0."""
        found = cv2.findNonZero(self.masks[region])
        return np.empty((2, 0)) if found is None else found.reshape(-1, 2).T.astype(np.float64)

    @cached_property
    def width_px(self) -> float:
        """Width of the face oval in pixels."""
        xs = self.hulls["face"][:, 0]
        return float(xs.max() - xs.min())

    @cached_property
    def centre_xy(self) -> tuple[float, float]:
        """Centre of the part of the face oval's box that lies in the picture."""
        (x0, y0), (x1, y1) = self._face_box
        return (x0 + x1) / 2, (y0 + y1) / 2

    @cached_property
    def _face_box(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Low and high corner of the face oval's box, cut to the picture."""
        oval = self.hulls["face"]
        limit = np.array(self.wh) - 1
        low, high = np.clip(oval.min(axis=0), 0, limit).tolist(), np.clip(oval.max(axis=0), 0, limit).tolist()
        return (low[0], low[1]), (high[0], high[1])

    def random_point(self, rng: np.random.Generator) -> tuple[float, float]:
        """A uniformly random point of the face inside the picture; the centre if 100 draws all miss the face."""
        (x0, y0), (x1, y1) = self._face_box
        for _ in range(_POINT_DRAWS):
            x, y = uniform(rng, x0, x1), uniform(rng, y0, y1)
            if cv2.pointPolygonTest(self.hulls["face"], (x, y), False) >= 0:
                return x, y
        return self.centre_xy

    def coverage(self, alpha: Pixels, threshold: int) -> dict[str, float]:
        """Share of each region's pixels with at least that alpha, rounded to six places; 0 for an empty region."""
        _, hidden = cv2.threshold(alpha, threshold - 1, 1, cv2.THRESH_BINARY)
        shares = {}
        for name, mask in self.masks.items():
            total, covered = cv2.countNonZero(mask), cv2.countNonZero(cv2.bitwise_and(hidden, mask))
            shares[name] = round(covered / total, 6) if total else 0.0
        return shares


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """The number that `float(rng.uniform(low, high))` would draw, in a fraction of the time."""
    return low + (high - low) * rng.random()


class Face:
    """A clean face.

    Attributes:
        pixels: `(H, W, 3)` uint8 RGB.
        regions: where its regions lie.
    """

    def __init__(self, pixels: Pixels, regions: Regions) -> None:
        self.pixels = pixels
        self.regions = regions

    @classmethod
    def with_points(cls, pixels: Pixels, points_xy: npt.NDArray[np.floating]) -> "Face":
        """A face with `(478, 2)` mesh points in its own pixels."""
        return cls(pixels, Regions(points_xy, (pixels.shape[1], pixels.shape[0])))

    @property
    def wh(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        return self.regions.wh

    @property
    def side_px(self) -> int:
        """The shorter side of the picture: an aligned face fills it."""
        return min(self.wh)

    @cached_property
    def mean_rgb(self) -> tuple[int, int, int]:
        """Mean colour of the face's pixels, rounded; of the whole picture if the face lies outside."""
        mask = self.regions.masks["face"]
        red, green, blue, _ = cv2.mean(self.pixels, mask if mask.any() else None)
        return round(red), round(green), round(blue)

    @cached_property
    def is_grey(self) -> bool:
        """Whether the picture is grey or nearly so, see `occsynth.modes.measures.is_grey`."""
        return is_grey(self.pixels)

    @cached_property
    def measures(self) -> Measures:
        """Measures of the face's pixels; of the whole picture if the face lies outside."""
        return measured(self.pixels, self.regions.masks["face"] > 0, self.side_px)

    @cached_property
    def edge_blur_px(self) -> float:
        """How blurred the steepest edges of the picture are, see `occsynth.modes.measures.edge_blur_px`."""
        return edge_blur_px(np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), np.uint8))


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose for all faces of a build.

    Attributes:
        pack: the template pack; None if the fill needs no templates.
        fill: what hides the face.
        categories: template categories to draw from.
        colour_match: pull a template's brightness half-way towards the face's.
        shadow: a contact shadow under templates.
        keep_colour: leave templates and noise on grey faces coloured.
        look: how templates look, see `occsynth.modes.look`; `natural` decides brightness and shadow by itself.
        square_at: where the squares of r8, r16 and r24 lie.
        template_split: which templates of the pack are drawn, see `occsynth.templates.split`.
    """

    pack: TemplatePack | None
    fill: Fill = "template"
    categories: tuple[str, ...] = CATEGORIES
    colour_match: bool = False
    shadow: bool = False
    keep_colour: bool = False
    look: Look = "pasted"
    square_at: SquareAt = "picture"
    template_split: TemplateSplit = "all"


def long_axis_deg(hull_xy: npt.NDArray[np.floating]) -> float:
    """Direction of the longer side of the smallest box around a polygon, turned or not, in (-90, 90]."""
    (_, _), (width, height), angle = cv2.minAreaRect(hull_xy.astype(np.float32))
    turned = angle if width >= height else angle + 90
    return (turned + 90) % 180 - 90
