"""Arrays of pixels, and the images that a build makes: hashing, encoding and reading them back."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.errors import BuildError, SourceError

Pixels = npt.NDArray[np.uint8]
"""`(H, W, 3)` RGB, or `(H, W)` for a mask or grey."""


def pixels_sha256(pixels: Pixels) -> str:
    """SHA-256 over the decoded bytes in row order (RGB for colour, one byte per pixel for a mask).

    Manifests store this hash and not the file's, since encoders may write other bytes for the same pixels.
    """
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


@contextmanager
def explained_read_errors() -> Iterator[None]:
    """Turns an OSError while reading into a SourceError; the caller names the file."""
    try:
        yield
    except FileNotFoundError:
        raise SourceError("file not found") from None
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror or error}") from error


def read_bytes(path: Path) -> bytes:
    """The content of a file; raises SourceError if it is missing, unreadable or empty."""
    with explained_read_errors():
        content = path.read_bytes()
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
