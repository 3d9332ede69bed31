"""What WLS-RF looks at: the mesh, integral channels, local features and trees, each against a slow reference."""

from collections import deque
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import ConvexHull
from sklearn.decomposition import PCA
from sklearn.tree import DecisionTreeClassifier

from occfer.baselines.classical.channels import integral_channels, window_means
from occfer.baselines.classical.confidence import (
    LENGTH,
    Autoencoder,
    autoencoder_of,
    confidence_of,
    moments_of,
    triangle_hogs,
)
from occfer.baselines.classical.face_mesh import FaceMesh, draw_mask, mesh_of
from occfer.baselines.classical.forest import fit_tree, read_trees, tree_arrays
from occfer.baselines.classical.local_features import ANGLE, CHANNEL, DISTANCE, POOL, draw_features
from occfer.data.arrays import Images, Points
from tests.occfer.toy_builds import WORDS, Build, face_points, pictures

SIZE = Build(size_px=64)


@pytest.fixture(scope="module")
def points_xy() -> Points:
    """`(28, 68, 2)`, in pixels of 64 x 64 faces."""
    return np.stack([face_points(SIZE, subject, word) for subject in range(4) for word in WORDS])


@pytest.fixture(scope="module")
def images() -> Images:
    return np.stack([pictures(SIZE, subject, word)[0] for subject in range(4) for word in WORDS])


@pytest.fixture(scope="module")
def mesh(points_xy: Points) -> FaceMesh:
    return mesh_of(points_xy)


def test_the_triangles_tile_the_mean_face(mesh: FaceMesh, points_xy: Points) -> None:
    mean = points_xy.mean(axis=0)
    assert np.allclose(mesh.mean_xy, mean, atol=1e-4)
    corners = mean[mesh.triangles]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / 2
    assert areas.sum() == pytest.approx(ConvexHull(mean).volume, rel=1e-4)  # in the plane, the volume is the area
    assert np.allclose(mesh.area_fraction, areas / areas.sum(), atol=1e-6)
    assert set(mesh.triangles.ravel()) == set(range(68))
    shuffled = mesh_of(points_xy[::-1])
    assert np.array_equal(shuffled.triangles, mesh.triangles)


def test_neighbours_share_an_edge(mesh: FaceMesh) -> None:
    corners = [set(each) for each in mesh.triangles.tolist()]
    for one, others in enumerate(mesh.neighbours()):
        assert sorted(others) == [
            two for two in range(len(corners)) if two != one and len(corners[one] & corners[two]) == 2
        ]


def test_masks_are_connected_and_a_tenth_to_a_fifth_of_the_face(mesh: FaceMesh) -> None:
    neighbours = mesh.neighbours()
    covered = np.zeros(len(mesh.triangles), dtype=int)
    for seed in range(200):
        mask = draw_mask(mesh, neighbours, np.random.default_rng(seed))
        assert 0.1 <= mesh.area_fraction[mask].sum() <= 0.2
        own = set(np.flatnonzero(mask).tolist())
        reached, ahead = set(), deque([min(own)])
        while ahead:
            number = ahead.popleft()
            if number not in reached:
                reached.add(number)
                ahead.extend(set(neighbours[number]) & own)
        assert reached == own
        covered += mask
    assert (covered > 0).all()


def test_a_face_without_points_gets_the_mean_face(mesh: FaceMesh, points_xy: Points) -> None:
    given = points_xy[:3].copy()
    given[1, 5, 0] = np.nan
    known = mesh.known(given)
    assert np.array_equal(known[[0, 2]], given[[0, 2]]) and np.array_equal(known[1], mesh.mean_xy)
    assert np.array_equal(
        mesh_of(np.concatenate([points_xy, np.full((2, 68, 2), np.nan, np.float32)])).mean_xy, mesh.mean_xy
    )


