"""Grey occluders on grey faces, and the look `natural`: what is measured, what is recorded, what can be found."""

import hashlib
import math
import sys
from dataclasses import replace
from functools import cache
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.databases.demo import ROOT as DEMO_FACES
from occsynth.errors import TemplateError, UnknownNameError
from occsynth.modes import MODES, OTHER_LOOK, default_look
from occsynth.modes.face import Face
from occsynth.modes.finish import finished, with_grain
from occsynth.modes.measures import GREY_SPREAD, channel_spread, edge_blur_px, is_grey, measured, noise_of
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.render import Rendered, render
from occsynth.modes.seeds import key_stream
from occsynth.occluder import Occluder
from occsynth.option_values import LOOKS, Fill, Look
from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import blur
from occsynth.templates.pack import TemplatePack, load_pack
from occsynth.templates.sprites import OPAQUE_ALPHA
from tests.builds import OTHER_CPU, STEMS, demo_face, run_python
from tests.occsynth.modes.finding import Picture, auc_of_finding


@cache
def pack() -> TemplatePack:
    return load_pack()


def in_grey(pixels: Pixels) -> Pixels:
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    return np.asarray(cv2.merge([grey] * 3), np.uint8)


def face_of(stem: str, size_px: int, *, grey: bool = False, noise: float = 0.0) -> Face:
    """A demo face; grey, or with normal noise of that deviation."""
    found = demo_face(stem, size_px)
    pixels = in_grey(found.pixels) if grey else found.pixels
    if noise:
        added = np.random.default_rng(3).normal(0, noise, pixels.shape[:2])[:, :, None]
        pixels = np.clip(np.rint(pixels + added), 0, 255).astype(np.uint8)
    return Face.with_points(pixels, found.points_xy)


def draw(occluder: Occluder, face: Face, key: str) -> tuple[Rendered, Occlusion]:
    return occluder.draw(face.pixels, key_stream(occluder.seed, occluder.mode, key), face.regions.points_xy)


def channels_differ(pixels: Pixels) -> bool:
    return bool(channel_spread(pixels).any())


# what counts as grey


@pytest.mark.parametrize("subsampling", [cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444])
@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_a_grey_face_is_grey_after_a_jpeg_in_colour(quality: int, subsampling: int) -> None:
    for stem in STEMS:
        grey = in_grey(demo_face(stem, 120).pixels)
        how = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, subsampling]
        decoded = cv2.imdecode(cv2.imencode(".jpg", grey, how)[1], cv2.IMREAD_COLOR)
        assert decoded is not None
        assert is_grey(np.asarray(decoded, np.uint8))


def test_demo_faces_are_not_grey_and_a_tint_is_as_much_as_the_rule_says() -> None:
    for stem in STEMS:
        face = demo_face(stem, 48).pixels
        assert not is_grey(face)
        assert is_grey(in_grey(face))
        for tint, expected in ((GREY_SPREAD, True), (GREY_SPREAD + 1, False)):
            tinted = np.clip(in_grey(face), 20, 200)
            tinted[:, :, 0] += np.uint8(tint)
            assert is_grey(tinted) == expected


def test_a_coloured_corner_of_one_hundredth_leaves_a_face_grey() -> None:
    grey = np.full((100, 100, 3), 90, np.uint8)
    grey[:10, :10] = (200, 30, 30)
    assert is_grey(grey)
    grey[10, 0] = (200, 30, 30)
    assert not is_grey(grey)


# grey occluders


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("fill", ["template", "noise"])
@pytest.mark.parametrize("mode", MODES)
def test_what_hides_a_grey_face_is_grey(mode: str, fill: Fill, look: Look) -> None:
    kept = 0
    for stem in STEMS[:3]:
        face = face_of(stem, 64, grey=True)
        rendered, record = draw(Occluder(mode, pack(), fill=fill, look=look), face, stem)
        assert record.saturation == 0
        assert not channels_differ(rendered.image)
        assert np.array_equal(rendered.image[rendered.mask == 0], face.pixels[rendered.mask == 0])
        coloured, other = draw(Occluder(mode, pack(), fill=fill, look=look, keep_colour=True), face, stem)
        assert other.saturation > 0
        assert np.array_equal(coloured.mask, rendered.mask)
        kept += channels_differ(coloured.image)
        in_colour = draw(Occluder(mode, pack(), fill=fill, look=look), face_of(stem, 64), stem)[1]
        assert in_colour.saturation > 0
    assert kept


