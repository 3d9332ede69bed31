"""Reading sources, and reading, encoding and writing the made images. All decoding is OpenCV's."""

import csv
import hashlib
import io
import struct
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from occsynth.errors import BuildError, ManifestError, SourceError
from occsynth.manifest import inside

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 100_000_000
MAX_SIDE_PX = 32_000
"""A source with more pixels or a longer side is refused before it is decoded (warping addresses int16 pixels)."""

_TRANSPARENT_GREY = 128
_ORIENTATION = 0x0112
_PLAIN_FRAMES = (0xC0, 0xC1, 0xC2)
_BEFORE_FRAME = {0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE}  # tables, restart interval, applications, comment
_FRAME_BYTES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One decoded source image.

    Attributes:
        pixels: `(H, W, 3)` uint8, RGB, upright (EXIF orientation applied), transparency laid over mid-grey.
        sha256: of the bytes that make this one image: the file, the CSV row, or the video's digest with its frame.
        pixels_sha256: of `pixels`.
    """

    pixels: Pixels
    sha256: str
    pixels_sha256: str


def pixels_sha256(pixels: Pixels) -> str:
    """SHA-256 over the decoded bytes in row order (RGB for colour, one byte a pixel for a mask)."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def read_source(root: Path, source: str) -> Source:
    """Decodes the source that a record or a manifest row names.

    Args:
        root: raw root of the database.
        source: `path`, `table.csv#row=12` (row 1 is the first data row) or `clip.avi#frame=57` (from 0).

    Raises:
        SourceError: missing, empty, truncated, not an image, or beyond `MAX_PIXELS`.
    """
    path, kind, number = _locate(root, source)
    if kind == "row":
        pixels, digest = _read_csv_row(path, number)
    elif kind == "frame":
        pixels, digest = _read_frame(path, number)
    else:
        content = _read_bytes(path)
        pixels, digest = decode_rgb(content), hashlib.sha256(content).hexdigest()
    return Source(pixels, digest, pixels_sha256(pixels))


def source_sha256(root: Path, source: str) -> str:
    """The `sha256` that `read_source` gives, without decoding; raises SourceError if there is no such file or row."""
    path, kind, number = _locate(root, source)
    with _readers_lock:
        if kind == "row":
            return hashlib.sha256(_row_reader(path).line(number).strip()).hexdigest()
        if kind == "frame":
            return _frame_sha256(_frame_reader(path), number)
    return hashlib.sha256(_read_bytes(path)).hexdigest()


def _locate(root: Path, source: str) -> tuple[Path, str, int]:
    """The file, `row`, `frame` or nothing, and its number."""
    relative, _, fragment = source.partition("#")
    try:
        path = inside(root, relative)
    except ManifestError as error:
        raise SourceError(str(error)) from error
    kind, _, number = fragment.partition("=")
    if fragment and not (kind in ("row", "frame") and number.isascii() and number.isdigit()):
        raise SourceError(f"'#{fragment}' is neither #row=N nor #frame=N")
    return path, kind, int(number or 0)


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SourceError("file not found") from None
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror or error}") from error
    if not content:
        raise SourceError("empty file")
    return content


def decode_rgb(content: bytes) -> Pixels:
    """Image file bytes as `(H, W, 3)` uint8 RGB: grey and 16-bit widened or narrowed, EXIF applied, alpha over grey.

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
        raise SourceError(f"pixels of type {image.dtype}; 8 or 16 bits a channel are read")
    pixels = np.asarray(image, np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return _upright(_over_grey(pixels), orientation)
    code = cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _check_header(content: bytes) -> tuple[bool, int]:
    """Whether the image has transparency, and its EXIF orientation; raises SourceError for what must not be decoded.

    A decoder fills the missing part of a truncated file with grey and goes on, so the end is looked at first: a file
    that does not end as its format does is decoded once by Pillow, which refuses truncated ones.
    """
    jpeg_wh = _plain_jpeg_wh(content)
    if jpeg_wh is not None and _ends_well(content, "JPEG"):  # most sources: no need to ask Pillow
        _refuse_large(jpeg_wh)
        return False, 1
    try:
        with Image.open(io.BytesIO(content)) as image:
            _refuse_large(image.size)
            if not _ends_well(content, image.format or ""):
                image.load()
            transparent = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
            return transparent, int(image.getexif().get(_ORIENTATION, 1)) if transparent else 1
    except SourceError:
        raise
    except Image.DecompressionBombError as error:
        raise SourceError(f"more pixels than the limit of {MAX_PIXELS:,}") from error
    except Exception as error:  # Pillow's plugins raise many kinds for damaged files
        raise SourceError(f"not a readable image: {error}".split("<_io")[0].rstrip()) from error


def _refuse_large(wh: tuple[int, int]) -> None:
    if wh[0] * wh[1] > MAX_PIXELS or max(wh) > MAX_SIDE_PX:
        raise SourceError(f"{wh[0]}x{wh[1]} is beyond the limit of {MAX_PIXELS:,} pixels and {MAX_SIDE_PX:,} a side")


def _plain_jpeg_wh(content: bytes) -> tuple[int, int] | None:
    """Width and height of a baseline or progressive JPEG of 8 bits and 1 or 3 channels; None for all else."""
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
    """Undoes an EXIF orientation, which OpenCV does itself for images without transparency only."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


