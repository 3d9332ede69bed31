"""Modes sunglasses and mask: what people wear, laid on the landmarks of the face where it is worn.

The templates' anchors (see `occsynth.templates.wear`) are laid on the face's landmarks: as a whole by the similarity of
least squared error, or triangle by triangle, so that cloth follows the face. All of this is our decision.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.errors import SourceError, TemplateError
from occsynth.faces.regions import fit_similarity
from occsynth.modes.face import Choices, Face, uniform
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.pieces import FARTHEST, UNIT, Pieces
from occsynth.modes.placement import draw_blending, reduced_wh
from occsynth.modes.plain import plain_hull
from occsynth.pixels.warp import into_resized, invert
from occsynth.templates.pack import Template, TemplatePack
from occsynth.templates.sprites import Polygon
from occsynth.templates.wear import ANCHORS, Wear, WearKind, mirrored

_SCALE = (0.97, 1.05)
_SHIFT_OF_WIDTH = 0.015
"""How much larger and how far from its place a template is at most, so that none sits the same on two faces."""

_MARGIN = 1.02
"""How far the outermost corners of the triangles lie beyond the template, so that its edge stays whole."""

_SMALLEST_OF_TEMPLATE = 0.1
"""Share of a template's box that its anchors must span if it follows the face in pieces."""

_SMALLEST_TRIANGLE_PX = 0.5  # twice its area

_EDGE_ON = 0.2
"""Triangles that are shrunk by more than this share of the median are hardly seen, and are left out."""