@pytest.mark.parametrize("fill", ["black", "mean"])
def test_fills_of_one_colour_stay_as_they_are(fill: Fill) -> None:
    face = face_of(STEMS[0], 48, grey=True)
    for look in LOOKS:
        rendered, record = draw(Occluder("eyes", fill=fill, look=look), face, "a")
        assert record == draw(Occluder("eyes", fill=fill, keep_colour=True), face, "a")[1]
        assert not channels_differ(rendered.image)


def test_a_grey_template_has_the_brightness_of_its_colours() -> None:
    """Within one level of the weights of ITU-R BT.601, and no colour above its alpha."""
    sprite = pack().reduced("food/apple_red.png", (60, 60)).pixels
    grey = finished(sprite, Occlusion("template", saturation=0))
    assert not channels_differ(grey[:, :, :3])
    assert np.abs(grey[:, :, 0] - sprite[:, :, :3] @ np.array([0.299, 0.587, 0.114])).max() <= 1
    assert np.array_equal(grey[:, :, 3], sprite[:, :, 3])


def test_grey_noise_is_uniform() -> None:
    record = Occlusion("noise", square_xyxy=(0, 0, 120, 120), noise="ab", saturation=0)
    found = render(np.zeros((120, 120, 3), np.uint8), record, None).image
    assert not channels_differ(found)
    assert np.bincount(found[:, :, 0].ravel() // 32).min() > 0.9 * 120 * 120 / 8


# applying a record


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(load_pack().templates)),
    st.integers(0, 256),
    st.integers(0, 1024),
    st.integers(-255, 255),
    st.sampled_from((0.0, 0.31, 1.7)),
    st.integers(0, 16 * 255),
)
def test_a_colour_never_exceeds_its_alpha(
    file: str, saturation: int, contrast: int, lift: int, blur_px: float, grain: int
) -> None:
    record = Occlusion("template", saturation=saturation, contrast=contrast, lift=lift, blur_px=blur_px, noise="7")
    layer = finished(pack().reduced(file, (30, 30)).pixels, record)
    layer = with_grain(layer, (3, 4, 33, 34), replace(record, grain_16ths=grain), (40, 40))
    assert (layer[:, :, :3] <= layer[:, :, 3:]).all()
    assert layer.dtype == np.uint8


def test_a_record_without_a_look_leaves_the_template_as_it_is() -> None:
    sprite = pack().reduced("food/apple_red.png", (40, 40)).pixels
    assert finished(sprite, Occlusion("template")) is sprite
    assert with_grain(sprite, (0, 0, 40, 40), Occlusion("template"), (50, 50)) is sprite


def test_tones_are_those_of_floats() -> None:
    rng = np.random.default_rng(2)
    layer = np.dstack([rng.integers(0, 256, (50, 50, 3), dtype=np.uint8), np.full((50, 50), 255, np.uint8)])
    found = finished(layer, Occlusion("template", saturation=100, contrast=160, lift=23))
    rgb = layer[:, :, :3].astype(float)
    grey = (rgb @ np.array([77, 150, 29]) / 256)[:, :, None]
    expected = np.clip((rgb - grey) * 100 / 256 + grey * 160 / 256 + 23, 0, 255)
    assert np.abs(found[:, :, :3] - expected).max() <= 0.51


def test_grain_has_its_deviation_and_belongs_to_the_pixels_of_the_picture() -> None:
    layer = np.full((200, 200, 4), (128, 128, 128, 255), np.uint8)
    record = Occlusion("template", noise="123", grain_16ths=96)
    found = with_grain(layer, (0, 0, 200, 200), record, (200, 200))
    apart = found[:, :, 0].astype(float) - 128
    assert apart.std() == pytest.approx(6, rel=0.03)
    assert abs(apart.mean()) < 0.1
    assert not channels_differ(found[:, :, :3])
    part = with_grain(layer[:50, :40], (30, 20, 70, 70), record, (200, 200))
    assert np.array_equal(part, found[20:70, 30:70])
    see_through = with_grain(np.full((200, 200, 4), (64, 64, 64, 128), np.uint8), (0, 0, 200, 200), record, (200, 200))
    assert see_through[:, :, 0].astype(float).std() == pytest.approx(3, rel=0.05)


# what is measured


