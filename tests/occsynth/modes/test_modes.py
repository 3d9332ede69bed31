"""Every mode with every fill on demo faces: where the occlusion lies, what it hides, equal pixels on any machine."""

import hashlib
import itertools
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.errors import TemplateError, UnknownNameError
from occsynth.faces.align import Alignment, align_image
from occsynth.manifest import open_manifest
from occsynth.modes import DESCRIPTIONS, EXAMPLES, FAMILIES, GROUPS, MODES, REAL, expand, find_mode, is_mode
from occsynth.modes.face import Face, long_axis_deg, uniform
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.region import HIDDEN_GOAL
from occsynth.modes.render import Rendered, render
from occsynth.modes.seeds import Stream, key_stream, noise_bytes, row_stream
from occsynth.occluder import Occluder
from occsynth.option_values import FILLS, Fill
from occsynth.pixels.sources import read_source
from occsynth.pixels.warp import invert, transform
from occsynth.templates.pack import TemplatePack, load_pack
from occsynth.templates.sprites import OPAQUE_ALPHA
from tests.builds import DEMO_ROOT, OTHER_CPU, ROOT, STEMS, AlignedFace, demo_face, demo_source, run_python

SQUARES = {"r8": 8, "r16": 16, "r24": 24}
NAMES = (*MODES, "upper-40", "lower-20", "left-60", "right-40", "cover-20", "cover-60")
CASES = [(mode, fill) for mode in NAMES for fill in FILLS]


@cache
def pack() -> TemplatePack:
    return load_pack()


@cache
def occluder(mode: str, fill: Fill = "template", *, extras: bool = False, category: str = "") -> Occluder:
    categories = (category,) if category else None
    return Occluder(mode, pack(), seed=3, fill=fill, categories=categories, colour_match=extras, shadow=extras)


def draw(made_by: Occluder, face: AlignedFace, identity: str) -> tuple[Rendered, Occlusion]:
    return made_by.draw(face.pixels, key_stream(made_by.seed, made_by.mode, identity), face.points_xy)


@pytest.mark.parametrize("extras", [False, True], ids=["plain", "shadow+match"])
@pytest.mark.parametrize("mode, fill", CASES)
def test_outside_its_mask_the_image_is_the_clean_one(mode: str, fill: Fill, extras: bool) -> None:
    for stem in STEMS:
        for size_px, align in ((48, "similarity"), (96, "similarity"), (120, "none")):
            face = demo_face(stem, size_px, align)
            rendered, record = draw(occluder(mode, fill, extras=extras), face, stem)
            outside = rendered.mask == 0
            assert np.array_equal(rendered.image[outside], face.pixels[outside])
            assert rendered.mask.any(), "nothing is hidden"
            assert outside.any(), "everything is hidden"
            assert Occlusion.from_json(record.to_json()) == record
            again = render(face.pixels, Occlusion.from_json(record.to_json()), pack())
            assert np.array_equal(again.image, rendered.image)
            assert np.array_equal(again.mask, rendered.mask)


@pytest.mark.parametrize("mode, fill", CASES)
def test_the_fill_is_the_one_asked_for(mode: str, fill: Fill) -> None:
    face = demo_face(STEMS[0])
    rendered, record = draw(occluder(mode, fill), face, "a")
    inside = rendered.image[rendered.mask == 255]
    assert record.fill == fill
    if fill == "black":
        assert not inside.any()
    elif fill == "mean":
        mask = face.face.regions.masks["face"] > 0
        assert (inside == record.rgb).all()
        assert np.abs(face.pixels[mask].mean(axis=0) - inside[0]).max() <= 0.51
    elif fill == "noise":
        assert len(np.unique(inside)) > 100 or len(inside) < 200
    else:
        assert record.template in pack().templates
        assert record.template_sha256 == pack().file_sha256(record.template)


