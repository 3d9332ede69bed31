"""Alpha of at least half counts as hidden: compared with shapes of which the exact coverage of each pixel is known."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from occsynth.modes.face import Regions
from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import into_resized, invert, warp
from occsynth.templates.add import add_pack
from occsynth.templates.cut_out import finish
from occsynth.templates.pack import load_pack, shipped_pack_folder
from occsynth.templates.sprites import OPAQUE_ALPHA, decode_sprite, reduce_sprite
from tests.occsynth.templates.cut_outs import CREDENTIALS, index_of, save

SIDE_PX, STEPS = 200, 16


def ellipse(
    side: int, radii: tuple[float, float], turn_deg: float, middle_xy: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """How much of each pixel an ellipse covers, pixel centres at whole numbers."""
    places = (np.arange(side * STEPS) + 0.5) / STEPS - 0.5
    x, y = places[None] - middle_xy[0], places[:, None] - middle_xy[1]
    cos, sin = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    inside = ((cos * x + sin * y) / radii[0]) ** 2 + ((cos * y - sin * x) / radii[1]) ** 2 <= 1
    return np.asarray(inside.reshape(side, STEPS, side, STEPS).mean(axis=(1, 3)), np.float64)


RADII = (83.3, 46.7)


def drawn(turn_deg: float = 20.0) -> Pixels:
    """An ellipse of one colour, with its exact coverage as alpha."""
    covered = ellipse(SIDE_PX, RADII, turn_deg, (99.4, 98.7))
    rgba = np.full((SIDE_PX, SIDE_PX, 4), 90, np.uint8)
    rgba[:, :, 3] = np.floor(255 * covered + 0.5)
    return rgba


def png(rgba: Pixels, path: Path) -> bytes:
    return save(path, rgba).read_bytes()


@pytest.mark.parametrize("turn_deg", [0.0, 20.0, 45.0])
def test_the_opaque_share_is_that_of_half_covered_pixels(tmp_path: Path, turn_deg: float) -> None:
    png(drawn(turn_deg), tmp_path / "in" / "food" / "a.png")
    add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)
    covered = ellipse(SIDE_PX, RADII, turn_deg, (99.4, 98.7))
    ys, xs = np.nonzero(np.floor(255 * covered + 0.5) >= 6)  # the box of what is more than noise
    box = covered[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    said = float(index_of(tmp_path / "out")["food/a.png"]["opaque_fraction"])
    assert said == pytest.approx((box >= 0.5).mean(), abs=0.0006)
    assert said * box.size == pytest.approx(math.pi * RADII[0] * RADII[1], rel=0.002), "and so that of the exact area"


@pytest.mark.parametrize("wh", [(200, 200), (100, 100), (47, 47)])
def test_a_shrunken_sprite_is_opaque_where_half_is_covered(tmp_path: Path, wh: tuple[int, int]) -> None:
    sprite = reduce_sprite(decode_sprite(png(drawn(), tmp_path / "a.png"), "a", ""), wh, 0.0)
    ratio = wh[0] / SIDE_PX
    middle = (99.9 * ratio - 0.5, 99.2 * ratio - 0.5)
    covered = ellipse(wh[0], (RADII[0] * ratio, RADII[1] * ratio), 20.0, middle)
    wrong = (sprite.pixels[:, :, 3] >= OPAQUE_ALPHA) != (covered >= 0.5)
    assert not (wrong & (np.abs(covered - 0.5) > 0.03)).any()


@pytest.mark.parametrize("scale, turn_deg", [(0.5, 33.0), (0.71, -61.0), (0.9, 5.0)])
def test_the_coverage_of_a_placed_sprite_is_that_of_the_exact_shape(
    tmp_path: Path, scale: float, turn_deg: float
) -> None:
    sprite = decode_sprite(png(drawn(0.0), tmp_path / "a.png"), "a", "")
    wh = (math.ceil(SIDE_PX * scale), math.ceil(SIDE_PX * scale))
    turn = math.radians(turn_deg)
    cos, sin = scale * math.cos(turn), scale * math.sin(turn)
    forward = (cos, -sin, 97.3 - cos * 99.4 + sin * 98.7, sin, cos, 95.8 - sin * 99.4 - cos * 98.7)
    affine = into_resized(invert(forward), sprite.wh, wh)
    reduced = reduce_sprite(sprite, wh, 0.0).pixels
    alpha = warp(reduced, affine, (0, 0, SIDE_PX, SIDE_PX), transparent_outside=True)[:, :, 3]
    covered = ellipse(SIDE_PX, (RADII[0] * scale, RADII[1] * scale), turn_deg, (97.3, 95.8))
    wrong = (alpha >= OPAQUE_ALPHA) != (covered >= 0.5)
    assert not (wrong & (np.abs(covered - 0.5) > 0.15)).any()
    assert (alpha >= OPAQUE_ALPHA).sum() / covered.sum() == pytest.approx(1, abs=0.004)
    corners = np.zeros((478, 2), np.float32)
    corners[10:] = (SIDE_PX - 1, SIDE_PX - 1)
    regions = Regions(corners, (SIDE_PX, SIDE_PX))
    regions.__dict__["masks"] = {"face": np.ones((SIDE_PX, SIDE_PX), np.uint8)}
    assert regions.coverage(alpha, OPAQUE_ALPHA)["face"] == pytest.approx((covered >= 0.5).mean(), abs=0.001)


def test_the_soft_edge_that_a_hard_mask_gets_lies_inside_it() -> None:
    covered = ellipse(SIDE_PX, RADII, 20.0, (99.4, 98.7))
    hard = drawn()
    hard[:, :, 3] = np.where(covered >= 0.5, 255, 0)
    finished = finish(hard, base_edge="", min_side_px=8, long_side_px=512)
    opaque = (finished.rgba[:, :, 3] >= OPAQUE_ALPHA).sum()
    perimeter = math.pi * (3 * sum(RADII) - math.sqrt((3 * RADII[0] + RADII[1]) * (RADII[0] + 3 * RADII[1])))
    lost = math.pi * RADII[0] * RADII[1] - opaque
    assert 0.8 * perimeter < lost < 1.4 * perimeter, "about one pixel all around"


@pytest.mark.parametrize("file", sorted(load_pack().templates))
def test_the_index_says_what_is_measured(file: str) -> None:
    alpha = np.asarray(Image.open(shipped_pack_folder() / file))[:, :, 3]
    ys, xs = np.nonzero(alpha)
    box = alpha[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    said = float(index_of(shipped_pack_folder())[file]["opaque_fraction"])
    assert said == pytest.approx((box >= OPAQUE_ALPHA).mean(), abs=0.0006)
