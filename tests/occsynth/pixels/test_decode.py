"""Decoding what databases hold - grey, 16 bits, palettes, transparency, turned photographs - and refusing the rest."""

import contextlib
import io
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from occsynth.errors import SourceError
from occsynth.pixels.decode import _plain_jpeg_wh, decode_rgb
from occsynth.pixels.images import Pixels
from tests.occsynth.pixels.image_files import claimed_png, packed


def test_grey_becomes_three_equal_channels(rgb: Pixels) -> None:
    grey = rgb[:, :, 0]
    decoded = decode_rgb(packed(Image.fromarray(grey)))
    assert all(np.array_equal(decoded[:, :, channel], grey) for channel in range(3))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_keep_their_upper_eight(rgb: Pixels, channels: int) -> None:
    alpha = np.full(rgb.shape[:2], 255, np.uint8)
    upper = np.dstack([rgb, alpha])[:, :, :channels].astype(np.uint16)
    done, content = cv2.imencode(".png", (upper << 8 | upper)[:, :, [2, 1, 0, 3][:channels] if channels > 1 else 0])
    assert done
    expected = rgb if channels > 1 else np.repeat(rgb[:, :, :1], 3, axis=2)
    assert np.array_equal(decode_rgb(content.tobytes()), expected)


def test_one_bit_and_palette_images(rgb: Pixels) -> None:
    one_bit = Image.fromarray(rgb[:, :, 0] > 100)
    assert np.array_equal(decode_rgb(packed(one_bit)), np.asarray(one_bit.convert("RGB")))
    palette = Image.fromarray(rgb).quantize(16)
    assert palette.mode == "P"
    assert np.array_equal(decode_rgb(packed(palette)), np.asarray(palette.convert("RGB")))


def over_grey(rgb: Pixels, alpha: Pixels) -> Pixels:
    share = alpha[:, :, None].astype(int)
    return np.asarray((rgb * share + 128 * (255 - share) + 127) // 255, np.uint8)


def test_transparency_is_laid_over_mid_grey(rgb: Pixels) -> None:
    alpha = rgb[:, :, 1]
    decoded = decode_rgb(packed(Image.fromarray(np.dstack([rgb, alpha]))))
    assert np.array_equal(decoded, over_grey(rgb, alpha))


def test_grey_with_transparency(rgb: Pixels) -> None:
    grey, alpha = rgb[:, :, 0], rgb[:, :, 1]
    decoded = decode_rgb(packed(Image.fromarray(np.dstack([grey, alpha]), "LA")))
    assert np.array_equal(decoded, over_grey(np.repeat(grey[:, :, None], 3, axis=2), alpha))


def test_palette_with_a_transparent_colour(rgb: Pixels) -> None:
    palette = Image.fromarray(rgb).quantize(16)
    content = packed(palette, transparency=palette.getpixel((0, 0)))
    rgba = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
    assert (rgba[:, :, 3] == 0).any()
    assert np.array_equal(decode_rgb(content), over_grey(rgba[:, :, :3], rgba[:, :, 3]))


def turned(image: Image.Image, orientation: int) -> Image.Exif:
    exif = image.getexif()
    exif[0x0112] = orientation
    return exif


UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_turned_photograph_is_put_upright(rgb: Pixels, orientation: int) -> None:
    image = Image.fromarray(rgb)
    flat = decode_rgb(packed(image, "JPEG", quality=95))
    content = packed(image, "JPEG", quality=95, exif=turned(image, orientation))
    assert np.array_equal(decode_rgb(content), UPRIGHT[orientation](flat))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_turned_image_with_transparency_is_put_upright_too(rgb: Pixels, orientation: int) -> None:
    rgba = np.dstack([rgb, rgb[:, :, 1]])
    image = Image.fromarray(rgba)
    content = packed(image, "PNG", exif=turned(image, orientation))
    assert np.array_equal(decode_rgb(content), UPRIGHT[orientation](over_grey(rgb, rgba[:, :, 3])))


@pytest.mark.parametrize("file_format", ["BMP", "TIFF", "WEBP"])
def test_other_lossless_formats(rgb: Pixels, file_format: str) -> None:
    options = {"lossless": True} if file_format == "WEBP" else {}
    assert np.array_equal(decode_rgb(packed(Image.fromarray(rgb), file_format, **options)), rgb)


@pytest.mark.parametrize("width, height", [(60_000, 60_000), (20_000, 10_000), (40_000, 1), (2**31 - 1, 2**31 - 1)])
def test_a_huge_header_is_refused_before_decoding(width: int, height: int) -> None:
    with pytest.raises(SourceError, match=r"beyond the limit|more pixels than the limit|not a readable image"):
        decode_rgb(claimed_png(width, height))


JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "grey": {"mode": "L"},
    "with a comment, a profile and EXIF": {"comment": b"x" * 300, "icc_profile": b"y" * 70_000, "exif": b"Exif\0\0z"},
    "four channels": {"mode": "CMYK"},
}


def jpeg(rgb: Pixels, mode: str = "RGB", **options: object) -> bytes:
    return packed(Image.fromarray(rgb).convert(mode), "JPEG", **options)


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_the_quick_look_at_a_jpeg_says_what_pillow_says_or_nothing(rgb: Pixels, options: dict[str, Any]) -> None:
    content = jpeg(rgb, **options)
    assert _plain_jpeg_wh(content) == (None if options.get("mode") == "CMYK" else (37, 23))
    rng = np.random.default_rng(3)
    for _ in range(400):
        damaged = bytearray(content)
        damaged[int(rng.integers(min(len(content), 700)))] = int(rng.integers(256))
        found = _plain_jpeg_wh(bytes(damaged))
        if found is not None:
            with contextlib.suppress(SyntaxError, OSError), Image.open(io.BytesIO(bytes(damaged))) as image:
                assert image.size == found
    assert all(_plain_jpeg_wh(content[:end]) in (None, (37, 23)) for end in range(400))


@pytest.mark.parametrize("wh", [(60_000, 60_000), (33_000, 10), (20_000, 10_000)])
def test_a_jpeg_that_claims_to_be_huge_is_refused_before_decoding(rgb: Pixels, wh: tuple[int, int]) -> None:
    content = jpeg(rgb).replace(struct.pack(">HH", 23, 37), struct.pack(">HH", wh[1], wh[0]), 1)
    with pytest.raises(SourceError, match=f"{wh[0]}x{wh[1]} is beyond the limit"):
        decode_rgb(content)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.98, 0.6, 0.3, 0.02])
def test_a_truncated_file_is_refused(file_format: str, share: float) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = packed(Image.fromarray(pixels), file_format)
    with pytest.raises(SourceError):
        decode_rgb(content[: int(len(content) * share)])


def test_damage_inside_a_png_is_refused(rgb: Pixels) -> None:
    content = bytearray(packed(Image.fromarray(rgb)))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(SourceError):
        decode_rgb(bytes(content))


def test_no_message_holds_a_memory_address() -> None:
    with pytest.raises(SourceError) as refused:
        decode_rgb(b"no image")
    assert "0x" not in str(refused.value)
