"""What people wear: where it lies on faces that look ahead, tilted or aside, and what it hides."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.errors import TemplateError
from occsynth.modes.face import Choices, Face
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.render import Rendered, render
from occsynth.modes.worn import worn
from occsynth.occluder import Occluder
from occsynth.option_values import FILLS, Fill
from occsynth.templates.pack import Template, TemplatePack, load_pack
from occsynth.templates.sprites import OPAQUE_ALPHA
from occsynth.templates.wear import ANCHORS, Wear
from tests.builds import STEMS, demo_face

SIDE_PX = 144


@cache
def pack() -> TemplatePack:
    return load_pack()


def worn_templates(*kinds: str) -> list[Template]:
    return [each for each in pack().templates.values() if each.wear and (not kinds or each.wear.kind in kinds)]


def wear(template: Template, face: Face, seed: int = 0) -> tuple[Rendered, Occlusion]:
    record = worn(np.random.default_rng(seed), pack(), template, face, Choices(pack()))
    return render(face.pixels, record, pack()), record


def turned(face: Face, degrees: float, squeeze: float = 1.0) -> Face:
    """A blank face whose landmarks are turned in the picture, and narrower, as those of a head turned aside."""
    points = face.regions.points_xy.astype(np.float64)
    middle = points.mean(axis=0)
    away = (points - middle) * (squeeze, 1.0)
    # the far half is foreshortened more than the near one
    away[:, 0] *= np.where(away[:, 0] > 0, squeeze, 1.0)
    turn = math.radians(degrees)
    matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return Face.with_points(
        np.full((SIDE_PX, SIDE_PX, 3), 120, np.uint8), (away @ matrix.T + middle).astype(np.float32)
    )


HIDDEN = {
    "sunglasses": (33, 133, 468, 263, 362, 473),
    "mask": (1, 2, 0, 17, 61, 291, 200),
    "scarf": (0, 17, 61, 291, 200),
}
FREE = {
    "sunglasses": (1, 2, 0, 17, 61, 291, 152, 10),
    "mask": (33, 133, 263, 362, 10, 151),
    "scarf": (33, 133, 263, 362, 10, 151),
    "brim": (33, 263, 1, 17, 152),
}


def alpha_at(alpha: npt.NDArray[np.uint8], face: Face, mesh: tuple[int, ...]) -> list[int]:
    places = np.rint(face.regions.points_xy[list(mesh)]).astype(int).clip(0, SIDE_PX - 1)
    return [int(alpha[y, x]) for x, y in places]


@pytest.mark.parametrize(
    "pose", [(0, 1.0), (25, 1.0), (-30, 0.8), (10, 0.65)], ids=["ahead", "tilted", "aside", "far aside"]
)
@pytest.mark.parametrize("template", worn_templates(), ids=lambda each: each.name)
def test_it_lies_where_it_is_worn(template: Template, pose: tuple[float, float]) -> None:
    assert template.wear is not None
    kind = template.wear.kind
    for stem in STEMS[:2]:
        face = turned(demo_face(stem, SIDE_PX).face, *pose)
        for seed in range(2):
            made, _ = wear(template, face, seed)
            assert min(alpha_at(made.alpha, face, HIDDEN.get(kind, ())), default=255) > 40, "what is worn there is not"
            assert max(alpha_at(made.alpha, face, FREE[kind])) < 20, "it hides what nobody covers with it"


@pytest.mark.parametrize("mode, region, others", [("sunglasses", "eyes", "mouth"), ("mask", "mouth", "eyes")])
@pytest.mark.parametrize("fill", FILLS)
def test_the_modes_hide_their_part_of_the_face(mode: str, region: str, others: str, fill: Fill) -> None:
    for stem in STEMS:
        face = demo_face(stem, 96).face
        for number in range(4):
            made = Occluder(mode, pack(), fill=fill)(
                face.pixels, key=f"{stem}{number}", points_xy=face.regions.points_xy
            )
            record = made.occlusion
            alpha = render(face.pixels, record, pack()).alpha
            shares = face.regions.coverage(alpha, OPAQUE_ALPHA)
            assert shares[region] > (0.35 if mode == "sunglasses" else 0.9)
            assert shares[others] < 0.05
            if fill == "template":
                assert record.category == "wear" and record.template.startswith("wear/")
            else:
                assert record.hull_xy and made.mask.any()


def test_each_kind_of_a_mode_is_drawn_and_no_other() -> None:
    face = demo_face(STEMS[0], 48).face
    for mode, kinds in (("sunglasses", {"sunglasses"}), ("mask", {"mask", "scarf"})):
        made = Occluder(mode, pack())
        drawn = {made(face.pixels, key=str(n), points_xy=face.regions.points_xy).occlusion.template for n in range(60)}
        assert {each.removeprefix("wear/").partition("_")[0] for each in drawn} == kinds
        assert len(drawn) >= 8


def test_other_modes_draw_nothing_that_is_worn_unless_random_is_asked_to() -> None:
    face = demo_face(STEMS[0], 48).face
    for mode in ("random", "eyes", "r16"):
        made = Occluder(mode, pack())
        assert all(made(face.pixels, key=str(n)).occlusion.category != "wear" for n in range(30))
    asked = Occluder("random", pack(), categories=("wear",))
    drawn = {asked(face.pixels, key=str(n), points_xy=face.regions.points_xy).occlusion.template for n in range(80)}
    assert {each.removeprefix("wear/").partition("_")[0] for each in drawn} == {"sunglasses", "mask", "scarf", "brim"}
    with pytest.raises(TemplateError, match="what is worn is drawn by other modes"):
        Occluder("eyes", pack(), categories=("wear",))(face.pixels, key="a")


def test_a_pack_without_wear_says_what_it_lacks() -> None:
    bare = TemplatePack(pack().folder, {each.file: each for each in pack().templates.values() if each.wear is None})
    with pytest.raises(TemplateError, match=r"no template of kind mask, scarf; .*wear\.csv must say what is worn"):
        Occluder("mask", bare)


LINE = tuple((name, 10.0 * number, 40.0) for number, name in enumerate(("ear_left", "chin", "ear_right", "nose_tip")))
FLAT = (*LINE[:3], ("nose_tip", 30.0, 41.0))
POINT = tuple((name, 5.0, 5.0) for name, _, _ in LINE)


@pytest.mark.parametrize("anchors", [LINE, FLAT, POINT], ids=["line", "flat", "point"])
def test_anchors_that_span_nothing_are_refused(anchors: tuple[tuple[str, float, float], ...]) -> None:
    template = pack().templates["wear/mask_ffp2_white.png"]
    face = demo_face(STEMS[0], 48).face
    with pytest.raises(
        TemplateError, match=r"mask_ffp2_white\.png cannot be worn: (its anchors lie on|all face points)"
    ):
        wear(replace(template, wear=Wear("mask", "pieces", anchors)), face)


ANY_PLACE = st.tuples(st.integers(-50, 300), st.integers(-50, 300))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(ANCHORS)), ANY_PLACE, min_size=3, max_size=12), st.integers(0, 9))
def test_wherever_the_anchors_are_the_record_can_be_rendered_or_one_line_says_why_not(
    places: dict[str, tuple[int, int]], seed: int
) -> None:
    anchors = tuple((name, float(x), float(y)) for name, (x, y) in places.items())
    template = replace(pack().templates["wear/scarf_wool_red.png"], wear=Wear("scarf", "pieces", anchors))
    face = demo_face(STEMS[0], 48).face
    try:
        made, record = wear(template, face, seed)
    except TemplateError as error:
        assert "cannot be worn" in str(error)
    else:
        assert Occlusion.from_json(record.to_json()) == record
        assert np.array_equal(made.image[made.mask == 0], face.pixels[made.mask == 0])


def test_mirrored_templates_lie_on_the_same_places() -> None:
    template = pack().templates["wear/mask_cloth_stripes.png"]
    face = demo_face(STEMS[0], SIDE_PX).face
    both = {
        wear(template, face, seed)[1].pieces is not None and _is_mirrored(wear(template, face, seed)[1])
        for seed in range(8)
    }
    assert both == {True, False}


def _is_mirrored(record: Occlusion) -> bool:
    assert record.pieces is not None
    (ax, ay), (bx, by), (cx, cy) = (record.pieces.face_xy[each] for each in record.pieces.triangles[-1])
    (dx, dy), (ex, ey), (fx, fy) = (record.pieces.sprite_xy[each] for each in record.pieces.triangles[-1])
    there = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    return there * ((ex - dx) * (fy - dy) - (ey - dy) * (fx - dx)) < 0


def test_the_anchors_of_the_shipped_templates_lie_on_the_landmarks() -> None:
    """Laid on a face, an anchor lies on its landmark, but for the drawn scale and shift."""
    template = pack().templates["wear/mask_ffp2_white.png"]
    assert template.wear is not None
    face = demo_face(STEMS[1], SIDE_PX).face
    _, record = wear(template, face, 3)
    assert record.pieces is not None
    placed = np.array(record.pieces.face_xy[: len(template.wear.anchors)]) / 32
    wanted = face.regions.points_xy[[ANCHORS[name] for name, _, _ in template.wear.anchors]]
    if _is_mirrored(record):
        wanted = np.array([wanted[np.abs(wanted - each).sum(axis=1).argmin()] for each in placed])
    assert np.linalg.norm(placed - wanted, axis=1).max() < 0.05 * SIDE_PX
