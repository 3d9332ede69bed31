"""Decoding the image files of raw databases with OpenCV, and refusing damaged and oversized ones."""

import io
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from occsynth.errors import SourceError
from occsynth.pixels.images import Pixels
from occsynth.pixels.silence import silent_stderr

MAX_PIXELS = 100_000_000
MAX_SIDE_PX = 32_000
"""A source with more pixels or a longer side is refused before it is decoded: the maps of a warp are int16."""

_TRANSPARENT_GREY = 128
_LARGEST_OF_EIGHT_BITS = 255
_ORIENTATION = 0x0112
_PROGRESSIVE, _SCAN = 0xC2, 0xDA
_SCAN_MARK, _END_MARK = b"\xff\xda", b"\xff\xd9"
_DATA_END, _DATA_END_WITHOUT_RESTARTS = re.compile(rb"\xff+\xd9"), re.compile(rb"\xff+[\xd0-\xd7\xd9]")
_RESTART_INTERVAL = 0xDD
_FRAMES = (0xC0, 0xC1, _PROGRESSIVE)  # baseline, extended and progressive DCT
_BEFORE_SCAN = {0xC4, 0xDB, _RESTART_INTERVAL, *range(0xE0, 0xF0), 0xFE}  # tables, restart interval, APPn, comment
_FRAME_BYTES = 10
_PROBE = b"".join(bytes.fromhex("55a63b91d24e1c79") * 4 + bytes((0xFF, 0xD0 + number)) for number in range(8))
"""Data as a JPEG may hold them, with each restart mark, where a decoder that lost its place goes on."""
_COEFFICIENTS = 64
_BLOCK_PX = 18  # the largest block, and the two pixels around it that its colours are spread to
_MISSING_GREY, _NEARLY = 128, 2  # of missing blocks, before rounding of colours
_BGR_TO_GREY = (0.114, 0.587, 0.299)


@dataclass(frozen=True, slots=True)
class _JpegFrame:
    """The header of a JPEG.

    Attributes:
        wh: width and height.
        bits: of a number.
        channels: how many.
        progressive: whether its data come in several passes.
        restarts: whether its data hold restart marks.
        scan: where the data begin.
    """

    wh: tuple[int, int]
    bits: int
    channels: int
    progressive: bool
    restarts: bool
    scan: int

    @property
    def plain(self) -> bool:
        """Whether it is grey or has three colours, of 8 bits."""
        return self.bits == 8 and self.channels in (1, 3)


@dataclass(frozen=True, slots=True)
class _Header:
    """What is known of an image before it is decoded.

    Attributes:
        jpeg: None if it is none.
        transparent: whether it has transparency.
        orientation: of EXIF, where OpenCV does not apply it itself.
        signed: whether its numbers may have a sign.
    """

    jpeg: _JpegFrame | None = None
    transparent: bool = False
    orientation: int = 1
    signed: bool = False


