"""`Occluder`: a plain callable whose draw depends only on seed, mode, epoch and key."""

import hashlib
import multiprocessing
import pickle
import threading
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from occsynth.errors import TemplateError, UnknownNameError
from occsynth.modes import MODES
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.render import render
from occsynth.occluder import Occluded, Occluder
from occsynth.option_values import FILLS, Fill
from occsynth.templates.pack import load_pack
from tests.builds import OTHER_CPU, STEMS, demo_face, run_python

Array = npt.NDArray[np.uint8]
MODE_NAMES = (*MODES, "upper-40", "right-20", "cover-20", "cover-60")


@pytest.fixture
def face() -> Array:
    return demo_face(STEMS[0]).pixels


def digest(made: Occluded) -> str:
    return hashlib.sha256(made.image.tobytes() + made.mask.tobytes() + made.occlusion.to_json().encode()).hexdigest()


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("mode", MODE_NAMES)
def test_it_returns_image_mask_and_record(mode: str, fill: Fill, face: Array) -> None:
    before = face.copy()
    occluder = Occluder(mode, fill=fill)
    made = occluder(face, key="a")
    assert np.array_equal(face, before)
    assert made.image.shape == face.shape
    assert made.mask.shape == face.shape[:2]
    assert np.array_equal(made.image[made.mask == 0], face[made.mask == 0])
    again = render(face, made.occlusion, occluder.choices.pack)
    assert np.array_equal(again.image, made.image)


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_the_order_of_calls_means_nothing(mode: str, face: Array) -> None:
    one, other = Occluder(mode, seed=4), Occluder(mode, seed=4)
    forth = {key: digest(one(face, key=key)) for key in "abc"}
    back = {key: digest(other(face, key=key)) for key in "cba"}
    assert forth == back
    assert len(set(forth.values())) == 3


def test_key_epoch_and_seed_each_draw_anew(face: Array) -> None:
    made = Occluder("random", seed=1)
    found = [made(face, key="a"), made(face, key="b"), made(face, key="a", epoch=1), Occluder("random")(face, key="a")]
    assert len({each.occlusion.to_json() for each in found}) == 4


def test_without_a_key_the_pixels_are_the_identity(face: Array) -> None:
    occluder = Occluder("r16")
    assert digest(occluder(face)) == digest(occluder(face.copy()))
    assert occluder(face).occlusion != occluder(face[:, ::-1]).occlusion


def test_points_move_the_occlusion(face: Array) -> None:
    found = demo_face(STEMS[0])
    occluder = Occluder("mouth", fill="black")
    with_points = occluder(face, key="a", points_xy=found.points_xy)
    assumed = occluder(face, key="a")
    assert with_points.occlusion != assumed.occlusion
    assert found.face.regions.coverage(with_points.mask, 128)["mouth"] == 1.0
    # the assumed face fills the picture: aligned crops overlap it
    assert assumed.mask.any()


def test_a_pickled_copy_draws_the_same_and_travels_lightly(face: Array) -> None:
    occluder = Occluder("random", seed=2, colour_match=True, shadow=True)
    expected = digest(occluder(face, key="a"))
    assert len(pickle.dumps(occluder)) < 100_000
    here, there = multiprocessing.Pipe()
    here.send(occluder)
    assert digest(there.recv()(face, key="a")) == expected


