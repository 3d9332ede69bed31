"""Decoding what databases hold - grey, 16 bits, palettes, transparency, turned photographs - and refusing the rest."""

import contextlib
import io
import resource
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occsynth.errors import SourceError
from occsynth.pixels.decode import _jpeg_frame, decode_rgb
from occsynth.pixels.images import Pixels, read_bytes
from tests.builds import DEMO_ROOT, demo_source
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
    frame = _jpeg_frame(content)
    assert frame is not None and frame.wh == (37, 23)
    assert frame.plain == (options.get("mode") != "CMYK") and frame.progressive == ("progressive" in options)
    rng = np.random.default_rng(3)
    for _ in range(400):
        damaged = bytearray(content)
        damaged[int(rng.integers(min(len(content), 700)))] = int(rng.integers(256))
        found = _jpeg_frame(bytes(damaged))
        if found is not None and found.plain:
            with contextlib.suppress(SyntaxError, OSError), Image.open(io.BytesIO(bytes(damaged))) as image:
                assert image.size == found.wh
    assert all(_jpeg_frame(content[:end]) in (None, frame) for end in range(400))


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


CUT_JPEGS = {
    "baseline": {},
    "without chroma subsampling": {"subsampling": 0},
    "optimised": {"optimize": True},
    "restart marks": {"restart_marker_blocks": 3},
    "grey": {"mode": "L"},
    "four channels": {"mode": "CMYK"},
    "progressive": {"progressive": True},
    "grey and progressive": {"mode": "L", "progressive": True},
    "other pictures in the header": {"exif": b"Exif\0\0" + b"\xff\xd8\xff\xda\xff\xd9" * 9},
}


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    content = read_bytes(DEMO_ROOT / demo_source("s001_anger"))
    return Image.open(io.BytesIO(content)).convert("RGB").resize((150, 130))


@pytest.mark.parametrize("options", CUT_JPEGS.values(), ids=CUT_JPEGS)
@pytest.mark.parametrize("share", [0.01, 0.1, 0.34, 0.5, 0.7, 0.9])
@pytest.mark.parametrize(
    "tail",
    [b"\xff\xd9", b"\xff\xd9" + b"\0" * 5000, b"\xff" * 5000 + b"\xd9"],
    ids=["", "zeros after it", "erased memory before it"],
)
def test_a_cut_jpeg_with_an_end_mark_is_refused(
    photograph: Image.Image, options: dict[str, Any], share: float, tail: bytes
) -> None:
    kept = {name: value for name, value in options.items() if name != "mode"}
    content = packed(photograph.convert(options.get("mode", "RGB")), "JPEG", quality=92, **kept)
    decode_rgb(content)
    frame = _jpeg_frame(content)
    assert frame is not None
    cut = content[: frame.scan + int((len(content) - frame.scan) * share)].rstrip(b"\xff")
    with pytest.raises(SourceError, match="truncated"):
        decode_rgb(cut + tail)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("length", range(12))
def test_whatever_stands_behind_a_jpeg_is_left_alone(photograph: Image.Image, progressive: bool, length: int) -> None:
    content = packed(photograph, "JPEG", progressive=progressive)
    behind = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00"[:length]
    assert np.array_equal(decode_rgb(content + behind), decode_rgb(content))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("options", [{}, {"mode": "L"}, {"mode": "CMYK"}], ids=["colour", "grey", "four channels"])
def test_a_jpeg_whose_data_stop_at_a_mark_is_refused(
    photograph: Image.Image, options: dict[str, Any], share: float
) -> None:
    content = packed(photograph.convert(options.get("mode", "RGB")), "JPEG", quality=92)
    frame = _jpeg_frame(content)
    assert frame is not None and not frame.restarts
    middle = frame.scan + int((len(content) - frame.scan) * share)
    with pytest.raises(SourceError, match="truncated"):
        decode_rgb(content[:middle].rstrip(b"\xff") + b"\xff\xd0" + content[middle:])


