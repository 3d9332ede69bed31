"""Arrays of pixels, and the images that a build makes: hashing, encoding and reading them back."""

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.errors import BuildError, SourceError
from occsynth.pixels.read_errors import explained_read_errors

Pixels = npt.NDArray[np.uint8]
"""`(H, W, 3)` RGB, or `(H, W)` for a mask or grey."""


def pixels_sha256(pixels: Pixels) -> str:
    """SHA-256 over the decoded bytes in row order (RGB for colour, one byte per pixel for a mask).

    Manifests store this hash and not the file's, since encoders may write other bytes for the same pixels.
    """
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


FLATTEST_FACE = 2.0
"""Standard deviation of the grey values of a face, at least. The flattest of 32,137 faces of FER+ has 9.1, the flattest
of the demo faces 17; what a camera or JPEG adds to a single colour stays below 1."""


def blank_fault(face: Pixels) -> str:
    """Why an aligned face, `(H, W, 3)` RGB, is none: it is of nearly one colour; empty if it may be one."""
    deviation = float(cv2.meanStdDev(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY))[1][0, 0])
    if deviation >= FLATTEST_FACE:
        return ""
    return (
        f"no face, but nearly one colour: the standard deviation of its grey values is {deviation:.1f}, "
        f"and faces have at least {FLATTEST_FACE:g}"
    )


LARGEST_FILE_BYTES = 2**30
"""Of an image: the largest picture that is decoded, uncompressed with 16 bits per channel, takes 800 MB."""


def read_bytes(path: Path) -> bytes:
    """The content of an image file; raises SourceError if it is missing, unreadable, empty, or above 1 GiB."""
    with explained_read_errors(), path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > LARGEST_FILE_BYTES:
            raise SourceError(f"is larger than {LARGEST_FILE_BYTES:,} bytes, the most that is read as an image")
        content = file.read()
    if not content:
        raise SourceError("empty file")
    return content


def read_rgb(path: Path) -> Pixels:
    """An image that a build made as `(H, W, 3)` uint8 RGB; raises SourceError if it cannot be read."""
    image = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError("not a readable image")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_grey(path: Path) -> Pixels:
    """A mask that a build made as `(H, W)` uint8; raises SourceError if it cannot be read."""
    image = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise SourceError("not a readable image")
    return np.asarray(image, np.uint8)


_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
ENDINGS = {"png": ".png", "jpeg": ".jpg"}
"""File name ending for each `--format`; masks are always PNG."""


def encode(pixels: Pixels, image_format: str) -> bytes:
    """The bytes of an image file.

    Args:
        pixels: `(H, W, 3)` RGB or `(H, W)` grey, uint8.
        image_format: `png`, which is exact, or `jpeg`, of quality 95 without chroma subsampling (4:4:4).

    Raises:
        BuildError: OpenCV cannot encode them.
    """
    image = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, content = cv2.imencode(ENDINGS[image_format], image, _JPEG if image_format == "jpeg" else [])
    if not done:
        raise BuildError(f"OpenCV could not encode {pixels.shape} as {image_format}")
    return content.tobytes()


_LAST_BYTES = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9"}


def is_whole_file(path: Path) -> bool:
    """Whether an image file that a build made is there and ends as its format ends; only its end is read."""
    end = _LAST_BYTES.get(path.suffix, b"no image")
    try:
        with path.open("rb") as file:
            file.seek(-len(end), os.SEEK_END)
            return file.read() == end
    except OSError:  # missing, or shorter than that
        return False
