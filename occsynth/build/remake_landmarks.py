"""occsynth.build.build.remake_landmarks: docstring to write."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from occsynth.build.face_landmarks import find_landmarks
from occsynth.build.record_index import RecordIndex
from occsynth.build.settings import BuildOptions, complete
from occsynth.databases import DATABASES
from occsynth.errors import ManifestError
from occsynth.faces.align import Alignment, align_points
from occsynth.faces.landmark_file import PointsOfRows, write_landmarks
from occsynth.faces.regions import ibug68
from occsynth.files import explained_os_errors
from occsynth.manifest import Manifest
from occsynth.pixels.sources import read_source


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
        chunks: list[PointsOfRows] = []
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
