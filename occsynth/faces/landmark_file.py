"""`NAME.landmarks.npz`: the 68 points of each aligned face, for baselines that need them."""

import struct
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from occsynth.errors import ManifestError
from occsynth.reading import one_line

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_BLOCK_BYTES = 2**20
# what zipfile and numpy raise for damaged and hostile headers; RuntimeError is for a member that claims a password
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    OverflowError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    struct.error,
    TokenError,
    zipfile.BadZipFile,
)

PointsOfRows = tuple[list[str], npt.NDArray[np.float32]]
"""The pair_ids of some consecutive rows, and their `(N, 68, 2)` points."""


def write_landmarks(
    path: Path, points_of_rows: Callable[[], Iterable[PointsOfRows]], rows: int, longest_pair_id: int
) -> None:
    """Writes the arrays `pair_ids` and `points_xy`, which `numpy.load` reads without pickle, a few rows at a time.

    The file holds no time stamp, so the same landmarks give the same bytes.

    Args:
        path: the file to write.
        points_of_rows: yields all rows in their order; called once per array, and must yield the same both times.
        rows: how many rows it yields.
        longest_pair_id: length of the longest pair_id, in characters.
    """
    ids = np.dtype(f"<U{longest_pair_id}")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo("pair_ids.npy", _ZIP_DATE), "w", force_zip64=True) as file:
            _npy_header(file, ids, (rows,))
            for names, _ in points_of_rows():
                file.write(np.array(names, ids).tobytes())
        with archive.open(zipfile.ZipInfo("points_xy.npy", _ZIP_DATE), "w", force_zip64=True) as file:
            _npy_header(file, np.dtype("<f4"), (rows, 68, 2))
            for _, points_xy in points_of_rows():
                file.write(points_xy.astype("<f4").tobytes())


def _npy_header(file: IO[bytes], dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    content = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, content)


def open_landmarks(path: Path) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
    """Checks a landmark file, then maps its `pair_ids`, `(N,)`, and `points_xy`, `(N, 68, 2)`.

    All of it is read once and compared with the checksums of the zip, but never held in memory.

    Raises:
        ManifestError: it is missing, damaged, compressed, or holds anything but these two arrays of text and float32;
            the message says how to make it again.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [archive.getinfo(f"{name}.npy") for name in ("pair_ids", "points_xy")]
            for member in members:
                _check_bytes(archive, member)
        pair_ids, points_xy = (_mapped(path, member) for member in members)
        if pair_ids.dtype.kind != "U" or points_xy.dtype != np.float32:
            raise ValueError(f"it holds {pair_ids.dtype} and {points_xy.dtype}")
        if not pair_ids.dtype.itemsize or pair_ids.view(np.uint32).max(initial=0) > sys.maxunicode:
            raise ValueError("its names are no text")
        if pair_ids.ndim != 1 or points_xy.shape != (len(pair_ids), 68, 2):
            raise ValueError(f"it holds {pair_ids.shape} names and {points_xy.shape} points")
    except _DAMAGE as error:
        raise ManifestError(
            f"{path} is no landmark file, or damaged: {one_line(error)}. Delete it; `occsynth landmarks` makes it again"
        ) from error
    return pair_ids, points_xy


def _check_bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError("it is compressed")
    with archive.open(member) as file:
        while file.read(_BLOCK_BYTES):  # at its end, zipfile compares the checksum
            pass


def _mapped(path: Path, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    with path.open("rb") as file:
        # the sizes of name and extra field may differ between the local header and the central directory
        file.seek(member.header_offset)
        name_length, extra_length = struct.unpack("<26xHH", file.read(30))
        file.seek(name_length + extra_length, 1)
        np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject or fortran:
            raise ValueError(f"it holds an array of {dtype}")
        return np.memmap(path, dtype, "r", file.tell(), shape)
