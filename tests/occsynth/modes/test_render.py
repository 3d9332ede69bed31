"""Rendering: a record always gives the same pixels, none change outside the mask, hostile records are refused."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.errors import ManifestError, OccSynthError
from occsynth.modes.finish import finished
from occsynth.modes.occlusion import Occlusion, Shadow
from occsynth.modes.render import Rendered, occluder_layer, render
from occsynth.option_values import FILLS, Fill
from occsynth.pixels.images import Pixels
from occsynth.pixels.warp import invert, warp
from occsynth.templates.pack import TemplatePack, load_pack
from occsynth.templates.sprites import ReducedSprite

SIDE = 64


@cache
def pack() -> TemplatePack:
    return load_pack()


@cache
def clean() -> Pixels:
    pixels = np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels.flags.writeable = False
    return pixels


TEMPLATES = sorted(load_pack().templates)

whole = st.integers(-20, SIDE + 20)
colours = st.tuples(*[st.integers(0, 255)] * 3)
keys = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")


@st.composite
def plain_records(draw: st.DrawFn) -> Occlusion:
    fill: Fill = draw(st.sampled_from([fill for fill in FILLS if fill != "template"]))
    record = Occlusion(fill, rgb=draw(colours) if fill == "mean" else None, noise=draw(keys) if fill == "noise" else "")
    if draw(st.booleans()):
        x, y = draw(whole), draw(whole)
        square = (x, y, x + draw(st.integers(0, 40)), y + draw(st.integers(0, 40)))
        return replace(record, square_xyxy=square)
    return replace(record, hull_xy=tuple(draw(st.lists(st.tuples(whole, whole), min_size=1, max_size=8))))


@st.composite
def template_records(draw: st.DrawFn) -> Occlusion:
    name = draw(st.sampled_from(TEMPLATES))
    shrink = draw(st.integers(2, 12))
    wh = tuple(max(1, side // shrink) for side in pack().sprite(name).wh)
    angle, scale = draw(st.floats(-3.2, 3.2)), draw(st.floats(0.1, 1.3))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    middle = np.array([draw(whole), draw(whole)])
    x, y = float(middle[0] - cos * wh[0] / 2), float(middle[1] - sin * wh[0] / 2)
    shadow = st.builds(Shadow, st.tuples(st.integers(-9, 9), st.integers(-9, 9)), st.floats(0, 6), st.integers(0, 255))
    return Occlusion(
        "template",
        template=name,
        template_sha256=pack().file_sha256(name),
        category=pack().templates[name].category,
        sprite_wh=(wh[0], wh[1]),
        affine=invert((float(cos), -float(sin), x, float(sin), float(cos), y)),
        square_xyxy=draw(st.none() | st.just((10, 12, 40, 42))),
        feather_px=draw(st.sampled_from((0.0, 0.64, 1.5))),
        gain_rgb=draw(st.none() | st.tuples(*[st.integers(100, 400)] * 3)),
        saturation=draw(st.just(256) | st.integers(0, 256)),
        contrast=draw(st.just(256) | st.integers(0, 1024)),
        lift=draw(st.just(0) | st.integers(-255, 255)),
        blur_px=draw(st.sampled_from((0.0, 0.31, 1.7))),
        grain_16ths=draw(st.just(0) | st.integers(0, 16 * 255)),
        noise=draw(keys),
        shadow=draw(st.none() | shadow),
        partial=draw(st.booleans()),
    )


def assert_clean_outside(rendered: Rendered, pixels: Pixels) -> None:
    outside = rendered.mask == 0
    assert np.array_equal(rendered.image[outside], pixels[outside])
    assert rendered.image.dtype == rendered.mask.dtype == rendered.alpha.dtype == np.uint8
    assert rendered.image.shape == pixels.shape
    assert rendered.mask.shape == rendered.alpha.shape == pixels.shape[:2]


@settings(deadline=None)
@given(plain_records())
def test_plain_fills_change_their_patch_alone(record: Occlusion) -> None:
    rendered = render(clean(), record, None)
    assert_clean_outside(rendered, clean())
    assert set(np.unique(rendered.mask)) <= {0, 255}
    inside = rendered.mask > 0
    if record.fill != "noise":
        assert (rendered.image[inside] == (record.rgb or (0, 0, 0))).all()
    if record.square_xyxy is not None:
        x0, y0, x1, y1 = np.clip(record.square_xyxy, 0, SIDE)
        assert inside.sum() == (x1 - x0) * (y1 - y0) == inside[y0:y1, x0:x1].sum()
    assert Occlusion.from_json(record.to_json()) == record


@settings(deadline=None, max_examples=150)
@given(template_records())
def test_templates_change_nothing_outside_their_mask(record: Occlusion) -> None:
    before = clean().copy()
    rendered = render(clean(), record, pack())
    assert np.array_equal(clean(), before)
    assert_clean_outside(rendered, clean())
    assert (rendered.mask >= rendered.alpha).all()
    if record.shadow is None:
        assert np.array_equal(rendered.mask, rendered.alpha)
    if record.square_xyxy is not None:
        x0, y0, x1, y1 = record.square_xyxy
        kept = rendered.alpha.copy()
        kept[y0:y1, x0:x1] = 0
        assert not kept.any()


@settings(deadline=None, max_examples=60)
@given(template_records())
def test_a_record_comes_back_from_its_json_and_gives_the_same_pixels(record: Occlusion) -> None:
    again = Occlusion.from_json(record.to_json())
    assert again == record
    first, second = render(clean(), record, pack()), render(clean(), again, load_pack())
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)


@settings(deadline=None, max_examples=150)
@given(template_records())
def test_the_box_of_a_layer_holds_all_that_is_visible(record: Occlusion) -> None:
    record = replace(record, square_xyxy=None, grain_16ths=0)
    assert record.affine is not None
    assert record.sprite_wh is not None
    sprite = pack().reduced(record.template, record.sprite_wh, record.feather_px)
    everything = finished(warp(sprite.pixels, record.affine, (0, 0, SIDE, SIDE), transparent_outside=True), record)
    layer, (x0, y0, x1, y1) = occluder_layer(record, pack(), (SIDE, SIDE))
    boxed = np.zeros_like(everything)
    if layer is not None:
        boxed[y0:y1, x0:x1] = layer
    assert np.array_equal(boxed, everything)


def test_a_template_without_a_visible_pixel_changes_nothing() -> None:
    rendered = render(clean(), replace(DOT, shadow=Shadow((1, 1), 2.0, 90)), dot(0, (0, 0, 0)))
    assert np.array_equal(rendered.image, clean())
    assert not rendered.mask.any()


def naive(pixels: Pixels, layer: npt.NDArray[np.float64], light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The operator `over` of the textbooks, in float64: a premultiplied layer over the darkened pixels."""
    return pixels * light[:, :, None] * (1 - layer[:, :, 3:] / 255) + layer[:, :, :3]