@pytest.mark.parametrize("noise", [2.0, 4.0, 8.0])
def test_noise_is_measured_beside_texture(noise: float) -> None:
    for stem in STEMS:
        without = face_of(stem, 112)
        face = face_of(stem, 112, noise=noise)
        assert face.measures.noise == pytest.approx(noise, rel=0.25)
        assert without.measures.noise < 1


def test_the_blur_of_edges_grows_with_a_blur_and_with_enlarging() -> None:
    for stem in STEMS:
        small = np.ascontiguousarray(demo_face(stem, 48).pixels[:, :, 1])
        found = [edge_blur_px(blur(small, sigma_px)) for sigma_px in (0, 0.8, 1.6, 3.2)]
        assert found == sorted(found)
        assert found[-1] > 2 * found[0]
        enlarged = np.asarray(cv2.resize(small, (144, 144), interpolation=cv2.INTER_LINEAR), np.uint8)
        assert edge_blur_px(enlarged) > 1.5 * edge_blur_px(np.ascontiguousarray(demo_face(stem, 144).pixels[:, :, 1]))


def test_a_picture_without_edges_or_pixels_inside_is_measured_too() -> None:
    flat = np.full((30, 30, 3), 77, np.uint8)
    nothing = np.zeros((30, 30), bool)
    assert edge_blur_px(flat[:, :, 0].copy()) == 0
    found = measured(flat, nothing, 30)
    assert (found.brightness, found.contrast, found.colour, found.noise) == (77, 0, 0, 0)
    assert noise_of(flat[:1, :1, 0].copy(), np.ones((1, 1), bool)) == 0


# the look natural


@pytest.mark.parametrize("mode", MODES)
def test_natural_changes_the_look_alone(mode: str) -> None:
    """The same template at the same place; nothing changes outside the mask; the record replays."""
    for stem in STEMS[:3]:
        for size_px, grey, noise in ((48, True, 0), (112, False, 6)):
            face = face_of(stem, size_px, grey=grey, noise=noise)
            _, pasted = draw(Occluder(mode, pack(), look="pasted"), face, stem)
            rendered, record = draw(Occluder(mode, pack(), look="natural"), face, stem)
            for name in ("template", "affine", "pieces", "sprite_wh", "square_xyxy", "feather_px", "partial"):
                assert getattr(record, name) == getattr(pasted, name)
            assert record.shadow is not None
            outside = rendered.mask == 0
            assert np.array_equal(rendered.image[outside], face.pixels[outside])
            assert (rendered.mask >= rendered.alpha).all()
            again = Occlusion.from_json(record.to_json())
            assert again == record
            assert np.array_equal(render(face.pixels, again, load_pack()).image, rendered.image)


@pytest.mark.parametrize("mode", MODES)
def test_natural_hides_as_much_as_pasted(mode: str) -> None:
    """A blurred outline still lies where the sharp one did."""
    for stem in STEMS:
        face = face_of(stem, 96)
        shares = [
            face.regions.coverage(draw(Occluder(mode, pack(), look=look), face, stem)[0].alpha, OPAQUE_ALPHA)["face"]
            for look in LOOKS
        ]
        assert shares[0] == pytest.approx(shares[1], abs=0.015)


def test_natural_brings_brightness_contrast_sharpness_and_noise_to_the_face() -> None:
    apart: dict[Look, list[npt.NDArray[np.float64]]] = {look: [] for look in LOOKS}
    small = [face_of(stem, 48, grey=True) for stem in STEMS]
    enlarged = [cv2.resize(face.pixels, (144, 144), interpolation=cv2.INTER_LINEAR) for face in small]
    for number, pixels in enumerate(enlarged * 4):
        noisy = pixels + np.random.default_rng(number).normal(0, 5, pixels.shape[:2])[:, :, None]
        face = Face.with_points(
            np.clip(np.rint(noisy), 0, 255).astype(np.uint8), small[number % 5].regions.points_xy * 3
        )
        for look in LOOKS:
            rendered, _ = draw(Occluder("random", pack(), look=look), face, str(number))
            found = measured(rendered.image, rendered.alpha >= 250, 144)
            its = face.measures
            apart[look].append(
                np.array([found.brightness - its.brightness, math.log(found.contrast / its.contrast), found.noise - 5])
            )
    natural, pasted = (np.abs(np.median(np.abs(apart[look]), axis=0)) for look in ("natural", "pasted"))
    assert (natural < 0.75 * pasted).all(), (natural, pasted)


