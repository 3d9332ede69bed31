"""`occsynth landmarks`: the landmark file of a manifest made again, where it was lost or was never sent along."""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from occsynth.build.face_landmarks import find_landmarks, landmark_cache
from occsynth.build.record_index import RecordIndex
from occsynth.build.settings import label_options
from occsynth.databases import DATABASES, find_variant
from occsynth.databases.roots import raw_root as find_raw_root
from occsynth.errors import BuildError, ManifestError
from occsynth.faces.align import Alignment, align_points
from occsynth.faces.landmark_file import PointsOfRows, write_landmarks
from occsynth.faces.regions import ibug68
from occsynth.files import explained_os_errors, lies_in, replacing
from occsynth.manifest import Manifest
from occsynth.ownership import refuse_foreign_file
from occsynth.pixels.sources import read_source


def remake_landmarks(manifest: Manifest, raw_root: Path | None = None, *, overwrite: bool = False) -> Path:
    """Finds the landmarks of a manifest's faces again, or in the cache, and writes its `.landmarks.npz`.

    The database is scanned again, since its face boxes and points guide the detector and are not in the manifest.

    Args:
        manifest: as built or replayed.
        raw_root: of its database; default the remembered one.
        overwrite: replace a file of that name that is no landmark file.

    Returns:
        The path of the landmark file.

    Raises:
        ManifestError: the manifest is a published one, or a row's source is missing from the database or holds other
            pixels now.
        OccSynthError: the raw root is not known, the build lies in it, or a source cannot be read.
    """
    info = manifest.info
    if info.withheld:
        raise ManifestError(f"{manifest.path} withholds its sources; replay it first, then use the replayed manifest")
    path = manifest.beside(".landmarks.npz")
    refuse_foreign_file(path, "occsynth landmarks", BuildError, overwrite=overwrite, is_own=_is_landmark_file)
    root = find_raw_root(info.database, raw_root)
    if lies_in(path, root) or lies_in(manifest.root / "cache/landmarks", root):
        raise BuildError(
            f"{path} lies in the raw database {root}, which is never written to; move the build {manifest.root} out of "
            "it and give the manifest's new path"
        )
    database = DATABASES[info.database]
    cropped, cache = find_variant(database, info.variant).cropped, landmark_cache(str(manifest.root))
    folder = Path(tempfile.mkdtemp(prefix="occsynth-"))
    index = RecordIndex(folder / "records.sqlite")
    try:
        index.add(database.scan(root, info.variant, label_options(info)))
        found: list[PointsOfRows] = []
        # one pass over both: records and rows are sorted by pair_id
        records = (record for _, chunk in index.chunks() for record in chunk)
        for row in manifest.rows():
            record = next((each for each in records if each.pair_id == row.pair_id), None)
            if record is None:
                raise ManifestError(f"{row.pair_id} is in {manifest.path} but not in the database at {root}")
            source = read_source(root, record.source)
            if source.pixels_sha256 != row.source_pixels_sha256:
                raise ManifestError(f"{record.source} holds different pixels than {manifest.path} was built from")
            landmarks = find_landmarks(cache, record, source, cropped=cropped)
            points = align_points(landmarks.points_xy, Alignment.from_json(row.align))
            found.append(([row.pair_id], ibug68(points)[None].astype(np.float32)))
    finally:
        index.close()
        shutil.rmtree(folder, ignore_errors=True)
    with explained_os_errors(path), replacing(path) as temporary:
        write_landmarks(temporary, lambda: found, len(found), max((len(names[0]) for names, _ in found), default=1))
    return path


def _is_landmark_file(path: Path) -> bool:
    """Whether it is one by its first bytes, even if it is damaged; or holds nothing, as a power failure leaves it."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return False
    return b"pair_ids.npy" in start or not any(start)