def decode_rgb(content: bytes) -> Pixels:
    """The bytes of an image file as `(H, W, 3)` uint8 RGB; the first picture of a file that holds several.

    Grey is repeated in three channels, the EXIF orientation is applied, and transparent pixels are laid over mid-grey.
    Of 16 bits the upper eight are kept; but where no number is above 255, the file holds numbers of eight bits.

    Raises:
        SourceError: truncated, not an image, with numbers of another kind than 8 or 16 bits, or beyond `MAX_PIXELS`
            (checked before decoding).
    """
    header = _read_header(content)
    image = _decoded(content, cv2.IMREAD_UNCHANGED if header.transparent else cv2.IMREAD_COLOR)
    if image is None:
        other = _decoded(content, cv2.IMREAD_UNCHANGED)
        if other is not None:
            raise SourceError(f"pixels of type {other.dtype}; they must have 8 or 16 bits per channel")
        raise SourceError("OpenCV cannot decode it")
    if header.jpeg is not None and (_lacks_passes(content, header.jpeg) or _is_cut(content, header.jpeg, image)):
        raise SourceError("truncated: its image data end before the picture does")
    if header.jpeg is None and (header.signed or int(image.max()) <= 1):
        image = _of_small_numbers(content, image)
    if image.dtype == np.uint16:
        image = _eight_bits(image)
    if image.dtype != np.uint8:
        raise SourceError(f"pixels of type {image.dtype}; they must have 8 or 16 bits per channel")
    pixels = np.asarray(image, np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return _upright(_over_grey(pixels), header.orientation)
    code = cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _decoded(content: bytes, flags: int) -> npt.NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise SourceError(f"OpenCV cannot decode it: {error.err}") from error


def _of_small_numbers(content: bytes, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An image that came out black, or that has signed numbers, from its numbers as they are in the file."""
    numbers = _decoded(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if numbers is None or numbers.dtype not in (np.uint16, np.int16):
        return image
    if int(numbers.min()) < 0:
        raise SourceError("its numbers are signed, some below zero; save it with 8 or 16 bits without a sign")
    return numbers.astype(np.uint8) if int(numbers.max()) <= _LARGEST_OF_EIGHT_BITS else image


def _eight_bits(image: npt.NDArray[np.uint16]) -> Pixels:
    if int(image.max()) <= _LARGEST_OF_EIGHT_BITS:
        return image.astype(np.uint8)
    return np.right_shift(image, 8, dtype=np.uint16, casting="unsafe").astype(np.uint8)


def _lacks_passes(content: bytes, jpeg: _JpegFrame) -> bool:
    """Whether a progressive JPEG ends before some coefficient of some channel was sent even once."""
    if not jpeg.progressive:
        return False
    sent: set[tuple[int, int]] = set()
    at = content.find(_SCAN_MARK)
    while at >= 0:
        channels = content[at + 4 : at + 5]
        end = at + 5 + 2 * channels[0] if channels else at
        for first, last in zip(content[end : end + 1], content[end + 1 : end + 2], strict=False):
            numbers = range(first, min(last + 1, _COEFFICIENTS))
            sent.update((channel, number) for channel in content[at + 5 : end : 2] for number in numbers)
        at = content.find(_SCAN_MARK, at + 2)
    return len(sent) < jpeg.channels * _COEFFICIENTS


def _is_cut(content: bytes, jpeg: _JpegFrame, image: npt.NDArray[Any]) -> bool:
    """Whether a JPEG's data end before its last blocks, though an end mark follows.

    OpenCV leaves missing blocks grey, and reports nothing. But then whatever is put before the end mark is taken for
    the missing data and changes the pixels; after complete data it is skipped. One block at the end may be missing,
    since some cameras leave out the last few bits. Where a plain JPEG ends in another colour than grey, none is.
    A decoder stops before 0xFF, which erased memory is full of, and before restart marks that were not announced.
    """
    grey = float(np.dot(image[-1, -1], _BGR_TO_GREY))
    if jpeg.plain and not jpeg.progressive and abs(grey - _MISSING_GREY) > _NEARLY:
        return False
    found = (_DATA_END if jpeg.restarts else _DATA_END_WITHOUT_RESTARTS).search(content, jpeg.scan)
    end = found.start() if found else len(content)
    with silent_stderr():  # libjpeg reports the probe as damage
        probed = _decoded(content[:end] + _PROBE + content[end:], cv2.IMREAD_COLOR)
    if probed is None or probed.shape != image.shape:
        return False
    changed = (probed != image).any(axis=2)
    changed[-_BLOCK_PX:, -_BLOCK_PX:] = False
    return bool(changed.any())


def _read_header(content: bytes) -> _Header:
    """Raises SourceError if the image must not be decoded.

    OpenCV fills the missing part of a truncated file with grey and reports no error. So the end of the file is checked
    first, and a file without the end mark of its format is decoded once by Pillow, which refuses truncated files.
    """
    jpeg = _jpeg_frame(content)
    if jpeg is not None and jpeg.plain and _ends_well(content, "JPEG"):  # most sources, and much faster than Pillow
        _refuse_large(jpeg.wh)
        return _Header(jpeg)
    with explained_pillow_errors(), Image.open(io.BytesIO(content)) as image:
        _refuse_large(image.size)
        if not _ends_well(content, image.format or ""):
            image.load()
        if has_transparency(image):
            # OpenCV itself turns images that it decodes without their transparency
            return _Header(transparent=True, orientation=int(image.getexif().get(_ORIENTATION, 1)))
        return _Header(jpeg, signed=image.mode.startswith("I"))


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


def _jpeg_frame(content: bytes) -> _JpegFrame | None:
    """The header of a baseline or progressive JPEG; None for anything else, and where the header is odd."""
    at, frame, restarts = 2 if content.startswith(b"\xff\xd8") else len(content), None, False
    while at + _FRAME_BYTES <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in _FRAMES and frame is None:
            bits, height, width, channels = struct.unpack_from(">BHHB", content, at + 4)
            frame = _JpegFrame((width, height), bits, channels, marker == _PROGRESSIVE, False, 0)
        elif marker == _SCAN and frame is not None:
            found = replace(frame, restarts=restarts, scan=at + 2 + length)
            return found if all((*found.wh, found.channels)) else None
        elif marker not in _BEFORE_SCAN or length < 2:
            return None
        if marker == _RESTART_INTERVAL:
            restarts = any(content[at + 4 : at + 6])
        at += 2 + length
    return None


def _ends_well(content: bytes, image_format: str) -> bool:
    tail = content[-64:].rstrip(b"\0\r\n ")
    return (image_format == "JPEG" and tail.endswith(_END_MARK)) or (image_format == "PNG" and b"IEND" in tail)


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


def is_whole_image(content: bytes) -> bool:
    """Whether a file's content is an image to its end, and not, for example, cut when the machine went down."""
    try:
        decode_rgb(content)
    except SourceError:
        return False
    return True
