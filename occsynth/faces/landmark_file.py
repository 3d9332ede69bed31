"""`NAME.landmarks.npz`: the 68 points of each aligned face, for baselines that need them; and making it again."""

import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from occsynth.errors import ManifestError

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)

Part = tuple[list[str], npt.NDArray[np.float32]]
"""Some rows' pair_ids and their `(N, 68, 2)` points."""


def write_landmarks(path: Path, parts: Callable[[], Iterable[Part]], rows: int, longest_pair_id: int) -> None:
    """Writes `pair_ids` and `points_xy` part by part, readable by `numpy.load` without pickle; no time inside.

    Args:
        parts: gives the same parts, in the order of the rows, each time it is called.
    """
    ids = np.dtype(f"<U{longest_pair_id}")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo("pair_ids.npy", _ZIP_DATE), "w", force_zip64=True) as file:
            _npy_header(file, ids, (rows,))
            for names, _ in parts():
                file.write(np.array(names, ids).tobytes())
        with archive.open(zipfile.ZipInfo("points_xy.npy", _ZIP_DATE), "w", force_zip64=True) as file:
            _npy_header(file, np.dtype("<f4"), (rows, 68, 2))
            for _, points_xy in parts():
                file.write(points_xy.astype("<f4").tobytes())


def _npy_header(file: IO[bytes], dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    content = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, content)


def open_landmarks(path: Path) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
    """`pair_ids` and `points_xy` of a landmark file, left on disk, so that memory stays flat.

    Raises:
        ManifestError: it is missing, cut, compressed, or holds anything but plain arrays of text and float32.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [archive.getinfo(f"{name}.npy") for name in ("pair_ids", "points_xy")]
        pair_ids, points_xy = (_mapped(path, member) for member in members)
    except (OSError, ValueError, KeyError, EOFError, struct.error, zipfile.BadZipFile) as error:
        raise ManifestError(f"{path} is no landmark file: {error}") from error
    if pair_ids.dtype.kind != "U" or points_xy.dtype != np.float32:
        raise ManifestError(f"{path} is no landmark file: it holds {pair_ids.dtype} and {points_xy.dtype}")
    return pair_ids, points_xy


def _mapped(path: Path, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError("it is compressed")
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name_length, extra_length = struct.unpack("<26xHH", file.read(30))
        file.seek(name_length + extra_length, 1)
        np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject or fortran:
            raise ValueError(f"array of {dtype}")
        return np.memmap(path, dtype, "r", file.tell(), shape)
