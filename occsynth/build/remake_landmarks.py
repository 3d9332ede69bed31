"""`occsynth landmarks`: the landmark file of a manifest made again, where it was lost or was never sent along."""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from occsynth.build.face_landmarks import find_landmarks
from occsynth.build.options import BuildOptions, complete
from occsynth.build.record_index import RecordIndex
from occsynth.databases import DATABASES
from occsynth.errors import ManifestError
from occsynth.faces.align import Alignment, align_points
from occsynth.faces.landmark_file import PointsOfRows, write_landmarks
from occsynth.faces.regions import ibug68
from occsynth.files import explained_os_errors, replacing
from occsynth.manifest import Manifest
from occsynth.pixels.sources import read_source


def remake_landmarks(manifest: Manifest, raw_root: Path | None = None) -> Path:
    """Finds the landmarks of a manifest's faces again, or in the cache, and writes its `.landmarks.npz`.

    The database is scanned again, since its face boxes and points guide the detector and are not in the manifest.

    Returns:
        The path of the landmark file.

    Raises:
        ManifestError: the manifest is a published one, or a row's source is missing from the database or holds other
            pixels now.
        OccSynthError: the raw root is not known, or a source cannot be read.
    """
    info = manifest.info
    if info.withheld:
        raise ManifestError(f"{manifest.path} withholds its sources; replay it first, then use the replayed manifest")
    options = BuildOptions(db=info.database, modes=(info.mode,), root=raw_root, variant=info.variant, out=manifest.root)
    settings = complete(options)
    folder = Path(tempfile.mkdtemp(prefix="occsynth-"))
    index = RecordIndex(folder / "records.sqlite")
    try:
        index.add(DATABASES[info.database].scan(Path(settings.raw_root), info.variant))
        found: list[PointsOfRows] = []
        # one pass over both: records and rows are sorted by pair_id
        records = (record for _, chunk in index.chunks() for record in chunk)
        for row in manifest.rows():
            record = next((each for each in records if each.pair_id == row.pair_id), None)
            if record is None:
                raise ManifestError(
                    f"{row.pair_id} is in {manifest.path} but not in the database at {settings.raw_root}"
                )
            source = read_source(Path(settings.raw_root), record.source)
            if source.pixels_sha256 != row.source_pixels_sha256:
                raise ManifestError(f"{record.source} holds different pixels than {manifest.path} was built from")
            points = align_points(find_landmarks(settings, record, source).points_xy, Alignment.from_json(row.align))
            found.append(([row.pair_id], ibug68(points)[None].astype(np.float32)))
    finally:
        index.close()
        shutil.rmtree(folder, ignore_errors=True)
    path = manifest.beside(".landmarks.npz")
    with explained_os_errors(path), replacing(path) as temporary:
        write_landmarks(temporary, lambda: found, len(found), max(len(names[0]) for names, _ in found))
    return path
