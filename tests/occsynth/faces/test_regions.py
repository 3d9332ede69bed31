"""The index lists against MediaPipe's own connections and against geometry; hulls, masks and the similarity fit."""

import math
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occsynth.errors import SourceError
from occsynth.faces.align import ARCFACE_112_XY
from occsynth.faces.regions import (
    IBUG68,
    REGIONS,
    canonical_face,
    eyes_hull,
    face_oval,
    fit_similarity,
    five_points,
    ibug68,
    mouth_hull,
    region_mask,
    transform_points,
)

CLOSED = ("eye_left", "eye_right", "lips_outer", "face_oval")


def edges(indices: Sequence[int] | npt.NDArray[np.intp], *, closed: bool) -> set[frozenset[int]]:
    ring = [*indices, indices[0]] if closed else list(indices)
    return {frozenset(map(int, pair)) for pair in pairwise(ring)}


def oracle(name: str) -> set[frozenset[int]]:
    from mediapipe.tasks.python import vision

    # MediaPipe names the sides of the person, we name those of the picture
    names = {
        "eye_left": "RIGHT_EYE",
        "eye_right": "LEFT_EYE",
        "brow_left": "RIGHT_EYEBROW",
        "brow_right": "LEFT_EYEBROW",
        "lips_outer": "LIPS",
        "face_oval": "FACE_OVAL",
    }
    connections = getattr(vision.FaceLandmarksConnections, f"FACE_LANDMARKS_{names[name]}")
    return {frozenset((each.start, each.end)) for each in connections}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_contours_follow_mediapipes_connections(name: str) -> None:
    expected = oracle(name)
    got = edges(REGIONS[name], closed=True)
    if name == "lips_outer":  # MediaPipe lists the inner lips with them
        assert got < expected
        inner = {point for edge in expected - got for point in edge}
        assert not inner & {point for edge in got for point in edge}
    else:
        assert got == expected


@pytest.mark.parametrize("name", ["brow_left", "brow_right"])
def test_brows_are_mediapipes_brow_points(name: str) -> None:
    assert {int(each) for each in REGIONS[name]} == {point for edge in oracle(name) for point in edge}


def test_sizes_and_uniqueness() -> None:
    assert IBUG68.shape == (68,)
    assert len(set(IBUG68.tolist())) == 68
    assert {name: len(each) for name, each in REGIONS.items()} == {
        "eye_left": 16,
        "eye_right": 16,
        "brow_left": 10,
        "brow_right": 10,
        "lips_outer": 20,
        "face_oval": 36,
    }
    assert all(len(set(each.tolist())) == len(each) for each in REGIONS.values())


def test_ibug_points_lie_on_their_regions() -> None:
    assert set(IBUG68[:17].tolist()) < set(REGIONS["face_oval"].tolist())
    assert set(IBUG68[17:22].tolist()) < set(REGIONS["brow_left"].tolist())
    assert set(IBUG68[22:27].tolist()) < set(REGIONS["brow_right"].tolist())
    assert set(IBUG68[36:42].tolist()) < set(REGIONS["eye_left"].tolist())
    assert set(IBUG68[42:48].tolist()) < set(REGIONS["eye_right"].tolist())
    assert set(IBUG68[48:60].tolist()) < set(REGIONS["lips_outer"].tolist())


