"""Affine maps, the fixed-point warp against a float reference, and reduction by area averaging."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import (
    Affine,
    PixelBox,
    _maps,
    box_around,
    invert,
    map_point,
    reduce,
    rescale,
    transform,
    warp,
)
from tests.occsynth.pixels.random_images import noise, similarities


def smooth(seed: int, height: int, width: int, channels: int) -> Pixels:
    """Random pixels that change by a few grey levels from one to the next, as a photograph's mostly do."""
    coarse = noise(seed, 2 + height // 32, 2 + width // 32, channels)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8).reshape(
        height, width, channels
    )


def float_warp(pixels: Pixels, affine: Affine, wh: tuple[int, int], *, transparent: bool) -> npt.NDArray[np.float64]:
    """The bilinear warp of the textbooks, in float64."""
    ys, xs = np.mgrid[0 : wh[1], 0 : wh[0]]
    at = transform(affine, np.stack([xs.ravel(), ys.ravel()], axis=1))
    x0, y0 = np.floor(at[:, 0]).astype(int), np.floor(at[:, 1]).astype(int)
    fx, fy = at[:, 0] - x0, at[:, 1] - y0
    total = np.zeros((len(at), pixels.shape[2]))
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            x, y = x0 + dx, y0 + dy
            inside = (x >= 0) & (x < pixels.shape[1]) & (y >= 0) & (y < pixels.shape[0])
            values = pixels[y.clip(0, pixels.shape[0] - 1), x.clip(0, pixels.shape[1] - 1)].astype(float)
            if transparent:
                values[~inside] = 0
            total += values * (wx * wy)[:, None]
    return total.reshape(wh[1], wh[0], pixels.shape[2])


def naive_maps(affine: Affine, box: PixelBox) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """What the docstring of `_maps` describes, number by number: terms in 1/1024 pixel, their sum rounded to 1/32."""
    x0, y0, x1, y1 = box
    whole = np.empty((y1 - y0, x1 - x0, 2), np.int64)
    fraction = np.empty((y1 - y0, x1 - x0), np.int64)
    limit = 32 * ((1 << 15) - 2)
    for y in range(y0, y1):
        for x in range(x0, x1):
            terms = [[x * a, y * b, c] for a, b, c in (affine[:3], affine[3:])]
            units = [sum(max(-(1 << 28), min(1 << 28, round(1024 * term))) for term in each) for each in terms]
            u, v = (max(-limit, min(limit, (unit + 16) >> 5)) for unit in units)
            whole[y - y0, x - x0] = u >> 5, v >> 5
            fraction[y - y0, x - x0] = (v & 31) << 5 | (u & 31)
    return whole, fraction


factors = st.floats(-4, 4) | st.floats(-3e4, 3e4) | st.sampled_from((0.0, 1.0, -1.0, 1 / 64, 1e9, -1e9))


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[factors] * 6), st.tuples(*[st.integers(-60, 60)] * 2), st.integers(1, 9), st.integers(1, 9))
def test_maps_are_the_described_integers(affine: Affine, start: tuple[int, int], width: int, height: int) -> None:
    box = (*start, start[0] + width, start[1] + height)
    whole, fraction = _maps(affine, box)
    assert (whole.dtype, fraction.dtype) == (np.dtype(np.int16), np.dtype(np.uint16))
    for found, expected in zip((whole, fraction), naive_maps(affine, box), strict=True):
        assert np.array_equal(found, expected)


@given(similarities(), st.lists(st.tuples(st.floats(-300, 300), st.floats(-300, 300)), min_size=1, max_size=9))
def test_points_one_by_one_go_where_arrays_of_them_go(affine: Affine, points: list[tuple[float, float]]) -> None:
    placed = transform(affine, np.array(points))
    assert [map_point(affine, each) for each in points] == [tuple(each) for each in placed.tolist()]
    assert box_around(affine, points) == (*placed.min(axis=0).tolist(), *placed.max(axis=0).tolist())


@settings(max_examples=60, deadline=None)
@given(similarities(), st.integers(0, 1000), st.sampled_from((3, 4)))
def test_warp_is_within_two_grey_levels_of_a_float_warp(affine: Affine, seed: int, channels: int) -> None:
    pixels = smooth(seed, 70, 90, channels)
    made = warp(pixels, affine, (0, 0, 64, 48), transparent_outside=False)
    expected = float_warp(pixels, affine, (64, 48), transparent=False)
    assert made.shape == (48, 64, channels)
    assert np.abs(made - expected).max() <= 2