class _RowReader:
    """Reads rows of one CSV by number: walks on from the last row, since builds ask in rising order."""

    def __init__(self, path: Path) -> None:
        self._offsets = self._index(path)
        self._path = path

    @staticmethod
    def _index(path: Path) -> list[int]:
        offsets = []
        with path.open("rb") as file:
            for line in iter(file.readline, b""):
                offsets.append(file.tell() - len(line))
        return offsets

    def line(self, row: int) -> bytes:
        if not 1 <= row < len(self._offsets):
            raise SourceError(f"row {row} not found; the file has {len(self._offsets) - 1}")
        with self._path.open("rb") as file:
            file.seek(self._offsets[row])
            return file.readline()


class _FrameReader:
    """Reads frames of one video by number, decoding from its start: seeking is not exact in every container."""

    def __init__(self, path: Path) -> None:
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        self._next = 0

    def frame(self, number: int) -> Pixels:
        if number < self._next:
            self._capture.release()
            self._capture = cv2.VideoCapture(str(self._path))
            self._next = 0
        while self._next < number and self._capture.grab():
            self._next += 1
        found, image = self._capture.read() if self._next == number else (False, None)
        if not found or image is None:
            raise SourceError(f"frame {number} not found; {self._next} frames could be read")
        self._next += 1
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


_readers: OrderedDict[tuple[str, int, int], _RowReader | _FrameReader] = OrderedDict()
_readers_lock = threading.RLock()
_READERS_KEPT = 4


def _reader(path: Path, kind: type[_RowReader] | type[_FrameReader]) -> _RowReader | _FrameReader:
    try:
        status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size)
        if key not in _readers:
            _readers[key] = kind(path)
    except FileNotFoundError:
        raise SourceError("file not found") from None
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror or error}") from error
    while len(_readers) > _READERS_KEPT:
        _readers.popitem(last=False)
    _readers.move_to_end(key)
    return _readers[key]


def _row_reader(path: Path) -> _RowReader:
    reader = _reader(path, _RowReader)
    if not isinstance(reader, _RowReader):
        raise SourceError("read as a video before")
    return reader


def _frame_reader(path: Path) -> _FrameReader:
    reader = _reader(path, _FrameReader)
    if not isinstance(reader, _FrameReader):
        raise SourceError("read as a table before")
    return reader


def _read_csv_row(path: Path, row: int) -> tuple[Pixels, str]:
    """FER2013's form: a square grey image as blank-separated numbers in the column `pixels`."""
    with _readers_lock:
        line = _row_reader(path).line(row)
        header = _header(path)
    try:
        cells = next(csv.reader([line.decode("utf-8")]))
        values = np.array(cells[header.index("pixels")].split(), dtype=np.uint8)
    except (ValueError, IndexError, OverflowError, UnicodeDecodeError, StopIteration) as error:
        raise SourceError(f"row {row} holds no pixels: {error}") from error
    side = int(len(values) ** 0.5)
    if side == 0 or side * side != len(values):
        raise SourceError(f"row {row}: {len(values)} pixels are no square image")
    grey = values.reshape(side, side)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8), hashlib.sha256(line.strip()).hexdigest()


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [name.strip() for name in next(csv.reader(file), [])]


def _read_frame(path: Path, number: int) -> tuple[Pixels, str]:
    with _readers_lock:
        reader = _frame_reader(path)
        return reader.frame(number), _frame_sha256(reader, number)


def _frame_sha256(reader: _FrameReader, number: int) -> str:
    return hashlib.sha256(f"{reader.sha256}#frame={number}".encode()).hexdigest()


def read_rgb(path: Path) -> Pixels:
    """A made image as `(H, W, 3)` uint8 RGB; raises SourceError."""
    image = cv2.imdecode(np.frombuffer(_read_bytes(path), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError("not a readable image")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_grey(path: Path) -> Pixels:
    """A made mask as `(H, W)` uint8; raises SourceError."""
    image = cv2.imdecode(np.frombuffer(_read_bytes(path), np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise SourceError("not a readable image")
    return np.asarray(image, np.uint8)


_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
ENDINGS = {"png": ".png", "jpeg": ".jpg"}
"""File ending by `--format`; masks are always PNG."""


def encode(pixels: Pixels, image_format: str) -> bytes:
    """RGB or grey uint8 as the bytes of a PNG (OpenCV's default level) or of a JPEG (quality 95, 4:4:4)."""
    image = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, content = cv2.imencode(ENDINGS[image_format], image, _JPEG if image_format == "jpeg" else [])
    if not done:
        raise BuildError(f"OpenCV could not encode {pixels.shape} as {image_format}")
    return content.tobytes()