def test_ibug_pairs_are_mirror_images_on_the_canonical_face() -> None:
    pairs = [(i, 16 - i) for i in range(9)] + [(17 + i, 26 - i) for i in range(5)] + [(31, 35), (32, 34)]
    pairs += [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    pairs += [(48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)]
    points = ibug68(canonical_face())
    middle = points[[27, 28, 29, 30, 33, 51, 57, 62, 66, 8], 0].mean()
    for left, right in pairs:
        mirrored = np.array([2 * middle - points[right, 0], points[right, 1]])
        assert np.linalg.norm(points[left] - mirrored) < 1.5, (left, right)


def test_canonical_face_has_the_template_as_its_five_points() -> None:
    assert np.abs(five_points(canonical_face()) - ARCFACE_112_XY).max() < 0.6
    assert not canonical_face().flags.writeable


def test_five_points_of_mesh_and_of_ibug_agree() -> None:
    face = canonical_face().astype(np.float32)
    assert five_points(face).dtype == np.float32
    np.testing.assert_array_equal(five_points(face), five_points(ibug68(face)))
    with pytest.raises(ValueError, match=r"\(478, 2\) or \(68, 2\)"):
        five_points(face[:60])


def test_hulls_are_convex_and_hold_their_points() -> None:
    face = canonical_face()
    eyes = np.concatenate([REGIONS[name] for name in ("eye_left", "eye_right", "brow_left", "brow_right")])
    for hull, members in ((eyes_hull(face), eyes), (mouth_hull(face), REGIONS["lips_outer"])):
        assert hull.dtype == np.float32
        assert cv2.isContourConvex(hull)
        for point in face[members]:
            assert cv2.pointPolygonTest(hull, tuple(map(float, point)), True) > -1e-3
    assert face_oval(face).shape == (36, 2)
    assert cv2.contourArea(face_oval(face)) > 5 * cv2.contourArea(eyes_hull(face))


def test_region_mask() -> None:
    square = np.array([(1.4, 1.6), (4.4, 1.6), (4.4, 3.2), (1.4, 3.2)])
    expected = np.zeros((6, 8), np.uint8)
    expected[2:4, 1:5] = 1
    np.testing.assert_array_equal(region_mask(square, (8, 6)), expected)
    assert region_mask(square + 100, (8, 6)).sum() == 0
    assert region_mask(np.array([(-50, -50), (50, -50), (50, 50), (-50, 50)]), (8, 6)).all()


def test_region_mask_area_is_near_the_polygons() -> None:
    oval = face_oval(canonical_face()) * 4
    assert region_mask(oval, (448, 500)).sum() == pytest.approx(cv2.contourArea(oval), rel=0.02)


number = st.floats(-1000, 1000, allow_nan=False, width=32)


@given(
    st.lists(st.tuples(number, number), min_size=2, max_size=12),
    st.floats(0.05, 20),
    st.floats(-math.pi, math.pi),
    number,
    number,
)
def test_fit_similarity_recovers_a_similarity(
    points: list[tuple[float, float]], scale: float, angle: float, shift_x: float, shift_y: float
) -> None:
    start = np.array(points)
    if np.ptp(start, axis=0).max() < 1.0:
        return
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    affine = np.array([[cos, -sin, shift_x], [sin, cos, shift_y]])
    np.testing.assert_allclose(fit_similarity(start, transform_points(start, affine)), affine, rtol=1e-6, atol=1e-6)


def test_fit_similarity_is_least_squares() -> None:
    rng = np.random.default_rng(5)
    start, goal = rng.normal(size=(2, 9, 2))
    # the naive way: an overdetermined linear system in (a, b, shift)
    x, y = start.T
    one, zero = np.ones(9), np.zeros(9)
    system = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    (a, b, shift_x, shift_y), *_ = np.linalg.lstsq(system, np.concatenate(goal.T), rcond=None)
    np.testing.assert_allclose(fit_similarity(start, goal), [[a, -b, shift_x], [b, a, shift_y]], atol=1e-12)


def test_fit_similarity_refuses_points_without_a_face() -> None:
    face = np.array(ARCFACE_112_XY)
    with pytest.raises(SourceError, match="at one place"):
        fit_similarity(face, np.ones((5, 2)))
    with pytest.raises(SourceError, match="at one place"):
        fit_similarity(np.ones((5, 2)), face)
    with pytest.raises(SourceError, match="not a finite number"):
        fit_similarity(face, np.full((5, 2), np.nan))
