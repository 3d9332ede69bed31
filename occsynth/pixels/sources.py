"""Reading sources: the raw images that records and manifest rows name, in files, tables and videos."""

import hashlib
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from occsynth.errors import ManifestError, SourceError
from occsynth.files import inside
from occsynth.pixels.decode import decode_rgb
from occsynth.pixels.images import Pixels, pixels_sha256, read_bytes
from occsynth.pixels.read_errors import explained_read_errors
from occsynth.pixels.row_table import RowTable


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One decoded source image.

    Attributes:
        pixels: `(H, W, 3)` uint8, RGB, upright (EXIF orientation applied), transparency laid over mid-grey.
        sha256: of the bytes that hold this one image: the file, the row of the CSV file, or the digest of the video
            with the number of the frame.
        pixels_sha256: of `pixels`.
    """

    pixels: Pixels
    sha256: str
    pixels_sha256: str


def read_source(root: Path, source: str) -> Source:
    """Decodes the source that a record or a manifest row names.

    >>> from occsynth.databases.demo import ROOT
    >>> read_source(ROOT, "images/s001/s001_anger.jpg").pixels.shape
    (224, 224, 3)

    Args:
        root: raw root of the database.
        source: `path`, `table.csv#row=12` (row 1 is the first data row) or `clip.avi#frame=57` (from 0).

    Raises:
        SourceError: it is missing, empty, truncated, not an image, larger than `occsynth.pixels.decode` allows, or
            lies outside `root`.
    """
    path, kind, number = _locate(root, source)
    if kind == "row":
        pixels, digest = _read_csv_row(path, number)
    elif kind == "frame":
        pixels, digest = _read_frame(path, number)
    else:
        content = read_bytes(path)
        pixels, digest = decode_rgb(content), hashlib.sha256(content).hexdigest()
    return Source(pixels, digest, pixels_sha256(pixels))


def source_sha256(root: Path, source: str) -> str:
    """The `sha256` of a source without decoding it; raises SourceError if the file or row is missing."""
    path, kind, number = _locate(root, source)
    with _readers_lock:
        if kind == "row":
            return _row_table(path).row(number).sha256
        if kind == "frame":
            return _frame_sha256(_frame_reader(path), number)
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _locate(root: Path, source: str) -> tuple[Path, str, int]:
    """The file of a source; `row`, `frame` or empty; and the number of the row or frame."""
    relative, _, fragment = source.partition("#")
    try:
        path = inside(root, relative)
    except ManifestError as error:
        raise SourceError(str(error)) from error
    kind, _, number = fragment.partition("=")
    if fragment and not (kind in ("row", "frame") and number.isascii() and number.isdigit()):
        raise SourceError(f"'#{fragment}' is neither #row=N nor #frame=N")
    return path, kind, int(number or 0)


class _FrameReader:
    """Reads frames of one video by number. It decodes from the start, since seeking is not exact in every container."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
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


_readers: OrderedDict[tuple[str, int, int], RowTable | _FrameReader] = OrderedDict()
_readers_lock = threading.RLock()
_READERS_KEPT = 4


def _reader(path: Path, kind: type[RowTable] | type[_FrameReader]) -> RowTable | _FrameReader:
    with explained_read_errors():
        status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size)  # a file that was changed gets a new reader
        if key not in _readers:
            _readers[key] = kind(path)
    while len(_readers) > _READERS_KEPT:
        _readers.popitem(last=False)
    _readers.move_to_end(key)
    return _readers[key]


def _row_table(path: Path) -> RowTable:
    reader = _reader(path, RowTable)
    if not isinstance(reader, RowTable):
        raise SourceError("was read as a video before, so it cannot be a table")
    return reader


def _frame_reader(path: Path) -> _FrameReader:
    reader = _reader(path, _FrameReader)
    if not isinstance(reader, _FrameReader):
        raise SourceError("was read as a table before, so it cannot be a video")
    return reader


def _read_csv_row(path: Path, number: int) -> tuple[Pixels, str]:
    """A row as FER2013 has them: the column `pixels` holds a square grey image as numbers between blanks."""
    with _readers_lock:
        row = _row_table(path).row(number)
    try:
        values = np.array(row.cells()["pixels"].split(), dtype=np.uint8)
    except KeyError:
        raise SourceError(f"the table has no column pixels, but {', '.join(row.columns)[:60] or 'none'}") from None
    except (ValueError, OverflowError) as error:
        raise SourceError(f"row {number} holds no pixels: {error}") from error
    side = math.isqrt(len(values))
    if side == 0 or side * side != len(values):
        raise SourceError(f"row {number}: {len(values)} pixels are not a square image")
    grey = values.reshape(side, side)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8), row.sha256


def _read_frame(path: Path, number: int) -> tuple[Pixels, str]:
    with _readers_lock:
        reader = _frame_reader(path)
        return reader.frame(number), _frame_sha256(reader, number)


def _frame_sha256(reader: _FrameReader, number: int) -> str:
    return hashlib.sha256(f"{reader.sha256}#frame={number}".encode()).hexdigest()