_HIDDEN_BY = {
    "sunglasses": (70, 63, 105, 107, 336, 334, 293, 300, 356, 346, 347, 118, 117, 127),
    "mask": (
        *(197, 118, 117, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
        *(377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 346, 347),
    ),
}
"""Mesh points around what sunglasses and masks hide."""


@dataclass(frozen=True, slots=True, init=False)
class Worn:
    """Draws something of some kinds of wear; a plain fill hides what the first kind would hide."""

    kinds: tuple[WearKind, ...]

    def __init__(self, *kinds: WearKind) -> None:
        object.__setattr__(self, "kinds", kinds)

    def sample(self, rng: np.random.Generator, face: Face, choices: Choices, noise: str) -> Occlusion:
        """A random kind, a random template of it, worn."""
        if choices.fill != "template":
            points = face.regions.points_xy[list(_HIDDEN_BY[self.kinds[0]])]
            hull = np.asarray(cv2.convexHull(points.astype(np.float32)), np.float32).reshape(-1, 2)
            return plain_hull(hull, face, choices.fill, noise)
        if choices.pack is None:
            raise TemplateError("fill 'template' needs a template pack")
        groups = choices.pack.worn_groups(self.kinds, split=choices.template_split)
        templates = groups[int(rng.integers(len(groups)))]
        return worn(rng, choices.pack, templates[int(rng.integers(len(templates)))], face, choices)


def worn(rng: np.random.Generator, pack: TemplatePack, template: Template, face: Face, choices: Choices) -> Occlusion:
    """The record of a template that is worn; mirrored or not, a little larger or smaller, and shifted a little.

    Raises:
        TemplateError: the template is not worn, or its anchors are all at one place or, for pieces, on a line.
    """
    if template.wear is None:
        raise TemplateError(f"{template.file} is not worn: wear.csv has no line for it")
    sprite = pack.sprite(template.file)
    blending = draw_blending(rng, sprite, face, choices)
    places = _places(rng, template.wear, face)
    start = np.array([(x, y) for _, x, y in template.wear.anchors])
    flip = places.mirror
    turned = start * (-1, 1) if flip else start
    try:
        matrix = fit_similarity(turned, places.points_xy)
        mesh = _mesh(template.wear.anchors, sprite.opaque_hull_xy) if template.wear.fit == "pieces" else None
    except SourceError as error:
        raise TemplateError(f"{template.file} cannot be worn: {error}") from error
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    wh = reduced_wh(sprite.wh, scale)
    side = -1.0 if flip else 1.0
    (a, b, c), (d, e, f) = matrix.tolist()
    forward = (a * side, b, c, d * side, e, f)
    pieces = _pieces(mesh, places.points_xy, sprite.wh, wh) if mesh else None
    return Occlusion(
        fill="template",
        template=template.file,
        template_sha256=pack.file_sha256(template.file),
        category=template.category,
        sprite_wh=wh,
        affine=into_resized(invert(forward), sprite.wh, wh) if pieces is None else None,
        pieces=pieces,
        feather_px=blending.feather_px,
        gain_rgb=blending.gain_rgb,
        shadow=blending.shadow,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where a template's anchors belong on a face: `(N, 2)` pixels; mirrored, those of the left lie on the right."""

    mirror: bool
    points_xy: npt.NDArray[np.float64]


def _places(rng: np.random.Generator, wear: Wear, face: Face) -> _Places:
    mirror = bool(rng.integers(2))
    names = [mirrored(name) if mirror else name for name, _, _ in wear.anchors]
    points = face.regions.points_xy[[ANCHORS[name] for name in names]].astype(np.float64)
    middle = points.mean(axis=0)
    scale = uniform(rng, *_SCALE)
    reach = _SHIFT_OF_WIDTH * face.regions.width_px
    shift = np.array([uniform(rng, -reach, reach), uniform(rng, -reach, reach)])
    return _Places(mirror, middle + (points - middle) * scale + shift)


def _pieces(
    mesh: "_Mesh", points_xy: npt.NDArray[np.float64], sprite_wh: tuple[int, int], reduced: tuple[int, int]
) -> Pieces:
    """The triangles between the anchors and a ring around the template, as they lie on the face.

    Triangles that are turned over on the face or seen edge-on, as on the far side of a turned head, are left out.
    """
    ratio = np.array(reduced) / np.array(sprite_wh)
    on_sprite = (mesh.corners_xy + 0.5) * ratio - 0.5
    rim = points_xy[list(mesh.rim)]
    middle = rim.mean(axis=0)
    on_face = np.concatenate([points_xy, middle + (rim - middle) * mesh.reach])
    growth = [_area(on_face[list(each)]) / _area(mesh.corners_xy[list(each)]) for each in mesh.triangles]
    seen = float(np.median(growth)) * _EDGE_ON
    kept = [each for each, by in zip(mesh.triangles, growth, strict=True) if by * seen > seen * seen]
    return Pieces(_fixed(on_face), _fixed(on_sprite), tuple(kept or mesh.triangles))


def _fixed(points_xy: npt.NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    whole = np.rint(points_xy * UNIT).clip(-FARTHEST, FARTHEST).astype(np.int64)
    return tuple((int(x), int(y)) for x, y in whole)


def _area(triangle_xy: npt.NDArray[np.float64]) -> float:
    (ax, ay), (bx, by) = triangle_xy[1] - triangle_xy[0], triangle_xy[2] - triangle_xy[0]
    return float(ax * by - ay * bx)


@dataclass(frozen=True, slots=True, eq=False)
class _Mesh:
    """The triangles of a template.

    Attributes:
        corners_xy: `(N, 2)` anchors, then the ring, in pixels of the template.
        triangles: positions in `corners_xy`, the middle of the template last, so that the near part of a turned head
            lies over the far one.
        rim: the anchors of the convex hull, each of which has its corner in the ring.
        reach: how many times as far from the middle of the rim as its anchor a corner of the ring lies.
    """

    corners_xy: npt.NDArray[np.float64]
    triangles: tuple[tuple[int, int, int], ...]
    rim: tuple[int, ...]
    reach: float


@lru_cache(maxsize=128)
def _mesh(anchors: tuple[tuple[str, float, float], ...], outline_xy: Polygon) -> _Mesh:
    points = np.array([(x, y) for _, x, y in anchors])
    hull = cv2.convexHull(points.astype(np.float32), returnPoints=False)
    rim = tuple(int(each) for each in np.asarray(hull).ravel())
    if (
        cv2.contourArea(points[list(rim)].astype(np.float32))
        < _SMALLEST_OF_TEMPLATE * np.ptp(outline_xy, axis=0).prod()
    ):
        raise SourceError("its anchors lie on a line, or close together; give it others, or the fit similarity")
    middle = points[list(rim)].mean(axis=0)
    reach = _MARGIN * max(1.0, _gauge(points[list(rim)] - middle, np.array(outline_xy) - middle))
    corners = np.concatenate([points, middle + (points[list(rim)] - middle) * reach])
    triangles = _delaunay(corners)
    far = {each: float(np.linalg.norm(corners[list(each)].mean(axis=0) - middle)) for each in triangles}
    return _Mesh(corners, tuple(sorted(triangles, key=lambda each: -far[each])), rim, reach)


def _gauge(polygon_xy: npt.NDArray[np.float64], points_xy: npt.NDArray[np.float64]) -> float:
    """The factor by which a convex polygon around (0, 0) must be enlarged to hold the points."""
    along = np.roll(polygon_xy, -1, axis=0) - polygon_xy
    outwards = np.stack([along[:, 1], -along[:, 0]], axis=1)
    reach = (outwards * polygon_xy).sum(axis=1)
    kept = np.abs(reach) > 1e-9
    return float(np.max((points_xy @ outwards[kept].T) / reach[kept], initial=0.0))


def _delaunay(points_xy: npt.NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """The triangles between points, none of which lies in the circle through the corners of another."""
    low, high = points_xy.min(axis=0) - 8, points_xy.max(axis=0) + 8
    made = cv2.Subdiv2D((int(low[0]), int(low[1]), int(high[0] - low[0]) + 2, int(high[1] - low[1]) + 2))
    for x, y in points_xy.tolist():
        made.insert((x, y))
    corners = np.asarray(made.getTriangleList(), np.float64).reshape(-1, 3, 2)
    gaps = np.linalg.norm(corners[:, :, None] - points_xy[None, None], axis=3)
    inside = (gaps.min(axis=2) < 0.01).all(axis=1)  # the others hang on the corners that Subdiv2D adds itself
    found = gaps.argmin(axis=2)[inside]
    triangles = sorted((int(i), int(j), int(k)) for i, j, k in found)
    return [each for each in triangles if abs(_area(points_xy[list(each)])) > _SMALLEST_TRIANGLE_PX]
