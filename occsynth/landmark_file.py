"""`NAME.landmarks.npz`: the 68 points of each aligned face, for baselines that need them; and making it again."""

import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from occsynth.align import Alignment, align_points
from occsynth.databases import DATABASES
from occsynth.errors import ManifestError
from occsynth.face_regions import ibug68
from occsynth.images import explained_os_errors, read_source
from occsynth.index import RecordIndex
from occsynth.manifest import Manifest
from occsynth.pair import find_landmarks
from occsynth.settings import BuildOptions, complete

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


def remake_landmarks(manifest: Manifest, raw_root: Path | None = None) -> Path:
    """Finds the landmarks of a manifest's faces anew (or in the cache) and writes its `.landmarks.npz`.

    The database is scanned again, since face boxes and points that it ships guide the detector and are in no manifest.

    Raises:
        ManifestError: a row's source is not in the database, or is another image now.
        OccSynthError: the raw root is not known, or a source cannot be read.
    """
    info = manifest.info
    if info.withheld:
        raise ManifestError(f"{manifest.path} withholds its sources; replay it first, then use the manifest made there")
    options = BuildOptions(db=info.database, modes=(info.mode,), root=raw_root, variant=info.variant, out=manifest.root)
    settings = replace(complete(options), align=info.align, size_px=info.size_px)
    folder = Path(tempfile.mkdtemp(prefix="occsynth-"))
    index = RecordIndex(folder / "records.sqlite")
    try:
        index.add(DATABASES[info.database].scan(Path(settings.raw_root), info.variant))
        chunks: list[Part] = []
        records = (record for _, chunk in index.chunks() for record in chunk)
        for row in manifest.rows():
            record = next((each for each in records if each.pair_id == row.pair_id), None)
            if record is None:
                raise ManifestError(
                    f"{row.pair_id} is in {manifest.path} and not in the database at {settings.raw_root}"
                )
            source = read_source(Path(settings.raw_root), record.source)
            if source.pixels_sha256 != row.source_pixels_sha256:
                raise ManifestError(f"{record.source} holds other pixels than {manifest.path} was built from")
            points = align_points(find_landmarks(settings, record, source).points_xy, Alignment.from_json(row.align))
            chunks.append(([row.pair_id], ibug68(points)[None].astype(np.float32)))
    finally:
        index.close()
        shutil.rmtree(folder, ignore_errors=True)
    path = manifest.beside(".landmarks.npz")
    temporary = path.with_name(f".{path.name}.tmp")
    with explained_os_errors(path):
        write_landmarks(temporary, lambda: chunks, len(chunks), max(len(names[0]) for names, _ in chunks))
        temporary.replace(path)
    return path