@pytest.mark.parametrize("fill", ["black", "mean", "noise"])
@pytest.mark.parametrize("mode", SQUARES)
@settings(deadline=None, max_examples=40)
@given(st.integers(8, 130), st.integers(8, 130), st.integers(0, 10**6))
def test_a_square_lies_inside_and_is_as_large_as_its_name(
    mode: str, fill: Fill, width: int, height: int, key: int
) -> None:
    image = np.full((height, width, 3), 100, np.uint8)
    made = Occluder(mode, seed=1, fill=fill)(image, key=str(key))
    assert made.occlusion.square_xyxy is not None
    x0, y0, x1, y1 = made.occlusion.square_xyxy
    side = max(1, round(min(width, height) * SQUARES[mode] / 48))
    assert (x1 - x0, y1 - y0) == (side, side)
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    assert (made.mask > 0).sum() == side * side


@pytest.mark.parametrize("size_px", [48, 96, 144, 240])
@pytest.mark.parametrize("mode", SQUARES)
def test_the_area_is_exactly_that_of_the_protocol(mode: str, size_px: int) -> None:
    image = np.full((size_px, size_px, 3), 100, np.uint8)
    made = Occluder(mode, fill="black")(image, key="x")
    assert (made.mask > 0).mean() * 48**2 == pytest.approx(SQUARES[mode] ** 2)


def test_squares_are_everywhere_in_the_picture_alike() -> None:
    """The place is uniform over all places that fit: mean and spread of its corner are right, and both ends occur."""
    image = np.zeros((48, 48, 3), np.uint8)
    made = Occluder("r16", fill="black", seed=5)
    corners = np.array([(made(image, key=str(key)).occlusion.square_xyxy or (0, 0))[:2] for key in range(2000)])
    assert corners.min() == 0
    assert corners.max() == 32
    assert np.abs(corners.mean(axis=0) - 16).max() < 1
    assert np.abs(corners.std(axis=0) - math.sqrt((33**2 - 1) / 12)).max() < 0.5


def opaque_box(record: Occlusion) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Low and high corner of the template's opaque pixels on the face, computed from its hull and the record."""
    assert record.affine is not None
    assert record.sprite_wh is not None
    sprite = pack().sprite(record.template)
    ratio = np.array(record.sprite_wh) / np.array(sprite.wh)
    hull = transform(invert(record.affine), (np.array(sprite.opaque_hull_xy) + 0.5) * ratio - 0.5)
    return hull.min(axis=0), hull.max(axis=0)


