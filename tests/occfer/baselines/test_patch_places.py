"""The places of the 24 patches, against points computed by hand; and the patches, against a slow loop."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from occfer.baselines.patches.centres import patch_centres
from occfer.baselines.patches.crops import crop_patches
from tests.occfer.toy_builds import Build, face_points

# Landmark k, counted from 1, lies at (3 k, 250 - 3 k) of a face of 256. What a patch is made from, its point there, and
# that point times 224 / 256, plus a half, without its fraction.
BY_HAND = [
    ("19, up by 2", (57, 191), (50, 167)),
    ("22, up by 10", (66, 174), (58, 152)),
    ("23, up by 10", (69, 171), (60, 150)),
    ("26, up by 2", (78, 170), (68, 149)),
    ("39", (117, 133), (102, 116)),
    ("37", (111, 139), (97, 122)),
    ("44", (132, 118), (116, 103)),
    ("46", (138, 112), (121, 98)),
    ("28", (84, 166), (74, 145)),
    ("30", (90, 160), (79, 140)),
    ("49", (147, 103), (129, 90)),
    ("51", (153, 97), (134, 85)),
    ("53", (159, 91), (139, 80)),
    ("55", (165, 85), (144, 74)),
    ("59", (177, 73), (155, 64)),
    ("57", (171, 79), (150, 69)),
    ("between 20 and 38", (87, 163), (76, 143)),
    ("between 25 and 45", (105, 145), (92, 127)),
    ("between 41 and 42", (124.5, 125.5), (109, 110)),
    ("between 47 and 48", (142.5, 107.5), (125, 94)),
    ("between 18 and 59", (115.5, 134.5), (101, 118)),
    ("between 27 and 57", (126, 124), (110, 109)),
    ("49, 16 left, 10 up", (131, 93), (115, 81)),
    ("55, 16 right, 10 up", (181, 75), (158, 66)),
]


def diagonal() -> npt.NDArray[np.float64]:
    """`(1, 68, 2)`: the landmarks of the table."""
    number = np.arange(1, 69)
    return np.stack([3.0 * number, 250.0 - 3.0 * number], axis=1)[None]


def test_centres_are_those_computed_by_hand() -> None:
    found = patch_centres(diagonal(), 256, 224)
    assert found.shape == (1, 24, 2) and found.dtype == np.int64
    assert found[0].tolist() == [list(centre) for _, _, centre in BY_HAND]


def test_in_a_face_of_256_only_the_half_is_added() -> None:
    expected = [[math.trunc(x + 0.5), math.trunc(y + 0.5)] for _, (x, y), _ in BY_HAND]
    assert patch_centres(diagonal(), 256, 256)[0].tolist() == expected


@pytest.mark.parametrize("size_px", [48, 88, 144, 224, 512])
def test_faces_of_any_size_have_the_same_patches(size_px: int) -> None:
    scaled = (diagonal() + 0.5) * (size_px / 256) - 0.5  # pixel centres are at integers
    assert np.array_equal(patch_centres(scaled + 1e-9, size_px, 224), patch_centres(diagonal() + 1e-9, 256, 224))


def test_the_place_beside_the_mouth_is_a_parameter() -> None:
    usual, higher = (patch_centres(diagonal(), 256, 224, **shift) for shift in ({}, {"corner_shift_y": -16}))
    assert np.array_equal(usual[:, :22], higher[:, :22])
    assert higher[0, 22:].tolist() == [[115, 76], [158, 60]]  # (93 - 6) * .875 + .5 = 76.6; (75 - 6) * .875 + .5 = 60.9


def test_coordinates_are_cut_off_towards_zero() -> None:
    assert patch_centres(np.full((1, 68, 2), -10.0), 256, 224)[0, 4].tolist() == [-8, -8]  # -8.75 + .5 = -8.25


def test_patches_are_at_the_parts_of_the_face_that_name_them() -> None:
    points = face_points(Build(size_px=224), 0, "neutral")[None]
    x, y = patch_centres(points, 224, 224)[0].T
    brows, eyes, mouth = slice(0, 4), slice(4, 8), slice(10, 16)
    assert y[brows].max() < y[eyes].min() < y[mouth].min()
    assert (x[[0, 1, 4, 5, 16, 18, 20, 22]] < 112).all() and (x[[2, 3, 6, 7, 17, 19, 21, 23]] > 112).all()


def slow_crops(features: Tensor, centres_xy: Tensor) -> Tensor:
    """Cell by cell, with Python's own arithmetic."""
    batch, channels, height, width = features.shape
    patches = torch.zeros(batch, centres_xy.shape[1], channels, 6, 6)
    for image in range(batch):
        for patch, centre in enumerate(centres_xy[image].tolist()):
            left, top = (int(math.copysign(math.floor(abs(v / 8 - 3) + 0.5), v / 8 - 3)) for v in centre)
            for line in range(6):
                for column in range(6):
                    if 0 <= top + line < height and 0 <= left + column < width:
                        patches[image, patch, :, line, column] = features[image, :, top + line, left + column]
    return patches


def some_features(height: int = 28, width: int = 28) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(3, 2, height, width)).astype(np.float32))


@pytest.mark.parametrize("size", [(28, 28), (11, 17)])
def test_crops_are_those_of_a_slow_loop(size: tuple[int, int]) -> None:
    features = some_features(*size)
    centres = torch.from_numpy(np.random.default_rng(1).integers(-60, 300, size=(3, 24, 2)))
    assert torch.equal(crop_patches(features, centres), slow_crops(features, centres))


@pytest.mark.parametrize(("x", "start"), [(24, 0), (27, 0), (28, 1), (20, -1), (21, 0), (4, -3), (112, 11), (108, 11)])
def test_a_patch_starts_at_the_nearest_cell_and_halves_go_away_from_zero(x: int, start: int) -> None:
    features = torch.arange(1.0, 29).expand(1, 1, 28, 28)
    first_line = crop_patches(features, torch.tensor([[[x, 112]]]))[0, 0, 0, 0]
    assert first_line.tolist() == [float(cell + 1) if cell >= 0 else 0.0 for cell in range(start, start + 6)]


def test_a_patch_outside_the_map_is_zero() -> None:
    centres = torch.tensor([[[-100, 112], [112, 900], [252, -24]]]).expand(3, -1, -1)
    assert not crop_patches(some_features(), centres).any()


def test_the_gradient_counts_how_often_a_cell_was_copied() -> None:
    features = some_features().requires_grad_()
    centres = torch.tensor([[[24, 24], [24, 24], [0, 0]]]).expand(3, -1, -1)
    torch.autograd.backward(crop_patches(features, centres).sum())
    expected = torch.zeros(28, 28)
    expected[:6, :6] += 2
    expected[:3, :3] += 1
    assert features.grad is not None and torch.equal(features.grad, expected.expand(3, 2, 28, 28))
