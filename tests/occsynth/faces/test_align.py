"""Alignment: the fit to the ArcFace template, points and pixels of the aligned face, and malformed records."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.errors import ManifestError, SourceError
from occsynth.faces.align import (
    ARCFACE_112_XY,
    Alignment,
    align_image,
    align_points,
    resize_alignment,
    similarity_alignment,
)
from occsynth.faces.regions import five_points
from occsynth.pixels.warp import Affine, transform
from tests.builds import STEMS, demo_face
from tests.occsynth.pixels.random_images import noise, similarities


def template_xy(size_px: int) -> npt.NDArray[np.float64]:
    return (np.array(ARCFACE_112_XY) + 0.5) * size_px / 112 - 0.5


@settings(max_examples=80, deadline=None)
@given(
    similarities(scales=(0.3, 12.0)),
    st.sampled_from((48, 88, 96, 144, 224)),
    st.integers(60, 1200),
    st.integers(60, 1200),
)
def test_a_turned_and_scaled_template_is_found_again(affine: Affine, size_px: int, width: int, height: int) -> None:
    turn: Affine = (affine[4], affine[1], affine[2], -affine[1], affine[4], affine[5])  # no mirror
    five_xy = transform(turn, template_xy(size_px))
    alignment = similarity_alignment(five_xy, (width, height), size_px)
    assert np.abs(align_points(five_xy, alignment) - template_xy(size_px)).max() < 0.01
    assert alignment == Alignment.from_json(alignment.to_json())
    reduced = np.array(alignment.reduced_wh)
    assert (reduced <= (width, height)).all()
    # shrunk no further than the face is shown, so that no detail is lost
    shown = math.hypot(alignment.affine[0], alignment.affine[3])
    assert shown >= 0.98 or alignment.reduced_wh == (width, height)


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("size_px", [48, 224])
def test_demo_faces_land_on_the_template(stem: str, size_px: int) -> None:
    face = demo_face(stem, size_px)
    error = np.linalg.norm(five_points(face.points_xy) - template_xy(size_px), axis=1)
    assert error.mean() < 0.05 * size_px
    assert face.pixels.shape == (size_px, size_px, 3)
    assert face.pixels.dtype == np.uint8


def test_the_fit_is_the_best_one_there_is() -> None:
    """No turn, scale or shift near the fitted one brings the points nearer to the template."""
    face = demo_face(STEMS[1], 224)
    at = five_points(face.points_xy).astype(float)

    def squared_error(turn: float, scale: float, dx: float, dy: float) -> float:
        cos, sin = scale * math.cos(turn), scale * math.sin(turn)
        return float(((transform((cos, -sin, dx, sin, cos, dy), at) - template_xy(224)) ** 2).sum())

    best = squared_error(0.0, 1.0, 0.0, 0.0)
    nearby = [(0.01, 1, 0, 0), (-0.01, 1, 0, 0), (0, 1.01, 0, 0), (0, 0.99, 0, 0), (0, 1, 0.3, 0), (0, 1, 0, -0.3)]
    assert all(squared_error(*each) > best for each in nearby)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from((48, 100, 224)))
def test_alignment_none_only_resizes(width: int, height: int, size_px: int) -> None:
    alignment = resize_alignment((width, height), size_px)
    corners = np.array([(-0.5, -0.5), (width - 0.5, height - 0.5)])
    assert np.allclose(align_points(corners, alignment), [(-0.5, -0.5), (size_px - 0.5, size_px - 0.5)], atol=1e-3)
    assert alignment == Alignment.from_json(alignment.to_json())
    grey = np.full((height, width, 3), 77, np.uint8)
    assert (align_image(grey, alignment, size_px) == 77).all()


def test_an_image_of_that_size_already_is_left_as_it_is() -> None:
    pixels = noise(9, 48, 48, 3)
    assert np.array_equal(align_image(pixels, resize_alignment((48, 48), 48), 48), pixels)


def test_an_alignment_of_another_source_is_refused() -> None:
    with pytest.raises(ManifestError, match="the source is 50x40, but its alignment was made for 60x40"):
        align_image(noise(1, 40, 50, 3), resize_alignment((60, 40), 48), 48)


def test_points_that_give_no_face_are_refused() -> None:
    with pytest.raises(SourceError, match="one place"):
        similarity_alignment(np.full((5, 2), 8.0), (100, 100), 48)
    with pytest.raises(SourceError, match="not a finite number"):
        similarity_alignment(np.full((5, 2), np.nan), (100, 100), 48)


def test_a_face_may_leave_its_picture() -> None:
    """Beyond the edge of the source the edge pixels go on."""
    pixels = np.full((60, 60, 3), 10, np.uint8)
    pixels[:, -8:] = 200
    alignment = similarity_alignment(template_xy(112) * 0.5 + (30, 0), (60, 60), 48)
    aligned = align_image(pixels, alignment, 48)
    assert (aligned[:, -8:] == 200).all()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"kind":"none"}',
        '{"kind":"magic","source_wh":[9,9],"reduced_wh":[9,9],"affine":[1,0,0,0,1,0]}',
        '{"kind":"none","source_wh":[9,9],"reduced_wh":[10,9],"affine":[1,0,0,0,1,0]}',
        '{"kind":"none","source_wh":[9,9],"reduced_wh":[0,9],"affine":[1,0,0,0,1,0]}',
        '{"kind":"none","source_wh":[9,9,9],"reduced_wh":[9,9],"affine":[1,0,0,0,1,0]}',
        '{"kind":"none","source_wh":[9,9],"reduced_wh":[9,9],"affine":[1,0,0,0,1]}',
        '{"kind":"none","source_wh":[9,9],"reduced_wh":[9,9],"affine":[1,0,0,0,1,NaN]}',
        '{"kind":"none","source_wh":[9,9],"reduced_wh":[9,9],"affine":[1,0,0,0,1,1e400]}',
        '{"kind":"none","source_wh":[1e400,9],"reduced_wh":[9,9],"affine":[1,0,0,0,1,0]}',
    ],
)
def test_a_malformed_alignment_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="column align"):
        Alignment.from_json(text)
