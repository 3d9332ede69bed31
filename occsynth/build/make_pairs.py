"""One chunk of a build, in a worker: from records to written images, rows and rejects."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.build.face_landmarks import find_landmarks
from occsynth.build.part_files import Part, write_part
from occsynth.build.settings import CompleteSettings
from occsynth.databases.record import FaceRecord
from occsynth.errors import BuildError, SourceError
from occsynth.faces.align import Alignment, align_image, align_points, resize_alignment, similarity_alignment
from occsynth.faces.landmarks import Landmarks
from occsynth.faces.regions import five_points, ibug68
from occsynth.files import inside, write_atomic
from occsynth.manifest import Row
from occsynth.modes import REAL
from occsynth.modes.face import Face
from occsynth.modes.render import render
from occsynth.occluder import Occluder
from occsynth.parallel import one_opencv_thread
from occsynth.pixels.images import ENDINGS, Pixels, encode, pixels_sha256, read_rgb
from occsynth.pixels.sources import Source, read_source
from occsynth.templates.sprites import OPAQUE_ALPHA


def build_chunk(settings: CompleteSettings, work: str, number: int, records: list[FaceRecord]) -> int:
    """Makes every pair of a chunk, then writes its part file; faults of single sources become rejects.

    Args:
        work: the build's work folder.
        number: of the chunk.
        records: of the chunk, by rising pair_id.

    Returns:
        The number of records.

    Raises:
        BuildError: an image cannot be written.
    """
    rows: dict[str, list[Row]] = {mode: [] for mode in settings.modes}
    rejects: list[tuple[str, str]] = []
    points: list[npt.NDArray[np.float32]] = []
    with one_opencv_thread():
        for record in records:
            try:
                made, face_points = _make_rows(settings, Path(work), record)
            except SourceError as error:
                rejects.append((record.source, str(error)))
                continue
            points.append(face_points)
            for row in made:
                rows[row.mode].append(row)
    write_part(Path(work), number, Part(rows, rejects, np.array(points, np.float32).reshape(-1, 68, 2)))
    return len(records)


def _make_rows(settings: CompleteSettings, work: Path, record: FaceRecord) -> tuple[list[Row], npt.NDArray[np.float32]]:
    """Writes the images of one record in every mode; returns its rows and its `(68, 2)` aligned points."""
    source = read_source(_folder(settings.raw_root), record.source)
    try:
        landmarks = find_landmarks(settings, record, source)
        alignment = _alignment(settings, landmarks)
        clean = align_image(source.pixels, alignment, settings.size_px)
    except cv2.error as error:
        raise SourceError(f"OpenCV failed on it: {error.err}") from error
    points = align_points(landmarks.points_xy, alignment)
    points_68 = ibug68(points).astype(np.float32)
    row = _shared_row(settings, record, source, alignment, landmarks.how)
    if REAL in settings.modes:  # it stands alone, see `complete`
        return [_write_real(settings, row, clean, work)], points_68
    clean_path = f"data/{settings.clean_folder}/clean/{record.pair_id}{ENDINGS[settings.image_format]}"
    _write_shared(settings, clean_path, clean, work)
    row = replace(row, clean=clean_path, clean_pixels_sha256=pixels_sha256(clean))
    face = Face.with_points(clean, points)
    return [_write_occluded(settings, replace(row, mode=mode), face, work) for mode in settings.modes], points_68


def _write_real(settings: CompleteSettings, row: Row, pixels: Pixels, work: Path) -> Row:
    """The row of a face that is already occluded: there is neither a clean image nor a mask, and it is test only."""
    path = _path(settings, REAL, "occluded", row.pair_id)
    _write(settings, path, encode(pixels, settings.image_format), work)
    return replace(row, mode=REAL, split="test", fold=None, occluded=path, occluded_pixels_sha256=pixels_sha256(pixels))


def _write_occluded(settings: CompleteSettings, row: Row, face: Face, work: Path) -> Row:
    occluder = _occluder(settings, row.mode)
    occlusion = occluder.sample(face, row.pair_id, settings.db)
    rendered = render(face.pixels, occlusion, occluder.choices.pack)
    coverage = face.regions.coverage(rendered.alpha, OPAQUE_ALPHA)
    occluded_path = _path(settings, row.mode, "occluded", row.pair_id)
    mask_path = _path(settings, row.mode, "mask", row.pair_id)
    _write(settings, occluded_path, encode(rendered.image, settings.image_format), work)
    _write(settings, mask_path, encode(rendered.mask, "png"), work)
    return replace(
        row,
        occluded=occluded_path,
        mask=mask_path,
        occluded_pixels_sha256=pixels_sha256(rendered.image),
        mask_pixels_sha256=pixels_sha256(rendered.mask),
        occlusion=occlusion.to_json(),
        coverage_face=coverage["face"],
        coverage_eyes=coverage["eyes"],
        coverage_mouth=coverage["mouth"],
    )


@cache
def _occluder(settings: CompleteSettings, mode: str) -> Occluder:
    """The occluder of a mode, kept for the life of a worker process together with its decoded templates."""
    return Occluder(
        mode,
        Path(settings.pack_folder) if settings.pack_folder else None,
        settings.seed,
        fill=settings.fill,
        categories=settings.categories or None,
        colour_match=settings.colour_match,
        shadow=settings.shadow,
    )


def _alignment(settings: CompleteSettings, landmarks: Landmarks) -> Alignment:
    if settings.align == "none":
        return resize_alignment(landmarks.image_wh, settings.size_px)
    return similarity_alignment(five_points(landmarks.points_xy), landmarks.image_wh, settings.size_px)


def _shared_row(settings: CompleteSettings, record: FaceRecord, source: Source, alignment: Alignment, how: str) -> Row:
    """A row with the columns that all modes share; the others are empty."""
    return Row(
        pair_id=record.pair_id,
        database=settings.db,
        subject=record.subject,
        expression=record.expression,
        split=record.split,
        fold=record.fold,
        mode="",
        clean="",
        occluded="",
        mask="",
        clean_pixels_sha256="",
        occluded_pixels_sha256="",
        mask_pixels_sha256="",
        source=record.source,
        source_sha256=source.sha256,
        source_pixels_sha256=source.pixels_sha256,
        align=alignment.to_json(),
        landmarks=how,
        occlusion="",
        coverage_face=None,
        coverage_eyes=None,
        coverage_mouth=None,
        seed=settings.seed,
    )


def _path(settings: CompleteSettings, mode: str, role: str, pair_id: str) -> str:
    ending = ENDINGS["png" if role == "mask" else settings.image_format]
    return f"data/{settings.name(mode)}/{role}/{pair_id}{ending}"


@cache  # making a Path costs more than looking one up, and every image needs two
def _folder(name: str) -> Path:
    return Path(name)


def _write(settings: CompleteSettings, relative: str, content: bytes, work: Path) -> None:
    write_atomic(inside(_folder(settings.out), relative), content, work)


def _write_shared(settings: CompleteSettings, relative: str, pixels: Pixels, work: Path) -> None:
    """Writes a clean image, which the builds of several modes share: an existing one must hold the same pixels.

    Raises:
        BuildError: it holds other pixels, or cannot be written.
    """
    path = inside(_folder(settings.out), relative)
    content = encode(pixels, settings.image_format)
    if not path.exists():
        write_atomic(path, content, work)
        return
    if path.read_bytes() == content:
        return
    try:
        there = read_rgb(path)
    except SourceError:  # such as truncated when the machine went down; this is not a fault of the source
        write_atomic(path, content, work)
        return
    if settings.image_format == "png" and np.array_equal(there, pixels):
        return
    raise BuildError(
        f"{path} already exists with different pixels, from an earlier build: the raw database or the landmarks have "
        "changed since. Use another --out, or remove that folder and build all modes again"
    )