@settings(deadline=None, max_examples=60)
@given(template_records())
def test_blending_is_within_one_and_a_half_levels_of_floats(record: Occlusion) -> None:
    record = replace(record, gain_rgb=None, shadow=None)
    rendered = render(clean(), record, pack())
    layer, (x0, y0, x1, y1) = occluder_layer(record, pack(), (SIDE, SIDE))
    whole_layer = np.zeros((SIDE, SIDE, 4))
    if layer is not None:
        whole_layer[y0:y1, x0:x1] = layer
    expected = naive(clean(), whole_layer, np.ones((SIDE, SIDE)))
    assert np.abs(rendered.image - expected).max() <= 1.5


def dot(alpha: int, rgb: tuple[int, int, int]) -> TemplatePack:
    """A template pack with one sprite more: 20 x 20 pixels of one colour."""
    found = load_pack()
    sprite = np.zeros((20, 20, 4), np.uint8)
    sprite[:] = (*[(value * alpha + 127) // 255 for value in rgb], alpha)
    found._reduced[("dot.png", (20, 20), 0.0)] = ReducedSprite(sprite)
    return found


DOT = Occlusion("template", template="dot.png", sprite_wh=(20, 20), affine=(1.0, 0.0, -22.0, 0.0, 1.0, -22.0))


@pytest.mark.parametrize("alpha", range(0, 256, 15))
def test_blending_is_exact_for_one_colour(alpha: int) -> None:
    rgb = (250, 20, 130)
    rendered = render(clean(), DOT, dot(alpha, rgb))
    inside = np.s_[22:42, 22:42]
    assert (rendered.mask[inside] == alpha).all()
    premultiplied = (np.array(rgb) * alpha + 127) // 255
    product = clean()[inside].astype(int) * (255 - alpha)
    assert np.array_equal(rendered.image[inside], (product * 2 + 255) // 510 + premultiplied)
    assert not np.delete(rendered.mask.ravel(), np.ravel_multi_index(np.mgrid[22:42, 22:42], (SIDE, SIDE))).any()


def test_an_opaque_template_hides_the_face_and_white_stays_white() -> None:
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for alpha in range(256):
        assert (render(white, DOT, dot(alpha, (255, 255, 255))).image == 255).all()
    assert (render(clean(), DOT, dot(255, (1, 2, 3))).image[22:42, 22:42] == (1, 2, 3)).all()


def test_a_shadow_darkens_and_is_part_of_the_mask() -> None:
    white = np.full((SIDE, SIDE, 3), 200, np.uint8)
    record = replace(DOT, shadow=Shadow((4, 6), 2.0, 100))
    rendered = render(white, record, dot(255, (9, 9, 9)))
    assert_clean_outside(rendered, white)
    beside = np.s_[43:46, 30:40]
    assert (rendered.image[beside] < 200).all()
    assert (rendered.mask[beside] > 0).all()
    assert not rendered.alpha[beside].any()
    assert rendered.mask.max() == 255
    outside_object = rendered.mask[rendered.alpha == 0]
    assert outside_object.max() <= 100


def test_a_shadow_falls_where_its_shift_says() -> None:
    white = np.full((SIDE, SIDE, 3), 200, np.uint8)
    for dx, dy in ((8, 0), (-8, 0), (0, 8), (0, -8), (5, -5)):
        rendered = render(white, replace(DOT, shadow=Shadow((dx, dy), 1.0, 200)), dot(255, (0, 0, 0)))
        shade = np.where(rendered.alpha == 0, rendered.mask, 0).astype(float)
        ys, xs = np.nonzero(shade)
        assert np.sign(round(xs.mean() - 31.5)) == np.sign(dx)
        assert np.sign(round(ys.mean() - 31.5)) == np.sign(dy)


def test_a_gain_changes_brightness_within_the_outline() -> None:
    brighter = render(clean(), replace(DOT, gain_rgb=(512, 256, 128)), dot(255, (60, 60, 60)))
    assert (brighter.image[22:42, 22:42] == (120, 60, 30)).all()
    capped = render(clean(), replace(DOT, gain_rgb=(9999, 256, 256)), dot(100, (250, 250, 250)))
    assert (capped.mask == render(clean(), DOT, dot(100, (250, 250, 250))).mask).all()
    assert_clean_outside(capped, clean())


def test_feathering_goes_inwards_only() -> None:
    name = "food/apple_red.png"
    wh = (40, 40)
    hard = Occlusion("template", template=name, sprite_wh=wh, affine=(1.0, 0.0, -10.0, 0.0, 1.0, -10.0))
    soft = replace(hard, feather_px=1.5)
    hard_mask, soft_mask = render(clean(), hard, pack()).mask, render(clean(), soft, pack()).mask
    assert (soft_mask <= hard_mask).all()
    assert soft_mask.astype(int).sum() < hard_mask.astype(int).sum()
    assert soft_mask.max() == hard_mask.max()


def test_a_template_outside_the_picture_changes_nothing() -> None:
    record = replace(DOT, affine=(1.0, 0.0, 900.0, 0.0, 1.0, 900.0))
    rendered = render(clean(), record, dot(255, (1, 2, 3)))
    assert np.array_equal(rendered.image, clean())
    assert not rendered.mask.any()


def test_noise_does_not_depend_on_what_lies_under_it() -> None:
    record = Occlusion("noise", square_xyxy=(5, 5, 30, 40), noise=f"{12345:032x}")
    black = np.zeros_like(clean())
    patch = np.s_[5:40, 5:30]
    assert np.array_equal(render(clean(), record, None).image[patch], render(black, record, None).image[patch])
    other = render(black, replace(record, noise=f"{12346:032x}"), None).image
    assert not np.array_equal(other[patch], render(black, record, None).image[patch])
    assert 120 < render(black, record, None).image[patch].mean() < 135


def test_noise_is_the_same_for_ever() -> None:
    """Raw bits of Philox with this key; a change breaks every manifest with fill noise."""
    record = Occlusion("noise", square_xyxy=(0, 0, 2, 2), noise="0123456789abcdef0123456789abcdef")
    found = render(np.zeros((2, 2, 3), np.uint8), record, None).image.ravel().tolist()
    words = np.random.Philox(key=0x0123456789ABCDEF0123456789ABCDEF).random_raw(2)
    assert found == list(b"".join(int(word).to_bytes(8, "little") for word in words)[:12])


def test_a_template_needs_its_pack() -> None:
    with pytest.raises(ManifestError, match=r"needs template dot\.png, but no template pack was given"):
        render(clean(), DOT, None)


def test_a_record_never_enlarges_a_sprite() -> None:
    wh = (5000, 10)
    record = replace(DOT, template="food/apple_red.png", sprite_wh=wh)
    with pytest.raises(ManifestError, match="must not be enlarged"):
        render(clean(), record, pack())


BASE: dict[str, Any] = {
    "template": {
        "fill": "template",
        "template": "food/apple_red.png",
        "sprite_wh": [20, 20],
        "affine": [1, 0, -9, 0, 1, -9],
    },
    "black": {"fill": "black", "square_xyxy": [1, 1, 9, 9]},
    "hull": {"fill": "black", "hull_xy": [[1, 1], [9, 1], [9, 9]]},
    "mean": {"fill": "mean", "rgb": [1, 2, 3], "square_xyxy": [1, 1, 9, 9]},
    "noise": {"fill": "noise", "noise": "ab", "square_xyxy": [1, 1, 9, 9]},
}

BAD = [
    ("template", {"fill": "glitter"}),
    ("template", {"affine": None}),
    ("template", {"affine": [1, 0, 0, 0, 1]}),
    ("template", {"affine": [1, 0, 0, 0, 1, "x"]}),
    ("template", {"affine": [1, 0, 0, 0, 1, float("nan")]}),
    ("template", {"affine": [1, 0, 0, 0, 1, float("inf")]}),
    ("template", {"affine": [0, 0, 0, 0, 0, 0]}),
    ("template", {"affine": 7}),
    ("template", {"template": ""}),
    ("template", {"template": 7}),
    ("template", {"template": "../../etc/passwd"}),
    ("template", {"template": "food/none.png"}),
    ("template", {"sprite_wh": None}),
    ("template", {"sprite_wh": [0, 20]}),
    ("template", {"sprite_wh": [-3, 20]}),
    ("template", {"sprite_wh": [20]}),
    ("template", {"sprite_wh": [20, 10**9]}),
    ("template", {"feather_px": -1}),
    ("template", {"feather_px": 1e9}),
    ("template", {"feather_px": "x"}),
    ("template", {"feather_px": None}),
    ("template", {"gain_rgb": [1, 2]}),
    ("template", {"gain_rgb": [-1, 2, 3]}),
    ("template", {"gain_rgb": [10**12, 2, 3]}),
    ("template", {"shadow": {"shift_xy": [1, 1], "sigma_px": 1}}),
    ("template", {"shadow": {"shift_xy": [1, 1], "sigma_px": 1, "opacity": 300}}),
    ("template", {"shadow": {"shift_xy": [1, 1], "sigma_px": 1, "opacity": -1}}),
    ("template", {"shadow": {"shift_xy": [1, 1], "sigma_px": float("nan"), "opacity": 1}}),
    ("template", {"shadow": {"shift_xy": [10**12, 1], "sigma_px": 1, "opacity": 9}}),
    ("template", {"shadow": 3}),
    ("template", {"square_xyxy": [1, 2, 3]}),
    ("template", {"saturation": 257}),
    ("template", {"saturation": -1}),
    ("template", {"saturation": 0.5}),
    ("template", {"contrast": -1}),
    ("template", {"contrast": 1025}),
    ("template", {"lift": 256}),
    ("template", {"lift": [1, 2, 3]}),
    ("template", {"blur_px": -1}),
    ("template", {"blur_px": 1e9}),
    ("template", {"blur_px": float("nan")}),
    ("template", {"grain_16ths": 16}),
    ("template", {"grain_16ths": 16, "noise": "no hex"}),
    ("template", {"grain_16ths": 5000, "noise": "ab"}),
    ("noise", {"saturation": 128}),
    ("black", {"square_xyxy": None}),
    ("black", {"square_xyxy": [1, 1, 9]}),
    ("black", {"square_xyxy": [1, 1, 9, "x"]}),
    ("black", {"hull_xy": [[1, 1]]}),
    ("hull", {"hull_xy": []}),
    ("hull", {"hull_xy": [[1]]}),
    ("hull", {"hull_xy": [[10**12, 1], [2, 2], [3, 3]]}),
    ("mean", {"rgb": None}),
    ("mean", {"rgb": [1, 2]}),
    ("mean", {"rgb": [1, 2, 999]}),
    ("mean", {"rgb": [-1, 2, 3]}),
    ("noise", {"noise": ""}),
    ("noise", {"noise": "no hex"}),
    ("noise", {"noise": "f" * 400}),
    ("noise", {"noise": 5}),
    ("black", {"colour": "unknown field"}),
    ("black", {"partial": "maybe"}),
]


@pytest.mark.parametrize("base, change", BAD, ids=[f"{base}-{json.dumps(change)[:40]}" for base, change in BAD])
def test_a_hostile_record_is_an_error_not_a_crash(base: str, change: dict[str, Any]) -> None:
    text = json.dumps(BASE[base] | change)
    with pytest.raises(OccSynthError):
        render(clean(), Occlusion.from_json(text), pack())


@pytest.mark.parametrize("text", ["", "[]", "null", "3", "{", "{}", '{"fill": ["black"]}', '{"fill": null}'])
def test_text_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="column occlusion"):
        Occlusion.from_json(text)


@pytest.mark.parametrize("base", BASE)
def test_the_bases_of_the_hostile_records_are_good_ones(base: str) -> None:
    rendered = render(clean(), Occlusion.from_json(json.dumps(BASE[base])), pack())
    assert rendered.mask.any()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None, max_examples=400)
@given(
    st.sampled_from(sorted(BASE)), st.sampled_from(sorted(BASE["template"] | BASE["mean"] | BASE["noise"])), json_values
)
def test_any_value_in_any_field_renders_or_is_refused(base: str, name: str, value: object) -> None:
    try:
        rendered = render(clean(), Occlusion.from_json(json.dumps(BASE[base] | {name: value})), pack())
    except OccSynthError:
        return
    assert_clean_outside(rendered, clean())


def test_opencv_product_is_exact_division() -> None:
    one, other = (each.astype(np.uint8).reshape(1, -1) for each in np.mgrid[0:256, 0:256])
    product = one.astype(int) * other
    assert np.array_equal(cv2.multiply(one, other, scale=1 / 255), (product * 2 + 255) // 510)