@pytest.mark.parametrize("category", ["food", "hand", "drink"])
@pytest.mark.parametrize("mode", SQUARES)
def test_a_template_fills_its_square_with_the_longer_side(mode: str, category: str) -> None:
    face = demo_face(STEMS[1], 144)
    for number in range(30):
        rendered, record = draw(occluder(mode, category=category), face, str(number))
        assert record.square_xyxy is not None
        square = np.array(record.square_xyxy, float)
        low, high = opaque_box(record)
        assert max(high - low) == pytest.approx(square[2] - square[0], abs=1e-6)
        assert (low + high) / 2 == pytest.approx((square[:2] + square[2:] - 1) / 2, abs=1e-6)
        # thin ends, such as a stalk or a finger tip, fade when they are shrunk
        ys, xs = np.nonzero(rendered.mask >= OPAQUE_ALPHA // 2)
        found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert (found[:2] >= square[:2]).all()
        assert (found[2:] <= square[2:]).all()
        assert max(found[2:] - found[:2]) == pytest.approx(square[2] - square[0], abs=1.5)
        assert not record.partial


def recorded_side(record: Occlusion) -> tuple[float, float]:
    assert record.affine is not None
    a, b, _, d, e, _ = record.affine
    return math.hypot(a, d), math.hypot(b, e)


@pytest.mark.parametrize("mode", [name for name in NAMES if name != "mask"])  # cloth follows the face
def test_templates_are_never_distorted(mode: str) -> None:
    """Both sides of the template have the same scale, up to the rounding of its reduced size."""
    face = demo_face(STEMS[2], 224)
    for number in range(10):
        _, record = draw(occluder(mode), face, str(number))
        assert record.affine is not None
        assert record.sprite_wh is not None
        wh = pack().sprite(record.template).wh
        a, b, _, d, e, _ = record.affine
        rx, ry = record.sprite_wh[0] / wh[0], record.sprite_wh[1] / wh[1]
        along_x, along_y = math.hypot(a / rx, b / rx), math.hypot(d / ry, e / ry)
        assert along_x == pytest.approx(along_y, rel=1e-9)
        assert (a / rx) * (d / ry) + (b / rx) * (e / ry) == pytest.approx(0, abs=1e-9 * along_x**2)
        # a shrunken copy is never coarser than the template is on the face
        assert min(recorded_side(record)) >= 0.98 or record.sprite_wh == wh


@pytest.mark.parametrize("region", ["eyes", "mouth"])
def test_a_region_is_hidden_or_the_record_says_partial(region: str) -> None:
    for stem in STEMS:
        for size_px in (48, 96, 224):
            face = demo_face(stem, size_px)
            for number in range(6):
                rendered, record = draw(occluder(region), face, f"{stem}{number}")
                assert face.face.regions.coverage(rendered.alpha, OPAQUE_ALPHA)[region] >= HIDDEN_GOAL or record.partial
                assert not pack().templates[record.template].see_through


@pytest.mark.parametrize("category", ["food", "hand", "drink"])
@pytest.mark.parametrize("region", ["eyes", "mouth"])
def test_partial_is_rare(region: str, category: str) -> None:
    records = [
        draw(occluder(region, category=category), demo_face(stem), f"{stem}{number}")[1]
        for stem in STEMS
        for number in range(8)
    ]
    assert sum(record.partial for record in records) <= 4


@pytest.mark.parametrize("fill", ["black", "mean", "noise"])
@pytest.mark.parametrize("region", ["eyes", "mouth"])
def test_a_plain_region_is_its_whole_hull_and_no_more(region: str, fill: Fill) -> None:
    for stem in STEMS:
        face = demo_face(stem)
        rendered, _ = draw(occluder(region, fill), face, stem)
        assert face.face.regions.coverage(rendered.alpha, OPAQUE_ALPHA)[region] == 1.0
        hull = face.face.regions.hulls[region]
        ys, xs = np.nonzero(rendered.mask)
        assert xs.min() >= hull[:, 0].min() - 1
        assert ys.max() <= hull[:, 1].max() + 1


def test_eyes_do_not_hide_the_mouth_nor_mouth_the_eyes_with_plain_fills() -> None:
    for stem in STEMS:
        face = demo_face(stem)
        eyes, mouth = (draw(occluder(mode, "black"), face, stem)[0] for mode in ("eyes", "mouth"))
        assert face.face.regions.coverage(eyes.alpha, OPAQUE_ALPHA)["mouth"] == 0
        assert face.face.regions.coverage(mouth.alpha, OPAQUE_ALPHA)["eyes"] == 0


def cut_edge(record: Occlusion) -> npt.NDArray[np.float64]:
    """`(2, 2)` both ends of the cut edge of a forearm, on the face."""
    sprite = pack().sprite(record.template)
    assert sprite.base_xy is not None
    assert record.affine is not None
    assert record.sprite_wh is not None
    ratio = np.array(record.sprite_wh) / np.array(sprite.wh)
    return transform(invert(record.affine), (sprite.base_xy + 0.5) * ratio - 0.5)


@pytest.mark.parametrize("mode", ["random", "eyes", "mouth"])
def test_a_forearm_comes_from_outside_the_picture(mode: str) -> None:
    seen = 0
    for stem in STEMS:
        for number in range(8):
            face = demo_face(stem, 112)
            _, record = draw(occluder(mode, category="hand"), face, f"{stem}{number}")
            low, high = cut_edge(record).min(axis=0), cut_edge(record).max(axis=0)
            outside = (high < 0).any() or (low > 111).any()
            assert outside or record.partial
            seen += bool(outside)
    assert seen >= 36


@pytest.mark.parametrize("mode", SQUARES)
def test_in_a_square_the_forearm_points_away_from_the_face(mode: str) -> None:
    face = demo_face(STEMS[0], 96)
    centre = np.array(face.face.regions.centre_xy)
    for number in range(20):
        _, record = draw(occluder(mode, category="hand"), face, str(number))
        low, high = opaque_box(record)
        middle = (low + high) / 2
        if np.linalg.norm(middle - centre) > 10:
            arm = cut_edge(record).mean(axis=0) - middle
            assert arm @ (middle - centre) > 0


def test_random_places_its_middle_on_the_face() -> None:
    for number in range(30):
        face = demo_face(STEMS[number % len(STEMS)])
        _, record = draw(occluder("random", category="food"), face, str(number))
        low, high = opaque_box(record)
        middle = (low + high) / 2
        oval = face.face.regions.hulls["face"]
        assert (middle >= oval.min(axis=0) - 1e-3).all()
        assert (middle <= oval.max(axis=0) + 1e-3).all()
        assert 0.3 * face.face.regions.width_px <= max(high - low) <= 0.85 * face.face.regions.width_px


def test_all_categories_and_many_templates_are_drawn() -> None:
    records = [draw(occluder("random"), demo_face(STEMS[0], 48), str(number))[1] for number in range(150)]
    count = {name: sum(record.category == name for record in records) for name in ("food", "hand", "drink")}
    assert min(count.values()) > 30
    assert len({record.template for record in records}) > 40
    assert any(pack().templates[record.template].see_through for record in records)


def test_another_seed_mode_picture_or_face_draws_otherwise() -> None:
    face = demo_face(STEMS[0])
    streams = [
        row_stream(seed, mode, source, crop)
        for seed in (0, 1)
        for mode in ("random", "r16")
        for source in ("a", "b")
        for crop in ("", "c")
    ]
    random = Occluder("random", pack())
    records = {random.draw(face.pixels, stream, face.points_xy)[1].to_json() for stream in streams}
    assert len(records) == len(streams) == 16


def test_streams_come_from_identity_and_no_separator_confuses_them() -> None:
    key = int.from_bytes(hashlib.sha256(b"1\x1fa\x1fb\x1fc").digest()[:16], "big")
    plain = np.random.Generator(np.random.Philox(key=key))
    ours = Stream(("1", "a", "b", "c")).rng()
    for high in (2, 23, 2**40):
        assert ours.integers(high) == plain.integers(high)
        assert uniform(ours, -3.7, high) == float(plain.uniform(-3.7, high))
    assert row_stream(1, "a", "b", "c").rng().integers(2**60) == row_stream(1, "a", "b", "c").rng().integers(2**60)
    names = set(itertools.product((1, 11), ("a", "aa"), ("b", "ab"), ("c", "bc")))
    streams = [row_stream(*each) for each in names] + [key_stream(seed, *each) for seed, *each, _ in names]
    streams = list(set(streams))
    assert len(streams) == len(names) + 8
    assert len({int(each.rng().integers(2**60)) for each in streams}) == len(streams)
    assert len({each.noise_key() for each in streams}) == len(streams)
    assert noise_bytes("ff", 5).tolist() == noise_bytes("ff", 100)[:5].tolist()
    assert len(noise_bytes("ff", 0)) == 0


def flat_face(side_px: int, shift_xy: tuple[float, float], scale: float = 1.0) -> Face:
    found = demo_face(STEMS[0], 96)
    points = ((found.points_xy - 48) * scale + 48) * side_px / 96 + np.array(shift_xy, np.float32)
    return Face.with_points(np.full((side_px, side_px, 3), 90, np.uint8), points.astype(np.float32))


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("mode", NAMES)
@pytest.mark.parametrize("shift_xy, scale", [((500, 500), 1), ((-60, 0), 1), ((0, 70), 1), ((0, 0), 4), ((0, 0), 0.05)])
def test_faces_at_odd_places_do_not_crash(mode: str, fill: Fill, shift_xy: tuple[float, float], scale: float) -> None:
    """The face lies outside the picture or half in it, or is far larger or far smaller than it."""
    face = flat_face(48, shift_xy, scale)
    made_by = occluder(mode, fill)
    record = made_by.sample(face, key_stream(made_by.seed, made_by.mode, "odd"))
    rendered = render(face.pixels, Occlusion.from_json(record.to_json()), made_by.choices.pack)
    assert np.array_equal(rendered.image[rendered.mask == 0], face.pixels[rendered.mask == 0])


@pytest.mark.parametrize("side_px", [8, 13, 700])
@pytest.mark.parametrize("mode", NAMES)
def test_tiny_and_large_pictures(mode: str, side_px: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    made = occluder(mode)(image, key="size")
    assert made.image.shape == image.shape
    assert np.array_equal(made.image[made.mask == 0], image[made.mask == 0])


def test_the_long_axis_of_a_hull() -> None:
    box = np.array([(0, 0), (40, 0), (40, 10), (0, 10)], float)
    for turn in (-80, -30, 0, 30, 60):
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        turned = box @ np.array([[cos, sin], [-sin, cos]])
        assert (long_axis_deg(turned) - turn + 90) % 180 == pytest.approx(90, abs=0.01)


def test_the_table_of_modes_loads_nothing_heavy() -> None:
    run_python("import sys, occsynth.modes\nassert not {'cv2', 'numpy'} & set(sys.modules)")


def test_every_mode_has_a_description_and_every_group_opens() -> None:
    assert set(DESCRIPTIONS) == {*MODES, *(f"{name}-NN" for name in FAMILIES), REAL}
    assert expand("table2") == ["r8", "r16", "r24", "eyes", "mouth"]
    assert expand(" r8, table2,r8 ") == ["r8", "r16", "r24", "eyes", "mouth"]
    assert set(itertools.chain(*GROUPS.values())) <= set(MODES)
    with pytest.raises(UnknownNameError, match=r"unknown mode 'r32'; choose one of: random, eyes, .*table2"):
        expand("r8,r32")
    with pytest.raises(UnknownNameError, match="no mode given; choose one of"):
        expand(" , ")


def test_a_share_is_part_of_a_modes_name() -> None:
    assert all(is_mode(name) and find_mode(name).face_fraction for name in EXAMPLES)
    assert expand("upper-1,cover-99,upper-1") == ["upper-1", "cover-99"]
    assert find_mode("left-37") is find_mode("left-37")
    assert find_mode("left-37").description == "the left 37 % of the face hidden, as seen in the picture"
    for name in (
        "upper-0",
        "upper-100",
        "upper-07",
        "upper-4.5",
        "upper--4",
        "upper-",
        "upper",
        "eyes-40",
        "upper-\uff140",
    ):
        assert not is_mode(name)
        with pytest.raises(UnknownNameError, match=rf"unknown mode '{name}'; .*upper-NN.*, as in upper-40"):
            find_mode(name)
    with pytest.raises(UnknownNameError, match="unknown mode 'real'"):
        find_mode(REAL)


def test_hiding_needs_a_template_that_can_hide() -> None:
    """A template pack of see-through items only cannot serve modes that must hide."""
    glass = next(each for each in pack().templates.values() if each.see_through)
    only_glass = TemplatePack(pack().folder, {glass.file: glass})
    image = np.zeros((48, 48, 3), np.uint8)
    assert Occluder("random", only_glass)(image, key="a").mask.any()
    with pytest.raises(TemplateError, match="has no template that is not see-through of category drink"):
        Occluder("r16", only_glass)(image, key="a")


def sampled_records() -> list[dict[str, Any]]:
    """Records of every mode and fill, without and with all extras, as a manifest would store them."""
    records = []
    for stem in STEMS[:3]:
        for size_px in (48, 112):
            face = demo_face(stem, size_px)
            for mode, fill in CASES:
                for extras in (False, True):
                    _, record = draw(occluder(mode, fill, extras=extras), face, stem)
                    content = {"stem": stem, "size_px": size_px, "align": face.alignment.to_json()}
                    records.append(content | {"occlusion": record.to_json()})
    return records


def rendered_hashes(records: list[dict[str, Any]]) -> list[str]:
    """Digest of the pixels of each record, made from its source as a replay makes them."""
    hashes = []
    for each in records:
        source = read_source(DEMO_ROOT, demo_source(each["stem"])).pixels
        clean = align_image(source, Alignment.from_json(each["align"]), each["size_px"])
        rendered = render(clean, Occlusion.from_json(each["occlusion"]), pack())
        parts = (clean, rendered.image, rendered.mask)
        hashes.append(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
    return hashes


@pytest.mark.parametrize(
    "environment",
    [
        OTHER_CPU,
        {"OPENCV_CPU_DISABLE": "SSE4_1,SSE4_2,POPCNT,AVX2,AVX,FP16,FMA3,AVX512_SKX", "OPENCV_IPP": "disabled"},
        {"OPENCV_IPP": "disabled"},
        {"OPENCV_CPU_DISABLE": "AVX2"},
        {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"},
    ],
    ids=["other-cpu", "oldest-cpu", "no-ipp", "no-avx2", "numpy-no-avx2"],
)
def test_another_cpu_gives_the_same_pixels(environment: dict[str, str], tmp_path: Path) -> None:
    records = sampled_records()
    (tmp_path / "records.json").write_text(json.dumps(records))
    code = (
        "import json, pathlib, sys, cv2\n"
        "from tests.occsynth.modes.test_modes import rendered_hashes\n"
        "print(json.dumps(rendered_hashes(json.loads(pathlib.Path(sys.argv[1]).read_text()))))\n"
    )
    there = json.loads(run_python(code, str(tmp_path / "records.json"), **environment).splitlines()[-1])
    here = rendered_hashes(records)
    assert len(here) == len(there) > 200
    different = [each["occlusion"] for each, one, two in zip(records, here, there, strict=True) if one != two]
    assert not different


def test_the_switch_really_switches() -> None:
    """OpenCV's own affine warp gives other pixels there, so the test above could see a difference."""
    code = (
        "import cv2, hashlib, numpy as np\n"
        "image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)\n"
        "turn = np.array([[0.9, 0.3, 2.2], [-0.3, 0.9, 20.7]])\n"
        "print(hashlib.sha256(cv2.warpAffine(image, turn, (64, 64)).tobytes()).hexdigest())\n"
    )
    assert run_python(code) != run_python(code, **OTHER_CPU)


def test_the_pictures_of_the_docs_can_be_made(tmp_path: Path) -> None:
    page = (ROOT / "docs/modes.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\(pictures/(\w+\.png)\)", page))
    code = "import runpy, sys\nrunpy.run_path('docs/make_pictures.py', run_name='__main__')"
    run_python(code, str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == named
    for name in named:
        ours, shown = (cv2.imread(str(folder / name)) for folder in (tmp_path, ROOT / "docs/pictures"))
        assert ours is not None
        assert shown is not None
        assert ours.shape == shown.shape
        assert np.mean(cv2.absdiff(ours, shown)) < 8  # another Pillow may choose other colours and letters


def test_the_table_of_hidden_shares_is_that_of_the_shipped_manifests() -> None:
    page = (ROOT / "docs/modes.md").read_text(encoding="utf-8")
    partial = 0
    for mode in (name for name, mode in MODES.items() if not mode.wears):
        rows = list(open_manifest(ROOT / "manifests" / f"demo-{mode}.csv").rows())
        partial += sum(Occlusion.from_json(row.occlusion).partial for row in rows)
        means = [
            sum(getattr(row, f"coverage_{name}") for row in rows) / len(rows) for name in ("face", "eyes", "mouth")
        ]
        shares = r"([\d.]+) % \| ([\d.]+) % \| ([\d.]+) %"
        line = re.findall(rf"^\| `{mode}` \| template \| [^|]+\| [\d.]+ % \| {shares} \|", page, re.MULTILINE)[0]
        assert [float(shown) for shown in line] == pytest.approx([100 * mean for mean in means], abs=0.051)
    assert partial == 0