def test_orientations_add_up_to_the_magnitude_and_light_matters_little(images: Images) -> None:
    sums = integral_channels(images)
    assert sums.shape == (28, 9, 65, 65) and not sums[:, :, 0].any() and not sums[:, :, :, 0].any()
    assert np.allclose(sums[:, 1:].sum(axis=1), sums[:, 0], rtol=1e-4, atol=1e-2)
    darker = integral_channels(images // 2 + 20)
    assert (darker[:, 0, -1, -1] > 0.75 * sums[:, 0, -1, -1]).all()  # at half the contrast


@pytest.mark.parametrize("orientation", range(8))
def test_stripes_fill_the_channel_of_their_direction(orientation: int) -> None:
    y, x = np.mgrid[:64, :64]
    theta = np.pi * orientation / 8
    stripes = 128 + 100 * np.sin((x * np.cos(theta) + y * np.sin(theta)) / 2)
    image = np.repeat(stripes.astype(np.uint8)[..., None], 3, axis=2)
    assert integral_channels(image[None])[0, 1:, -1, -1].argmax() == orientation


def test_windows_are_means_of_the_pixels_inside(images: Images) -> None:
    sums = integral_channels(images[:2])
    channels = np.diff(np.diff(sums.astype(np.float64), axis=2), axis=3)
    rng = np.random.default_rng(0)
    centres = rng.uniform(-10, 74, (2, 300, 2)).astype(np.float32)  # some are outside
    sides = rng.uniform(0, 30, (2, 300)).astype(np.float32)
    channel = rng.integers(9, size=300)
    found = window_means(sums, channel, centres, sides)
    for face in range(2):
        for index in range(300):
            spans = []
            for at in centres[face, index]:
                first = min(max(round(float(at) + 0.5 - float(sides[face, index]) / 2), 0), 63)
                last = min(max(round(float(at) + 0.5 + float(sides[face, index]) / 2), first + 1), 64)
                spans.append(slice(first, last))
            wanted = channels[face, channel[index], spans[1], spans[0]].mean()
            assert found[face, index] == pytest.approx(wanted, abs=2e-3)


def test_features_are_distances_angles_and_windows_inside_the_mask(
    mesh: FaceMesh, images: Images, points_xy: Points
) -> None:
    mask = draw_mask(mesh, mesh.neighbours(), np.random.default_rng(1))
    pool = draw_features(mesh, mask, np.random.default_rng(2))
    assert len(pool) == POOL == 2000
    assert set(pool.points.ravel()) <= set(mesh.triangles[mask].ravel())
    counts = [int((pool.kind == kind).sum()) for kind in (DISTANCE, ANGLE, CHANNEL)]
    assert 0 < counts[0] <= 333 and 0 < counts[1] <= 333 and counts[2] >= 1334
    geometric = pool.points[pool.kind != CHANNEL]
    assert len({(*sorted(each[:2]), *each) for each in geometric.tolist()}) == len(geometric)  # no duplicates
    sums = integral_channels(images[:2])
    values = pool.values(points_xy[:2], sums)
    for face in range(2):
        at = points_xy[face].astype(np.float64)
        eyes = np.linalg.norm(at[36:42].mean(axis=0) - at[42:48].mean(axis=0))
        for index in range(0, len(pool), 7):
            a, b, c = at[pool.points[index]]
            if pool.kind[index] == DISTANCE:
                wanted = np.linalg.norm(a - b) / eyes
            elif pool.kind[index] == ANGLE:
                cosine = (a - b) @ (c - b) / np.linalg.norm(a - b) / np.linalg.norm(c - b)
                wanted = np.arccos(np.clip(cosine, -1, 1))
            else:
                assert pool.weights[index].sum() == pytest.approx(1, abs=1e-6) and pool.weights[index].min() >= 0
                assert 0.1 <= pool.side_fraction[index] <= 0.5
                centre = (pool.weights[index] @ np.stack([a, b, c])).astype(np.float32)
                side = np.array([[pool.side_fraction[index] * eyes]], np.float32)
                own = window_means(sums[face : face + 1], pool.channel[[index]], centre[None, None], side)
                wanted = own[0, 0]
            if pool.kind[index] != CHANNEL:
                assert values[face, index] == pytest.approx(wanted, abs=2e-3)
            else:  # rounding may move a window's edge by a pixel
                assert values[face, index] == pytest.approx(wanted, abs=0.5)


def test_geometry_does_not_change_when_the_face_is_larger(mesh: FaceMesh, points_xy: Points) -> None:
    mask = draw_mask(mesh, mesh.neighbours(), np.random.default_rng(1))
    pool = draw_features(mesh, mask, np.random.default_rng(2))
    geometry = pool.some(np.flatnonzero(pool.kind != CHANNEL))
    sums = np.zeros((len(points_xy), 9, 65, 65), np.float32)
    assert np.allclose(geometry.values(points_xy, sums), geometry.values(points_xy * 1.5 + 3, sums), atol=1e-3)


def test_trees_answer_as_scikit_learns(mesh: FaceMesh, images: Images, points_xy: Points, tmp_path: Path) -> None:
    labels = np.tile(np.arange(7), 4)
    trees = []
    for number in range(3):
        mask = draw_mask(mesh, mesh.neighbours(), np.random.default_rng(number))
        pool = draw_features(mesh, mask, np.random.default_rng(number))
        values = pool.values(points_xy, integral_channels(images))
        weights = (
            np.repeat([0.0, 1.0, 2.0, 1.0], 7) if number else np.tile([1.0, 1, 0, 1, 1, 2, 0], 4)
        )  # some classes are missing
        tree = fit_tree(mask, pool, values, labels, weights, 5, 7)
        drawn = weights > 0
        reference = DecisionTreeClassifier(criterion="entropy", max_depth=18, max_features=240, random_state=5)
        reference.fit(values[drawn], labels[drawn], sample_weight=weights[drawn])
        wanted = np.zeros((28, 7))
        wanted[:, reference.classes_] = reference.predict_proba(values)
        assert np.allclose(tree.predict(points_xy, integral_channels(images)), wanted, atol=1e-6)
        assert len(tree.features) <= len(np.unique(reference.tree_.feature))
        trees.append(tree)
    again = read_trees(tmp_path, tree_arrays(trees), len(mesh.triangles), 7)
    for one, other in zip(trees, again, strict=True):
        sums = integral_channels(images)
        assert np.array_equal(one.predict(points_xy, sums), other.predict(points_xy, sums))
        assert np.array_equal(one.mask, other.mask)


def test_the_autoencoder_is_the_best_linear_one(mesh: FaceMesh, images: Images, points_xy: Points) -> None:
    hogs = triangle_hogs(mesh, points_xy, integral_channels(images))
    assert hogs.shape == (28, len(mesh.triangles), LENGTH) and (np.linalg.norm(hogs, axis=-1) <= 1).all()
    parts = moments_of(hogs[:10]) + moments_of(hogs[10:])
    autoencoder = autoencoder_of(parts)
    errors = autoencoder.errors(hogs)
    for triangle in range(0, len(mesh.triangles), 20):
        own = hogs[:, triangle].astype(np.float64)
        reference = PCA(n_components=8, svd_solver="full").fit(own)
        wanted = np.square(own - reference.inverse_transform(reference.transform(own))).sum(axis=1)
        assert np.allclose(errors[:, triangle], wanted, atol=1e-4)
    others = autoencoder_of(parts.without(moments_of(hogs[:10])))
    assert np.allclose(others.errors(hogs[:10]), autoencoder_of(moments_of(hogs[10:])).errors(hogs[:10]), atol=1e-4)


def test_confidence_is_one_up_to_the_median_and_falls_by_deviations() -> None:
    clean = np.array([[1, 5], [2, 5], [3, 5], [4, 5], [50, 5]], dtype=np.float32)
    nothing = Autoencoder(np.zeros((2, LENGTH), np.float32), np.zeros((2, 8, LENGTH), np.float32))
    confidence = confidence_of(nothing, clean)
    assert confidence.median.tolist() == [3, 5] and confidence.deviation[0] == 1 and confidence.deviation[1] > 0
    hogs = np.zeros((3, 2, LENGTH), dtype=np.float32)
    hogs[:, 0, 0] = np.sqrt([2.0, 4.0, 6.0])  # its error is its square
    assert np.allclose(confidence.alphas(hogs)[:, 0], [1, np.exp(-1), np.exp(-3)], atol=1e-4)
    assert (confidence.alphas(hogs)[:, 1] == 1).all()
