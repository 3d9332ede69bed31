"""Chosen occlusions: every mode and kind of occluder, records that replay, and what is said where that cannot be."""

from pathlib import Path

import numpy as np
import pytest

from occfer.data.arrays import Images
from occfer.errors import DataError
from occfer.faces.align import FaceAligner
from occfer.faces.chosen_occlusion import ANY_TEMPLATE, KINDS, Choice, ChosenOccluder, OccludedFace, takes_share
from occfer.faces.face import Face
from occfer.faces.pictures import read_picture
from occsynth.modes import FAMILIES, MODES
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.render import render
from occsynth.templates.pack import load_pack
from tests.builds import DEMO_ROOT, demo_source

PICTURE = read_picture(DEMO_ROOT / demo_source("s001_anger"))
OCCLUDER = ChosenOccluder()


def face_of(picture: Images = PICTURE, size_px: int = 64) -> Face:
    face = FaceAligner(size_px, "similarity", with_points=True)(picture)
    assert face is not None
    return face


FACE = face_of()


def drawn(kind: str = "cover", percent: int = 40, occluder: str = ANY_TEMPLATE, seed: int = 0) -> OccludedFace:
    return OCCLUDER(FACE, Choice(kind, percent, occluder, seed), PICTURE)


@pytest.mark.parametrize("occluder", [ANY_TEMPLATE, "plain black", "plain mean", "plain noise"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_record_replays_to_the_face_that_is_shown(kind: str, occluder: str) -> None:
    shown = drawn(kind, 30, occluder)
    again = render(FACE.image, Occlusion.from_json(shown.record), load_pack())
    np.testing.assert_array_equal(again.image, shown.image)
    np.testing.assert_array_equal(again.mask, shown.mask)
    assert (shown.image != FACE.image).any()
    np.testing.assert_array_equal(shown.image[shown.mask == 0], FACE.image[shown.mask == 0])
    if takes_share(kind):
        assert abs(shown.hidden_fraction - 0.3) < 0.06


def test_all_modes_can_be_chosen_and_only_families_take_a_share() -> None:
    assert set(KINDS) == {*MODES, *FAMILIES}
    assert {kind for kind in KINDS if takes_share(kind)} == set(FAMILIES)
    assert not [what for what in KINDS.values() if "NN" in what]


def test_a_larger_share_hides_more() -> None:
    hidden = [drawn(percent=percent, occluder="plain black").hidden_fraction for percent in (5, 30, 60, 95)]
    assert hidden == sorted(hidden) and hidden[0] < 0.1 and hidden[-1] > 0.85


def test_a_choice_draws_the_same_again_and_another_seed_another() -> None:
    assert drawn().record == drawn().record
    assert len({drawn(seed=seed).record for seed in range(4)}) == 4


def test_models_with_other_sizes_get_the_same_draw() -> None:
    small = OCCLUDER(face_of(size_px=48), Choice("random", 1), PICTURE)
    large = OCCLUDER(face_of(size_px=96), Choice("random", 1), PICTURE)
    assert Occlusion.from_json(small.record).template == Occlusion.from_json(large.record).template
    assert abs(small.hidden_fraction - large.hidden_fraction) < 0.03


def test_a_category_or_one_template_is_taken() -> None:
    assert {Occlusion.from_json(drawn(occluder="any food", seed=seed).record).category for seed in range(5)} == {"food"}
    for file in ("food/apple_red.png", "drink/beer_mug.png"):
        for seed in range(3):
            assert Occlusion.from_json(drawn("random", occluder=file, seed=seed).record).template == file
    glasses = next(name for name in OCCLUDER.names if "wear/sunglasses" in name)
    assert Occlusion.from_json(drawn("sunglasses", occluder=glasses).record).template == glasses


def test_every_template_of_the_pack_is_listed() -> None:
    assert set(load_pack().templates) < set(OCCLUDER.names)
    assert OCCLUDER.names[0] == ANY_TEMPLATE


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (
            Choice("sunglasses", 1, "any food"),
            "^sunglasses draws only sunglasses; choose any template, any wear or",
        ),
        (Choice("mask", 1, "food/apple_red.png"), "^mask draws only mask and scarf; choose any template"),
        (
            Choice("eyes", 1, "any wear"),
            "^eyes cannot be drawn with any wear; choose another occluder, and for",
        ),
        (Choice("eyes", 1, "../secret.png"), "^no occluder '../secret.png'; choose one of the list$"),
        (Choice("nose", 1), "^no mode 'nose' of 1 %; choose one of the list, and 1 to 99 %$"),
        (Choice("cover", 100), "^no mode 'cover' of 100 %"),
    ],
)
def test_what_cannot_be_drawn_is_said(choice: Choice, said: str) -> None:
    with pytest.raises(DataError, match=said):
        OCCLUDER(FACE, choice, PICTURE)


def test_a_face_without_landmarks_and_a_folder_without_templates_are_refused(tmp_path: Path) -> None:
    without = FaceAligner(64, "none")(PICTURE)
    assert without is not None
    with pytest.raises(DataError, match="an aligner with points"):
        OCCLUDER(without, Choice("eyes", 1), PICTURE)
    with pytest.raises(DataError, match=str(tmp_path)):
        ChosenOccluder(tmp_path)
