"""Decoding the image files of raw databases with OpenCV, and refusing damaged and oversized ones."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from PIL import Image

from occsynth.errors import SourceError
from occsynth.pixels.images import Pixels

MAX_PIXELS = 100_000_000
MAX_SIDE_PX = 32_000
"""A source with more pixels or a longer side is refused before it is decoded: the maps of a warp are int16."""

_TRANSPARENT_GREY = 128
_ORIENTATION = 0x0112
_PLAIN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive DCT
_BEFORE_FRAME = {0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE}  # tables, restart interval, APPn, comment
_FRAME_BYTES = 10


def decode_rgb(content: bytes) -> Pixels:
    """The bytes of an image file as `(H, W, 3)` uint8 RGB.

    Grey is repeated in three channels, of 16 bits the upper eight are kept, the EXIF orientation is applied, and
    transparent pixels are laid over mid-grey.

    Raises:
        SourceError: truncated, not an image, or beyond `MAX_PIXELS` (checked before decoding).
    """
    transparent, orientation = _check_header(content)
    buffer = np.frombuffer(content, np.uint8)
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED if transparent else cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceError(f"OpenCV cannot decode it: {error.err}") from error
    if image is None:
        raise SourceError("OpenCV cannot decode it")
    if image.dtype == np.uint16:
        image = np.right_shift(image, 8, dtype=np.uint16, casting="unsafe").astype(np.uint8)
    if image.dtype != np.uint8:
        raise SourceError(f"pixels of type {image.dtype}; they must have 8 or 16 bits per channel")
    pixels = np.asarray(image, np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return _upright(_over_grey(pixels), orientation)
    code = cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _check_header(content: bytes) -> tuple[bool, int]:
    """Whether the image has transparency, and its EXIF orientation; raises SourceError if it must not be decoded.

    OpenCV fills the missing part of a truncated file with grey and reports no error. So the end of the file is checked
    first, and a file without the end mark of its format is decoded once by Pillow, which refuses truncated files.
    """
    jpeg_wh = _plain_jpeg_wh(content)
    if jpeg_wh is not None and _ends_well(content, "JPEG"):  # most sources, and much faster than Pillow
        _refuse_large(jpeg_wh)
        return False, 1
    with explained_pillow_errors(), Image.open(io.BytesIO(content)) as image:
        _refuse_large(image.size)
        if not _ends_well(content, image.format or ""):
            image.load()
        transparent = has_transparency(image)
        # OpenCV itself turns images that it decodes without their transparency
        return transparent, int(image.getexif().get(_ORIENTATION, 1)) if transparent else 1


def has_transparency(image: Image.Image) -> bool:
    """Whether an image has an alpha channel or a transparent colour."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


@contextmanager
def explained_pillow_errors() -> Iterator[None]:
    """Turns whatever Pillow raises for a damaged or oversized file into a SourceError."""
    try:
        yield
    except SourceError:
        raise
    except Image.DecompressionBombError as error:
        raise SourceError(f"more pixels than the limit of {MAX_PIXELS:,}") from error
    except Exception as error:  # Pillow's plugins raise exceptions of many types for damaged files
        # its message may end in the address of the buffer, which differs from run to run
        raise SourceError(f"not a readable image: {error}".split("<_io")[0].rstrip()) from error


def _refuse_large(wh: tuple[int, int]) -> None:
    if wh[0] * wh[1] > MAX_PIXELS or max(wh) > MAX_SIDE_PX:
        raise SourceError(f"{wh[0]}x{wh[1]} is beyond the limit of {MAX_PIXELS:,} pixels and {MAX_SIDE_PX:,} per side")


def _plain_jpeg_wh(content: bytes) -> tuple[int, int] | None:
    """Width and height of a baseline or progressive JPEG of 8 bits and 1 or 3 channels, else None."""
    at = 2 if content.startswith(b"\xff\xd8") else len(content)
    while at + _FRAME_BYTES <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in _PLAIN_FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", content, at + 4)
            return (width, height) if bits == 8 and channels in (1, 3) and width and height else None
        if marker not in _BEFORE_FRAME or length < 2:
            return None
        at += 2 + length
    return None


def _ends_well(content: bytes, image_format: str) -> bool:
    tail = content[-64:].rstrip(b"\0\r\n ")
    return (image_format == "JPEG" and tail.endswith(b"\xff\xd9")) or (image_format == "PNG" and b"IEND" in tail)


def _over_grey(bgra: Pixels) -> Pixels:
    alpha = bgra[:, :, 3:].astype(np.uint16)
    blended = (bgra[:, :, :3] * alpha + _TRANSPARENT_GREY * (255 - alpha) + 127) // 255
    return np.ascontiguousarray(blended[:, :, ::-1].astype(np.uint8))


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undoes an EXIF orientation, which OpenCV ignores where it keeps the alpha channel."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
