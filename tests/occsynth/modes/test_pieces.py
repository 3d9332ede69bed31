"""Templates laid over a face in triangles: where they lie, equal pixels on any machine, records that mean harm."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.errors import ManifestError
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.pieces import FARTHEST, MOST_CORNERS, UNIT, Pieces, warp_pieces
from occsynth.modes.render import render
from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import warp
from occsynth.templates.pack import load_pack
from tests.builds import OTHER_CPU, run_python

TWO = ((0, 1, 2), (0, 2, 3))


def corners(*points: tuple[float, float]) -> tuple[tuple[int, int], ...]:
    return tuple((round(x * UNIT), round(y * UNIT)) for x, y in points)


def noise(side: int = 40) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (side, side, 4), np.uint8)


def test_two_triangles_that_are_one_square_give_the_pixels_of_one_affine_map() -> None:
    sprite = noise()
    face = corners((5, 6), (45, 9), (42, 49), (2, 46))
    pieces = Pieces(face, corners((0, 0), (40, 0), (40, 40), (0, 40)), TWO)
    made = warp_pieces(sprite, pieces, (0, 0, 50, 55))
    step = 40 / (40 * 40 + 3 * 3)  # a turn: the face's (40, 3) is the sprite's (40, 0)
    a, b = 40 * step, 3 * step
    wanted = warp(sprite, (a, b, -a * 5 - b * 6, -b, a, b * 5 - a * 6), (0, 0, 50, 55), transparent_outside=True)
    inside = np.zeros((55, 50), bool)
    inside[12:44, 8:40] = True
    assert np.abs(made.astype(int) - wanted)[inside].max() <= 16, "1/32 pixel of noise"
    assert (made[inside] != wanted[inside]).mean() < 0.5


def test_nothing_lies_outside_the_triangles_and_no_gap_between_them() -> None:
    sprite = np.full((40, 40, 4), 255, np.uint8)
    pieces = Pieces(corners((5, 5), (30, 3), (33, 35), (4, 30)), corners((1, 1), (38, 1), (38, 38), (1, 38)), TWO)
    made = warp_pieces(sprite, pieces, (0, 0, 40, 40))
    assert (made[8:28, 8:28] == 255).all()
    assert not made[:2].any() and not made[:, 35:].any() and not made[37:].any()
    part = warp_pieces(sprite, pieces, (7, 9, 21, 30))
    assert np.array_equal(part, made[9:30, 7:21]), "a part of the picture has the pixels of the whole"


def test_the_pixels_are_the_same_on_other_processors() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from occsynth.modes.pieces import Pieces, warp_pieces\n"
        "sprite = np.random.default_rng(0).integers(0, 256, (90, 70, 4), np.uint8)\n"
        "face = ((100, 77), (2000, 300), (1801, 2500), (55, 1999))\n"
        "sprite_xy = ((0, 0), (2208, 0), (2208, 2848), (0, 2848))\n"
        "pieces = Pieces(face, sprite_xy, ((0, 1, 2), (0, 2, 3)))\n"
        "print(hashlib.sha256(warp_pieces(sprite, pieces, (0, 0, 64, 80)).tobytes()).hexdigest())\n"
    )
    assert run_python(code) == run_python(code, **OTHER_CPU)


def record(pieces: Pieces) -> Occlusion:
    sha256 = load_pack().file_sha256("wear/mask_surgical_blue.png")
    return Occlusion("template", "wear/mask_surgical_blue.png", sha256, "wear", (64, 50), pieces=pieces)


WHOLE = Pieces(corners((9, 9), (50, 9), (50, 50), (9, 50)), corners((0, 0), (64, 0), (64, 50), (0, 50)), TWO)


def test_a_record_reads_back_as_it_was() -> None:
    assert Occlusion.from_json(record(WHOLE).to_json()) == record(WHOLE)


HOSTILE: dict[str, dict[str, Any]] = {
    "a corner that is not there": {"triangles": [[0, 1, 4]]},
    "a corner below zero": {"triangles": [[0, 1, -1]]},
    "no triangle": {"triangles": []},
    "too many triangles": {"triangles": [[0, 1, 2]] * 1000},
    "too many corners": {"face_xy": [[0, 0]] * (MOST_CORNERS + 1), "sprite_xy": [[0, 0]] * (MOST_CORNERS + 1)},
    "another number of corners": {"sprite_xy": [[0, 0]] * 3},
    "a corner too far away": {"face_xy": [[FARTHEST + 1, 0], [0, 1], [1, 1], [1, 0]]},
    "half a pixel": {"face_xy": [[0.5, 0], [0, 1], [1, 1], [1, 0]]},
    "a field of a later version": {"depth": 1},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_records_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    content = json.loads(record(WHOLE).to_json())
    content["pieces"] |= changes
    if "depth" in changes:
        content["depth"] = content["pieces"].pop("depth")
    with pytest.raises(ManifestError, match="column occlusion"):
        Occlusion.from_json(json.dumps(content))


def test_a_record_has_either_an_affine_map_or_pieces() -> None:
    both = replace(record(WHOLE), affine=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    for each in (both, replace(record(WHOLE), pieces=None)):
        with pytest.raises(ManifestError, match="incomplete"):
            Occlusion.from_json(each.to_json())


FAR = st.integers(-FARTHEST, FARTHEST) | st.integers(-100, 3000)
CORNER = st.tuples(FAR, FAR)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CORNER, CORNER), min_size=3, max_size=8), st.data())
def test_whatever_the_corners_are_the_face_is_whole_outside_the_mask(
    found: list[tuple[tuple[int, int], tuple[int, int]]], data: st.DataObject
) -> None:
    place = st.integers(0, len(found) - 1)
    triangles = data.draw(st.lists(st.tuples(place, place, place), min_size=1, max_size=8))
    pieces = Pieces(tuple(face for face, _ in found), tuple(sprite for _, sprite in found), tuple(triangles))
    clean = np.random.default_rng(1).integers(0, 256, (48, 56, 3), np.uint8)
    again = Occlusion.from_json(record(pieces).to_json())
    made = render(clean, again, load_pack())
    assert np.array_equal(made.image[made.mask == 0], clean[made.mask == 0])
    digest = hashlib.sha256(made.image.tobytes()).hexdigest()
    assert digest == hashlib.sha256(render(clean, again, load_pack()).image.tobytes()).hexdigest()