def test_a_template_is_blurred_on_an_enlarged_face_and_not_on_a_sharp_one() -> None:
    sharp = np.kron(np.random.default_rng(4).integers(0, 256, (6, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    enlarged = np.asarray(cv2.resize(sharp, (144, 144), interpolation=cv2.INTER_LINEAR), np.uint8)
    for mode in ("random", "r24", "eyes"):
        occluder = Occluder(mode, pack(), look="natural")
        assert occluder(sharp, key="a").occlusion.blur_px == 0
        assert occluder(enlarged, key="a").occlusion.blur_px > 0.5


def test_other_machines_measure_and_render_the_same() -> None:
    code = "from tests.occsynth.modes.test_look import natural_digests\nprint(natural_digests())"
    here = natural_digests()
    assert len(set(here.split())) == len(MODES) * 3
    for environment in (OTHER_CPU, {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"}):
        assert run_python(code, **environment).split() == here.split()


def natural_digests() -> str:
    """A digest of record and pixels of each mode, on a grey, a noisy and an enlarged face."""
    source = cv2.imread(str(DEMO_FACES / "images/s001/s001_anger.jpg"))
    assert source is not None
    small = np.asarray(cv2.resize(source, (48, 48), interpolation=cv2.INTER_AREA), np.uint8)
    noise = np.random.default_rng(1).integers(0, 20, small.shape, dtype=np.uint8)
    faces = [in_grey(small), cv2.add(small, noise), cv2.resize(small, (112, 112), interpolation=cv2.INTER_LINEAR)]
    digests = []
    for mode in MODES:
        for face in faces:
            made = Occluder(mode, pack(), look="natural")(np.asarray(face, np.uint8), key="a")
            content = made.image.tobytes() + made.mask.tobytes() + made.occlusion.to_json().encode()
            digests.append(hashlib.sha256(content).hexdigest())
    return " ".join(digests)


def test_the_look_is_the_modes_own_unless_it_is_given() -> None:
    for mode in MODES:
        paper = mode in ("random", "eyes", "mouth", "r8", "r16", "r24")
        assert default_look(mode) == ("pasted" if paper else OTHER_LOOK)
        assert Occluder(mode, pack()).choices.look == default_look(mode)
    with pytest.raises(UnknownNameError, match="unknown look 'shiny'; choose one of: natural, pasted"):
        Occluder("random", look=cast(Look, "shiny"))


@pytest.mark.parametrize("extra", ["colour_match", "shadow"])
def test_natural_takes_neither_colour_match_nor_shadow(extra: str) -> None:
    with pytest.raises(TemplateError, match="natural decides brightness and shadow by itself"):
        Occluder("random", look="natural", colour_match=extra == "colour_match", shadow=extra == "shadow")


# can a classifier find it?


def pictures(size_px: int, *, grey: bool, enlarged: bool = False) -> list[Picture]:
    """Demo faces of all 40 people; `enlarged` from 48 pixels."""
    made = []
    for path in sorted(DEMO_FACES.glob("images/*/*.jpg"))[::3]:
        found = face_of(path.stem, 48 if enlarged else size_px, grey=grey)
        if enlarged:
            pixels = cv2.resize(found.pixels, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
            found = Face.with_points(np.asarray(pixels, np.uint8), found.regions.points_xy * size_px / 48)
        made.append(Picture(found, path.parent.name, path.stem))
    return made


def finding_table() -> dict[str, list[float]]:
    """Area under the ROC curve of finding pasted pixels: colours kept and pasted, pasted, natural."""
    sets = {
        "grey, 48 px": pictures(48, grey=True),
        "grey, 48 px enlarged to 144": pictures(144, grey=True, enlarged=True),
        "colour, 96 px": pictures(96, grey=False),
    }
    return {
        name: [
            auc_of_finding(of, Occluder("random", pack(), look="pasted", keep_colour=True)),
            auc_of_finding(of, Occluder("random", pack(), look="pasted")),
            auc_of_finding(of, Occluder("random", pack(), look="natural")),
        ]
        for name, of in sets.items()
    }


@pytest.mark.slow
def test_a_classifier_finds_natural_occluders_less_well_than_pasted_ones() -> None:
    for name, (coloured, pasted, natural) in finding_table().items():
        sys.stdout.write(f"{name}: colours kept {coloured:.3f}, pasted {pasted:.3f}, natural {natural:.3f}\n")
        assert natural < pasted - 0.05
        assert pasted <= coloured + 0.001
