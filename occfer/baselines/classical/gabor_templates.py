"""Random Gabor templates of parts of faces, and the distances of other faces from them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occfer.baselines.classical.fitted import Arrays, expect, expect_below, grey_faces, malformed, parts_of
from occfer.baselines.classical.gabor import FACE_PX, ORIENTATIONS, SIZES_PX, magnitudes
from occfer.data.arrays import Float32Array, Float64Array, Images, Indices

SIDES_PX = (4, 8, 12)
REACH_PX = 4


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """Gabor magnitudes of a square part of a training face.

    Attributes:
        scale: index into `gabor.SIZES_PX`.
        top_px, left_px: where it was in its 48 x 48 face.
        values: `(4, side, side)` float32, all orientations.
    """

    scale: int
    top_px: int
    left_px: int
    values: Float32Array


def draw_templates(
    read: Callable[[Indices], Images], indices: Indices, count: int, rng: np.random.Generator
) -> tuple[Template, ...]:
    """Templates of random faces, scales, sizes (4, 8 or 12 px) and places, sorted by face.

    Args:
        read: returns the images of samples.
        indices: the samples that train.
        count: number of templates.
        rng: of all draws.
    """
    faces = np.sort(rng.choice(indices, size=count))
    scales = rng.integers(len(SIZES_PX), size=count)
    sides = rng.choice(SIDES_PX, size=count)
    corners = rng.integers(FACE_PX + 1 - sides[:, None], size=(count, 2))
    templates = []
    for part in parts_of(count):
        own, where = np.unique(faces[part], return_inverse=True)
        answers = magnitudes(grey_faces(read(own), FACE_PX))
        for face, scale, side, (top, left) in zip(where, scales[part], sides[part], corners[part], strict=True):
            values = answers[face, scale, :, top : top + side, left : left + side].copy()
            templates.append(Template(int(scale), int(top), int(left), values))
    return tuple(templates)


def distances(templates: tuple[Template, ...], images: Images) -> Float32Array:
    """`(N, templates)` float32: the least root mean square difference within 4 px of each template's place.

    Args:
        templates: of training faces.
        images: `(N, S, S, 3)` uint8 RGB.
    """
    found = np.empty((len(images), len(templates)), dtype=np.float32)
    for part in parts_of(len(images)):
        answers = magnitudes(grey_faces(images[part], FACE_PX))
        sums = {side: _square_sums(answers, side) for side in SIDES_PX}
        for index, template in enumerate(templates):
            found[part, index] = _distance(template, answers, sums)
    return found


def _distance(template: Template, answers: Float32Array, sums: dict[int, Float64Array]) -> Float32Array:
    values, scale = template.values, template.scale
    side = values.shape[-1]
    last = FACE_PX - side
    y, x = (slice(max(0, at - REACH_PX), min(last, at + REACH_PX) + 1) for at in (template.top_px, template.left_px))
    area = answers[:, scale, :, y.start : y.stop - 1 + side, x.start : x.stop - 1 + side]
    windows = np.lib.stride_tricks.sliding_window_view(area, (side, side), axis=(2, 3))
    # |w - t|^2 = |w|^2 - 2 w t + |t|^2, which rounding can make slightly negative.
    squares = sums[side][:, scale, y, x] - 2 * np.einsum("noyxij,oij->nyx", windows, values)
    least = squares.reshape(len(answers), -1).min(axis=1) + np.square(values, dtype=np.float64).sum()
    return np.asarray(np.sqrt(np.maximum(least, 0) / values.size), dtype=np.float32)


def _square_sums(answers: Float32Array, side: int) -> Float64Array:
    """`(N, 8, 49 - side, 49 - side)`: the sum of squares of every window, over its orientations."""
    total = np.square(answers, dtype=np.float64).sum(axis=2)
    for axis in (2, 3):
        edges = np.insert(total.cumsum(axis=axis), 0, 0, axis=axis)
        ends = range(side, edges.shape[axis])
        total = edges.take(ends, axis=axis) - edges.take(range(len(ends)), axis=axis)
    return np.asarray(total)


def template_arrays(templates: tuple[Template, ...]) -> Arrays:
    """For a model file; see `read_templates`."""
    places = [(each.scale, each.values.shape[-1], each.top_px, each.left_px) for each in templates]
    return {
        "templates.places": np.array(places, dtype=np.int64),
        "templates.values": np.concatenate([each.values.ravel() for each in templates]),
    }


def read_templates(path: Path, arrays: Arrays) -> tuple[Template, ...]:
    """The inverse of `template_arrays`.

    Raises:
        CheckpointError: they are not templates.
    """
    expect(path, arrays, {"templates.places": (np.int64, (None, 4)), "templates.values": (np.float32, (None,))})
    places = np.asarray(arrays["templates.places"], np.int64)
    scales, sides, corners = places[:, 0], places[:, 1], places[:, 2:]
    expect_below(path, "templates.places", scales, len(SIZES_PX))
    if not np.isin(sides, SIDES_PX).all() or (corners < 0).any() or (corners + sides[:, None] > FACE_PX).any():
        raise malformed(path, "a template lies outside its face")
    values = np.asarray(arrays["templates.values"], np.float32)
    ends = np.cumsum(ORIENTATIONS * sides**2)
    if not len(ends) or ends[-1] != len(values):
        raise malformed(path, "templates.values has another length than its templates")
    return tuple(
        Template(int(scale), int(top), int(left), part.reshape(ORIENTATIONS, side, side))
        for (scale, side, top, left), part in zip(places, np.split(values, ends[:-1]), strict=True)
    )