def test_threads_share_one(face: Array) -> None:
    """Several threads drawing at once get the same as one thread."""
    occluder = Occluder("random", seed=2)
    expected = [digest(Occluder("random", seed=2)(face, key=str(number))) for number in range(16)]
    drawn: dict[int, str] = {}

    def draw(start: int) -> None:
        for number in range(start, 16, 4):
            drawn[number] = digest(occluder(face, key=str(number)))

    threads = [threading.Thread(target=draw, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [drawn[number] for number in range(16)] == expected


CODE = """
import sys
from tests.occsynth.test_occluder import digest
from tests.builds import DEMO_ROOT, demo_source
from occsynth.pixels.sources import read_source
from occsynth.occluder import Occluder
face = read_source(DEMO_ROOT, demo_source("s001_anger")).pixels
for mode in sys.argv[1].split(","):
    print(digest(Occluder(mode, seed=9, shadow=True)(face, key="a")))
assert not {"torch", "occfer", "mediapipe"} & set(sys.modules), "too much is loaded"
"""


def test_other_processes_draw_the_same() -> None:
    """Also with another hash seed, and with OpenCV computing as on another CPU."""
    modes = ",".join(MODE_NAMES)
    first = run_python(CODE, modes, PYTHONHASHSEED="1")
    assert first == run_python(CODE, modes, PYTHONHASHSEED="2")
    assert first == run_python(CODE, modes, **OTHER_CPU)
    assert len(set(first.split())) == len(MODE_NAMES)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((1, 8, 8, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(image: npt.NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"image must be \(H, W, 3\) uint8 RGB, not"):
        Occluder("r8")(image)


@pytest.mark.parametrize("wh", [(0, 0), (5, 0), (0, 5)])
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("mode", MODE_NAMES)
def test_an_image_without_pixels_is_refused(mode: str, fill: Fill, wh: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"image must have pixels, but is {wh[0]} wide and {wh[1]} high"):
        Occluder(mode, fill=fill)(np.zeros((wh[1], wh[0], 3), np.uint8))


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("mode", MODE_NAMES)
def test_tiny_and_long_images_are_occluded(mode: str, fill: Fill) -> None:
    occluder = Occluder(mode, fill=fill, colour_match=True, shadow=True)
    for wh in ((1, 1), (2, 2), (1, 2), (7, 1), (3, 3), (1, 2000), (900, 2)):
        image = np.full((wh[1], wh[0], 3), 90, np.uint8)
        made = occluder(image, key="a")
        assert np.array_equal(made.image[made.mask == 0], image[made.mask == 0])
        assert Occlusion.from_json(made.occlusion.to_json()) == made.occlusion


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("mode", MODE_NAMES)
def test_points_at_one_place_are_occluded_and_points_without_a_place_refused(
    mode: str, fill: Fill, face: Array
) -> None:
    occluder = Occluder(mode, fill=fill)
    one_place = np.full((478, 2), 48.0)
    if mode in ("sunglasses", "mask") and fill == "template":
        with pytest.raises(TemplateError, match="cannot be worn: all face points are at one place"):
            occluder(face, key="a", points_xy=one_place)
    else:
        assert occluder(face, key="a", points_xy=one_place).image.shape == face.shape
    for points_xy in (np.full((478, 2), np.nan), np.zeros((68, 2))):
        with pytest.raises(ValueError, match=r"points_xy must be \(478, 2\) finite numbers"):
            occluder(face, points_xy=points_xy)


def test_unknown_names_are_said_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown mode 'r32'; choose one of: random, eyes"):
        Occluder("r32")
    with pytest.raises(UnknownNameError, match="unknown fill 'pink'; choose one of: template, black"):
        Occluder("r8", fill=cast(Fill, "pink"))
    with pytest.raises(TemplateError, match=r"no template of category hat in .*; it has drink, food, hand"):
        Occluder("r8", categories=("hat",))
    with pytest.raises(TemplateError, match=r"index\.csv not found\. A template pack is a folder"):
        Occluder("r8", tmp_path)


def test_categories_limit_what_is_drawn(face: Array) -> None:
    drinks = Occluder("random", load_pack(), categories=("drink",))
    assert {drinks(face, key=str(number)).occlusion.category for number in range(20)} == {"drink"}


def test_a_write_protected_view_is_fine(face: Array) -> None:
    view = face[::-1, ::-1]
    assert not view.flags.writeable
    assert Occluder("eyes")(view, key="a").image.flags.writeable