@settings(max_examples=60, deadline=None)
@given(similarities(scales=(0.3, 1.0)), st.integers(0, 1000))
def test_beyond_the_edge_is_transparent(affine: Affine, seed: int) -> None:
    pixels = noise(seed, 30, 40, 4) | np.uint8(64)
    made = warp(pixels, affine, (0, 0, 64, 48), transparent_outside=True)
    ys, xs = np.mgrid[0:48, 0:64]
    at = transform(affine, np.stack([xs.ravel(), ys.ravel()], axis=1)).reshape(48, 64, 2)
    slack = 0.1
    outside = (at < -1 - slack).any(axis=2) | (at[..., 0] > 40 + slack) | (at[..., 1] > 30 + slack)
    inside = (at > slack).all(axis=2) & (at[..., 0] < 39 - slack) & (at[..., 1] < 29 - slack)
    assert not made[outside].any()
    assert (made[inside] >= 63).all()


@settings(max_examples=40, deadline=None)
@given(similarities(), st.integers(0, 50), st.integers(0, 40), st.integers(1, 14), st.integers(1, 8))
def test_a_part_of_the_output_equals_the_whole_ones_part(
    affine: Affine, x: int, y: int, width: int, height: int
) -> None:
    pixels = noise(7, 50, 60, 3)
    whole = warp(pixels, affine, (0, 0, 64, 48), transparent_outside=False)
    part = warp(pixels, affine, (x, y, x + width, y + height), transparent_outside=False)
    assert np.array_equal(part[: 48 - y, : 64 - x], whole[y : y + height, x : x + width])


@given(st.integers(-20, 20), st.integers(-20, 20))
def test_whole_pixel_shifts_are_exact(dx: int, dy: int) -> None:
    pixels = noise(3, 60, 60, 3)
    made = warp(pixels, (1, 0, 20 + dx, 0, 1, 20 + dy), (0, 0, 20, 20), transparent_outside=True)
    assert np.array_equal(made, pixels[20 + dy : 40 + dy, 20 + dx : 40 + dx])


@pytest.mark.parametrize("far", [1e5, -1e5, 1e9, -1e9, 1e300])
def test_places_far_outside_do_not_wrap_around(far: float) -> None:
    pixels = noise(4, 40, 40, 4)
    assert not warp(pixels, (1, 0, far, 0, 1, 0), (0, 0, 8, 8), transparent_outside=True).any()
    clamped = warp(pixels, (1, 0, far, 0, 1, 0), (0, 0, 1, 8), transparent_outside=False)
    assert np.array_equal(clamped[:, 0], pixels[:8, -1 if far > 0 else 0])


@given(similarities(), st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=1, max_size=9))
def test_invert_takes_points_back(affine: Affine, points: list[tuple[float, float]]) -> None:
    points_xy = np.array(points)
    assert np.allclose(transform(invert(affine), transform(affine, points_xy)), points_xy, atol=1e-6)
    assert np.allclose(invert(invert(affine)), affine, atol=1e-6)


def test_a_flat_map_has_no_inverse() -> None:
    with pytest.raises(ValueError, match="has no inverse"):
        invert((1.0, 2.0, 0.0, 2.0, 4.0, 0.0))


sizes = st.tuples(st.integers(1, 900), st.integers(1, 900))


@given(sizes, sizes, st.tuples(st.floats(-50, 900), st.floats(-50, 900)))
def test_rescaled_points_come_back_and_edges_stay_edges(
    from_wh: tuple[int, int], to_wh: tuple[int, int], point: tuple[float, float]
) -> None:
    points_xy = np.array([point])
    assert np.allclose(rescale(rescale(points_xy, from_wh, to_wh), to_wh, from_wh), points_xy, atol=1e-6)
    edges = rescale(np.array([(-0.5, -0.5), (from_wh[0] - 0.5, from_wh[1] - 0.5)]), from_wh, to_wh)
    assert np.allclose(edges, [(-0.5, -0.5), (to_wh[0] - 0.5, to_wh[1] - 0.5)])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.integers(1, 30), st.integers(1, 30))
def test_reduce_averages_areas(seed: int, width: int, height: int) -> None:
    pixels = noise(seed, height * 3, width * 3, 3)
    means = pixels.reshape(height, 3, width, 3, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(reduce(pixels, (width, height)) - means).max() <= 1
    assert reduce(pixels, (width * 3, height * 3)) is pixels
