"""Decoding what databases hold - grey, 16 bits, palettes, transparency, turned photographs - and refusing the rest."""

import contextlib
import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from occsynth.errors import BuildError, SourceError
from occsynth.files import write_atomic
from occsynth.pixels.images import (
    _plain_jpeg_wh,
    decode_rgb,
    encode,
    pixels_sha256,
    read_grey,
    read_rgb,
    read_source,
    source_sha256,
)
from tests.builds import DEMO_ROOT, demo_source

Array = npt.NDArray[np.uint8]


@pytest.fixture
def rgb() -> Array:
    """37 x 23 pixels in which no two corners are alike."""
    ys, xs = np.mgrid[0:23, 0:37]
    return np.stack([xs * 6, ys * 10, (xs * ys) % 256], axis=2).astype(np.uint8)


def packed(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def put(root: Path, name: str, content: bytes) -> str:
    (root / name).write_bytes(content)
    return name


def test_png_is_read_as_it_is(rgb: Array, tmp_path: Path) -> None:
    content = packed(Image.fromarray(rgb))
    source = read_source(tmp_path, put(tmp_path, "a.png", content))
    assert np.array_equal(source.pixels, rgb)
    assert source.sha256 == hashlib.sha256(content).hexdigest()
    assert source.pixels_sha256 == hashlib.sha256(rgb.tobytes()).hexdigest()


def test_grey_becomes_three_equal_channels(rgb: Array) -> None:
    grey = rgb[:, :, 0]
    decoded = decode_rgb(packed(Image.fromarray(grey)))
    assert all(np.array_equal(decoded[:, :, channel], grey) for channel in range(3))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_keep_their_upper_eight(rgb: Array, channels: int) -> None:
    alpha = np.full(rgb.shape[:2], 255, np.uint8)
    upper = np.dstack([rgb, alpha])[:, :, :channels].astype(np.uint16)
    done, content = cv2.imencode(".png", (upper << 8 | upper)[:, :, [2, 1, 0, 3][:channels] if channels > 1 else 0])
    assert done
    expected = rgb if channels > 1 else np.repeat(rgb[:, :, :1], 3, axis=2)
    assert np.array_equal(decode_rgb(content.tobytes()), expected)


def test_one_bit_and_palette_images(rgb: Array) -> None:
    one_bit = Image.fromarray(rgb[:, :, 0] > 100)
    assert np.array_equal(decode_rgb(packed(one_bit)), np.asarray(one_bit.convert("RGB")))
    palette = Image.fromarray(rgb).quantize(16)
    assert palette.mode == "P"
    assert np.array_equal(decode_rgb(packed(palette)), np.asarray(palette.convert("RGB")))


def over_grey(rgb: Array, alpha: Array) -> Array:
    share = alpha[:, :, None].astype(int)
    return np.asarray((rgb * share + 128 * (255 - share) + 127) // 255, np.uint8)


def test_transparency_is_laid_over_mid_grey(rgb: Array) -> None:
    alpha = rgb[:, :, 1]
    decoded = decode_rgb(packed(Image.fromarray(np.dstack([rgb, alpha]))))
    assert np.array_equal(decoded, over_grey(rgb, alpha))


def test_grey_with_transparency(rgb: Array) -> None:
    grey, alpha = rgb[:, :, 0], rgb[:, :, 1]
    decoded = decode_rgb(packed(Image.fromarray(np.dstack([grey, alpha]), "LA")))
    assert np.array_equal(decoded, over_grey(np.repeat(grey[:, :, None], 3, axis=2), alpha))


def test_palette_with_a_transparent_colour(rgb: Array) -> None:
    palette = Image.fromarray(rgb).quantize(16)
    content = packed(palette, transparency=palette.getpixel((0, 0)))
    rgba = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
    assert (rgba[:, :, 3] == 0).any()
    assert np.array_equal(decode_rgb(content), over_grey(rgba[:, :, :3], rgba[:, :, 3]))


def turned(image: Image.Image, orientation: int) -> Image.Exif:
    exif = image.getexif()
    exif[0x0112] = orientation
    return exif


UPRIGHT: dict[int, Callable[[Array], Array]] = {
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
def test_a_turned_photograph_is_put_upright(rgb: Array, orientation: int) -> None:
    image = Image.fromarray(rgb)
    flat = decode_rgb(packed(image, "JPEG", quality=95))
    content = packed(image, "JPEG", quality=95, exif=turned(image, orientation))
    assert np.array_equal(decode_rgb(content), UPRIGHT[orientation](flat))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_turned_image_with_transparency_is_put_upright_too(rgb: Array, orientation: int) -> None:
    rgba = np.dstack([rgb, rgb[:, :, 1]])
    image = Image.fromarray(rgba)
    content = packed(image, "PNG", exif=turned(image, orientation))
    assert np.array_equal(decode_rgb(content), UPRIGHT[orientation](over_grey(rgb, rgba[:, :, 3])))


@pytest.mark.parametrize("file_format", ["BMP", "TIFF", "WEBP"])
def test_other_lossless_formats(rgb: Array, file_format: str) -> None:
    options = {"lossless": True} if file_format == "WEBP" else {}
    assert np.array_equal(decode_rgb(packed(Image.fromarray(rgb), file_format, **options)), rgb)


def test_the_name_decides_nothing(rgb: Array, tmp_path: Path) -> None:
    put(tmp_path, "really_a_png.jpg", packed(Image.fromarray(rgb)))
    assert np.array_equal(read_source(tmp_path, "really_a_png.jpg").pixels, rgb)


def claimed_png(width: int, height: int) -> bytes:
    """A small file whose header claims any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 64))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


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


def jpeg(rgb: Array, mode: str = "RGB", **options: object) -> bytes:
    return packed(Image.fromarray(rgb).convert(mode), "JPEG", **options)


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_the_quick_look_at_a_jpeg_says_what_pillow_says_or_nothing(rgb: Array, options: dict[str, Any]) -> None:
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
def test_a_jpeg_that_claims_to_be_huge_is_refused_before_decoding(rgb: Array, wh: tuple[int, int]) -> None:
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


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "empty file"),
        (b"this is no image at all, only text", "not a readable image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a readable image"),
        (b"\x89PNG\r\n\x1a\n", "not a readable image"),
        (b"\xff\xd8\xff\xd9", "not a readable image"),
        (b"\0" * 4096, "not a readable image"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read_source(tmp_path, put(tmp_path, "a.jpg", content))


def test_damage_inside_a_png_is_refused(rgb: Array) -> None:
    content = bytearray(packed(Image.fromarray(rgb)))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(SourceError):
        decode_rgb(bytes(content))


def test_no_message_holds_a_memory_address() -> None:
    with pytest.raises(SourceError) as refused:
        decode_rgb(b"no image")
    assert "0x" not in str(refused.value)


@pytest.mark.parametrize("source", ["../secret.png", "/etc/passwd", "a\\b.png", "", "C:/a.png", "x/../../y.png"])
def test_a_source_outside_the_root_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(SourceError, match="leaves its root"):
        read_source(tmp_path, source)


def test_missing_files_folders_and_odd_fragments(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for source, said in (
        ("none.png", "file not found"),
        ("folder", "cannot be read"),
        ("none.csv#row=1", "file not found"),
        ("none.avi#frame=1", "file not found"),
        ("a.png#page=2", "neither #row=N nor #frame=N"),
        ("a.png#row=-1", "neither #row=N nor #frame=N"),
        ("a.png#row=", "neither #row=N nor #frame=N"),
        ("folder#row=1", "cannot be read"),
        ("folder#frame=1", "cannot be read"),
    ):
        with pytest.raises(SourceError, match=said):
            read_source(tmp_path, source)


def fer_csv(root: Path, rows: list[str]) -> None:
    (root / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "".join(f"{row}\n" for row in rows))


def test_a_csv_row_is_a_square_grey_image(tmp_path: Path) -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    fer_csv(tmp_path, [f"3,{' '.join(map(str, image.ravel()))},Training" for image in images])
    for row in (3, 1, 2):
        source = read_source(tmp_path, f"fer2013.csv#row={row}")
        assert np.array_equal(source.pixels, np.repeat(images[row - 1][:, :, None], 3, axis=2))
        assert source_sha256(tmp_path, f"fer2013.csv#row={row}") == source.sha256


def test_a_row_is_the_same_whatever_the_line_ends(tmp_path: Path) -> None:
    fer_csv(tmp_path, ["3,1 2 3 4,Training"])
    unix = read_source(tmp_path, "fer2013.csv#row=1")
    (tmp_path / "fer2013.csv").write_bytes(b"emotion,pixels,Usage\r\n3,1 2 3 4,Training\r\n")
    assert read_source(tmp_path, "fer2013.csv#row=1").sha256 == unix.sha256


@pytest.mark.parametrize(
    "row, said",
    [
        ("3,1 2 3,Training", "3 pixels are no square image"),
        ("3,,Training", "0 pixels are no square image"),
        ("3,1 2 3 256,Training", "row 1 holds no pixels"),
        ("3,1 2 3 -1,Training", "row 1 holds no pixels"),
        ("3,1 2 x 4,Training", "row 1 holds no pixels"),
        ("3", "row 1 holds no pixels"),
        ("", "row 1 holds no pixels"),
    ],
)
def test_a_row_without_an_image_is_refused(tmp_path: Path, row: str, said: str) -> None:
    fer_csv(tmp_path, [row])
    with pytest.raises(SourceError, match=said):
        read_source(tmp_path, "fer2013.csv#row=1")


def test_a_row_number_out_of_range_says_how_many_there_are(tmp_path: Path) -> None:
    fer_csv(tmp_path, ["3,1 2 3 4,Training"])
    for row in (0, 2, 999_999_999_999):
        with pytest.raises(SourceError, match=f"row {row} not found; the file has 1"):
            read_source(tmp_path, f"fer2013.csv#row={row}")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six frames, each brighter than the one before."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for number in range(6):
        writer.write(np.full((48, 64, 3), 20 + 40 * number, np.uint8))
    writer.release()
    return tmp_path


def test_a_frame_is_the_same_in_any_order(clip: Path) -> None:
    in_order = [read_source(clip, f"clip.avi#frame={number}") for number in range(6)]
    for number in (4, 1, 5, 0, 3):
        again = read_source(clip, f"clip.avi#frame={number}")
        assert np.array_equal(again.pixels, in_order[number].pixels)
        assert again.sha256 == in_order[number].sha256 == source_sha256(clip, f"clip.avi#frame={number}")
        assert abs(int(again.pixels.mean()) - (20 + 40 * number)) < 5
    assert len({each.sha256 for each in in_order}) == 6


def test_a_frame_beyond_the_end_and_a_broken_clip_are_refused(clip: Path) -> None:
    with pytest.raises(SourceError, match="frame 6 not found; 6 frames could be read"):
        read_source(clip, "clip.avi#frame=6")
    (clip / "broken.avi").write_bytes(b"RIFF not really a clip")
    with pytest.raises(SourceError, match="frame 0 not found"):
        read_source(clip, "broken.avi#frame=0")


def test_the_digest_alone_is_the_one_of_the_source() -> None:
    source = demo_source("s001_anger")
    assert source_sha256(DEMO_ROOT, source) == read_source(DEMO_ROOT, source).sha256
    with pytest.raises(SourceError, match="file not found"):
        source_sha256(DEMO_ROOT, "images/none.jpg")


def test_encoded_pixels_come_back(rgb: Array, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(rgb, "png"))
    assert np.array_equal(read_rgb(tmp_path / "a.png"), rgb)
    mask = rgb[:, :, 0]
    (tmp_path / "mask.png").write_bytes(encode(mask, "png"))
    assert np.array_equal(read_grey(tmp_path / "mask.png"), mask)
    (tmp_path / "a.jpg").write_bytes(encode(rgb, "jpeg"))
    assert np.abs(read_rgb(tmp_path / "a.jpg").astype(int) - rgb).mean() < 4


def test_made_images_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    for read in (read_rgb, read_grey):
        with pytest.raises(SourceError, match="not a readable image"):
            read(tmp_path / "a.png")
        with pytest.raises(SourceError, match="file not found"):
            read(tmp_path / "none.png")


def test_the_hash_is_over_pixels_not_memory_layout(rgb: Array) -> None:
    assert pixels_sha256(rgb[:, ::-1]) == pixels_sha256(np.ascontiguousarray(rgb[:, ::-1]))
    assert pixels_sha256(rgb[:, ::-1]) != pixels_sha256(rgb)


def test_a_write_leaves_the_file_or_nothing(tmp_path: Path) -> None:
    write_atomic(tmp_path / "deep" / "a.bin", b"one")
    write_atomic(tmp_path / "deep" / "a.bin", b"two")
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"two"
    (tmp_path / "taken.bin").mkdir()
    with pytest.raises(BuildError, match=r"cannot write .*taken\.bin.*run the same command again"):
        write_atomic(tmp_path / "taken.bin", b"three")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.bin"]
