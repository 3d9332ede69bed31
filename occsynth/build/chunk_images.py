"""The image files of one chunk of a build: written, and checked when a later run keeps them."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from occsynth.build.settings import CompleteSettings
from occsynth.errors import BuildError, SourceError
from occsynth.files import inside, write_atomic
from occsynth.pixels.decode import decode_rgb, is_whole_image
from occsynth.pixels.images import Pixels, encode, read_bytes


class ChunkImages:
    """Writes the images of one chunk and notes the SHA-256 of each file.

    Images are not brought to the disk one by one, which would take longer than making them: their checksums stand in
    the part file, and the merge brings all of them to the disk before a manifest names them.

    Attributes:
        files: SHA-256 of each file that was written, or was there already, by path under the build root.
    """

    def __init__(self, settings: CompleteSettings, work: Path, former: Mapping[str, str]) -> None:
        """Starts a chunk.

        Args:
            settings: of the build.
            work: its work folder, where unfinished files lie.
            former: `files` of an earlier run that made the chunk; empty if none did.
        """
        self.files: dict[str, str] = {}
        self._out, self._work = Path(settings.out), work
        self._format = settings.image_format
        self._former = former

    def write(self, relative: str, content: bytes) -> None:
        """Writes the file of an occluded image or a mask; raises BuildError if it cannot be written."""
        write_atomic(inside(self._out, relative), content, self._work, durable=False)
        self.files[relative] = _sha256(content)

    def write_clean(self, relative: str, pixels: Pixels) -> None:
        """Writes a clean image, which the builds of several modes share: an existing one must hold the same pixels.

        Raises:
            BuildError: it holds other pixels, or cannot be written.
        """
        path = inside(self._out, relative)
        content = encode(pixels, self._format)
        try:
            there = read_bytes(path)
        except SourceError:  # missing, or nothing that can be read as an image: also far too large for one
            there = b""
        if there == content or self._is_same_picture(there, pixels):
            self.files[relative] = _sha256(there)
            return
        # an earlier run wrote these very bytes here, or it is no image at all: whatever is there now is damage
        if _sha256(content) == self._former.get(relative) or not is_whole_image(there):
            self.write(relative, content)
            return
        raise BuildError(
            f"{path} already exists with different pixels: the raw database or the landmarks have changed since an "
            "earlier build, or the file was edited. Use another --out, or remove that folder and build all modes again"
        )

    def _is_same_picture(self, there: bytes, pixels: Pixels) -> bool:
        """Whether another version of the encoder wrote the same pixels; those of a JPEG cannot be compared."""
        return self._format == "png" and is_whole_image(there) and np.array_equal(decode_rgb(there), pixels)


def damaged_files(out: Path, files: Mapping[str, str]) -> Iterator[str]:
    """Those of a chunk's files that are missing or have other bytes than were written.

    Args:
        out: the build root.
        files: SHA-256 by path under the build root.
    """
    for relative, digest in files.items():
        try:
            content = read_bytes(inside(out, relative))
        except SourceError:  # also far too large to be read
            yield relative
            continue
        if _sha256(content) != digest:
            yield relative


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