@pytest.mark.parametrize("options", CUT_JPEGS.values(), ids=CUT_JPEGS)
@pytest.mark.parametrize("grey", [127, 128, 129])
@pytest.mark.parametrize("side_px", [7, 16, 48, 150])
def test_a_whole_jpeg_that_ends_in_grey_is_read_without_a_word_of_libjpeg(
    options: dict[str, Any], grey: int, side_px: int, capfd: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    pixels[side_px // 4 :] = grey
    kept = {name: value for name, value in options.items() if name != "mode"}
    image = Image.fromarray(pixels).convert(options.get("mode", "RGB"))
    content = packed(image, "JPEG", quality=92, **kept)
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert expected is not None and np.array_equal(decode_rgb(content), expected[:, :, ::-1])
    assert not capfd.readouterr().err


def test_every_demo_face_decodes_to_the_pixels_of_opencv() -> None:
    for path in sorted((DEMO_ROOT / "images").rglob("*.jpg"))[::7]:
        expected = cv2.imread(str(path))
        assert expected is not None and np.array_equal(decode_rgb(path.read_bytes()), expected[:, :, ::-1])


@pytest.mark.parametrize("end_mark", [b"IEND", b"\0\0\0\0IEND\xaeB`\x82"])
def test_a_cut_png_with_an_end_mark_is_refused(photograph: Image.Image, end_mark: bytes) -> None:
    content = packed(photograph)
    for share in (0.1, 0.34, 0.9):
        with pytest.raises(SourceError):
            decode_rgb(content[: int(len(content) * share)] + end_mark)


def numbers_tiff(numbers: npt.NDArray[Any]) -> bytes:
    """A TIFF of any type of numbers."""
    done, content = cv2.imencode(".tiff", numbers)
    assert done
    return content.tobytes()


@pytest.mark.parametrize("ending", [".png", ".tiff", ".ppm"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_small_numbers_of_sixteen_bits_are_numbers_of_eight(rgb: Pixels, ending: str, channels: int) -> None:
    """Such a picture came out black, since the upper eight bits of all its numbers are zero."""
    if ending == ".ppm" and channels != 3:
        return
    alpha = np.full(rgb.shape[:2], 255, np.uint8)
    numbers = np.dstack([rgb[:, :, ::-1], alpha])[:, :, :channels].astype(np.uint16)
    done, content = cv2.imencode(ending, numbers if channels > 1 else numbers[:, :, 0])
    assert done
    expected = rgb if channels > 1 else np.repeat(rgb[:, :, 2:], 3, axis=2)
    assert np.array_equal(decode_rgb(content.tobytes()), expected)


def test_signed_numbers_are_read_unless_some_are_below_zero(rgb: Pixels) -> None:
    numbers = rgb[:, :, 0].astype(np.int16)
    assert np.array_equal(decode_rgb(numbers_tiff(numbers))[:, :, 0], rgb[:, :, 0])
    with pytest.raises(SourceError, match="signed, some below zero"):
        decode_rgb(numbers_tiff(numbers - 20))


@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.float32])
def test_numbers_of_other_kinds_are_named(rgb: Pixels, kind: type[np.generic]) -> None:
    with pytest.raises(SourceError, match=f"pixels of type {kind.__name__}; they must have 8 or 16 bits"):
        decode_rgb(numbers_tiff(rgb[:, :, 0].astype(kind)))


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "TIFF", "WEBP"])
def test_the_first_picture_of_several_is_taken(rgb: Pixels, file_format: str) -> None:
    first, second = Image.fromarray(rgb).quantize(64).convert("RGB"), Image.fromarray(rgb[::-1, ::-1])
    options = {"lossless": True} if file_format == "WEBP" else {}
    content = packed(first, file_format, save_all=True, append_images=[second], **options)
    assert getattr(Image.open(io.BytesIO(content)), "n_frames", 1) == 2
    assert np.abs(decode_rgb(content).astype(int) - np.asarray(first)).max() <= 8


def test_four_channels_for_print_become_red_green_and_blue(rgb: Pixels) -> None:
    image = Image.new("CMYK", (32, 24), (0, 200, 200, 10))
    decoded = decode_rgb(packed(image, "JPEG", quality=95))
    assert np.abs(decoded.astype(int) - np.asarray(image.convert("RGB"))).max() < 12


def patched(content: bytes, at: int, kind: str, *numbers: int) -> bytes:
    changed = bytearray(content)
    struct.pack_into(kind, changed, at, *numbers)
    return bytes(changed)


def huge(file_format: str, rgb: Pixels, side_px: int) -> bytes:
    """A small file whose header claims a side of that many pixels."""
    content = packed(Image.fromarray(rgb), file_format)
    if file_format == "TIFF":
        (directory,) = struct.unpack_from("<I", content, 4)
        for number in range(struct.unpack_from("<H", content, directory)[0]):
            entry = directory + 2 + 12 * number
            if struct.unpack_from("<H", content, entry)[0] in (256, 257):
                content = patched(content, entry, "<HHII", *struct.unpack_from("<H", content, entry), 4, 1, side_px)
        return content
    if file_format == "BMP":
        return patched(content, 18, "<ii", side_px, side_px)
    if file_format == "GIF":
        return patched(content, 6, "<HH", min(side_px, 65535), min(side_px, 65535))
    if file_format == "PPM":
        return content.replace(b"37 23", f"{side_px} {side_px}".encode(), 1)
    return content.replace(struct.pack(">HH", 23, 37), struct.pack(">HH", min(side_px, 65535), min(side_px, 65535)), 1)


@pytest.mark.parametrize("file_format", ["TIFF", "BMP", "GIF", "PPM", "JPEG"])
@pytest.mark.parametrize("side_px", [33_000, 100_000, 2**31 - 1])
def test_every_format_that_claims_to_be_huge_is_refused_before_decoding(
    rgb: Pixels, file_format: str, side_px: int
) -> None:
    content = huge(file_format, rgb, side_px)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SourceError, match=r"beyond the limit|more pixels than the limit|not a readable image"):
        decode_rgb(content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


def test_damage_inside_a_png_is_refused(rgb: Pixels) -> None:
    content = bytearray(packed(Image.fromarray(rgb)))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(SourceError):
        decode_rgb(bytes(content))


def test_no_message_holds_a_memory_address() -> None:
    with pytest.raises(SourceError) as refused:
        decode_rgb(b"no image")
    assert "0x" not in str(refused.value)


SEEDS = [
    *(packed(Image.radial_gradient("L").resize((24, 16)).convert("RGB"), name) for name in
      ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")),
    packed(Image.radial_gradient("L").resize((40, 40)), "JPEG", progressive=True),
    packed(Image.radial_gradient("L").resize((24, 16)).convert("RGBA"), "PNG"),
]  # fmt: skip
"""Image files to damage."""


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged tags
@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=5)), min_size=1, max_size=6),
    st.integers(0, 2000),
)
def test_no_damage_raises_anything_but_a_source_error(
    content: bytes, patches: list[tuple[int, bytes]], end: int
) -> None:
    damaged = bytearray(content)
    for place, patch in patches:
        damaged[place % len(damaged) : place % len(damaged) + len(patch)] = patch
    try:
        decoded = decode_rgb(bytes(damaged[: end or None]))
    except SourceError as error:
        assert str(error).isprintable() and len(str(error)) < 400
    else:
        assert decoded.dtype == np.uint8 and decoded.shape[2] == 3
