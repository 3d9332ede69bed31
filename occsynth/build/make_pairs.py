"""One chunk of a build, in a worker: from records to written images, rows and rejects."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.build.face_landmarks import find_landmarks
from occsynth.build.part_files import Part, _write_part
from occsynth.build.settings import Settings
from occsynth.databases.record import FaceRecord
from occsynth.errors import BuildError, SourceError
from occsynth.faces.align import Alignment, align_image, align_points, resize_alignment, similarity_alignment
from occsynth.faces.landmarks import Landmarks
from occsynth.faces.regions import five_points, ibug68
from occsynth.files import write_atomic
from occsynth.manifest import Row, inside
from occsynth.modes import REAL
from occsynth.modes.face import Face
from occsynth.modes.render import render
from occsynth.occluder import Occluder
from occsynth.parallel import one_opencv_thread
from occsynth.pixels.images import ENDINGS, Pixels, encode, pixels_sha256, read_rgb
from occsynth.pixels.sources import Source, read_source
from occsynth.templates.sprites import OPAQUE_ALPHA


def build_chunk(settings: Settings, work: str, number: int, records: list[FaceRecord]) -> int:
    """Makes every pair of a chunk and writes its part file last; returns the number of records.

    Raises:
        BuildError: an image cannot be written. Faults of single sources become rejects.
    """
    rows: dict[str, list[Row]] = {mode: [] for mode in settings.modes}
    rejects: list[tuple[str, str]] = []
    points: list[npt.NDArray[np.float32]] = []
    with one_opencv_thread():
        for record in records:
            try:
                made, face_points = _make(settings, Path(work), record)
            except SourceError as error:
                rejects.append((record.source, str(error)))
                continue
            points.append(face_points)
            for row in made:
                rows[row.mode].append(row)
    _write_part(Path(work), number, Part(rows, rejects, np.array(points, np.float32).reshape(-1, 68, 2)))
    return len(records)


def _make(settings: Settings, work: Path, record: FaceRecord) -> tuple[list[Row], npt.NDArray[np.float32]]:
    source = read_source(_folder(settings.raw_root), record.source)
    try:
        landmarks = find_landmarks(settings, record, source)
        alignment = _alignment(settings, landmarks)
        clean = align_image(source.pixels, alignment, settings.size_px)
    except cv2.error as error:
        raise SourceError(f"OpenCV failed on it: {error.err}") from error
    points = align_points(landmarks.points_xy, alignment)
    rows = []
    clean_sha256 = pixels_sha256(clean)
    clean_path = "" if REAL in settings.modes else f"data/{settings.clean_folder}/clean/{record.pair_id}"
    if clean_path:
        clean_path += ENDINGS[settings.image_format]
        _write_shared(settings, clean_path, clean, work)
    face = Face.with_points(clean, points)
    shared = _row(settings, record, source, alignment, landmarks.how)
    for mode in settings.modes:
        row = replace(shared, mode=mode)
        if mode == REAL:
            occluded_path = _path(settings, mode, "occluded", record)
            _write(settings, occluded_path, encode(clean, settings.image_format), work)
            rows.append(
                replace(row, split="test", fold=None, occluded=occluded_path, occluded_pixels_sha256=clean_sha256)
            )
            continue
        row = replace(row, clean=clean_path, clean_pixels_sha256=clean_sha256)
        rows.append(_occlude(settings, row, face, record, work))
    return rows, ibug68(points).astype(np.float32)


def _occlude(settings: Settings, row: Row, face: Face, record: FaceRecord, work: Path) -> Row:
    occluder = _occluder(settings, row.mode)
    occlusion = occluder.sample(face, record.pair_id, settings.db)
    rendered = render(face.pixels, occlusion, occluder.choices.pack)
    coverage = face.regions.coverage(rendered.alpha, OPAQUE_ALPHA)
    occluded_path = _path(settings, row.mode, "occluded", record)
    mask_path = _path(settings, row.mode, "mask", record)
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
def _occluder(settings: Settings, mode: str) -> Occluder:
    """Kept for the life of a worker process, with its decoded templates."""
    return Occluder(
        mode,
        Path(settings.pack_folder) if settings.pack_folder else None,
        settings.seed,
        fill=settings.fill,
        categories=settings.categories or None,
        colour_match=settings.colour_match,
        shadow=settings.shadow,
    )


def _alignment(settings: Settings, landmarks: Landmarks) -> Alignment:
    if settings.align == "none":
        return resize_alignment(landmarks.image_wh, settings.size_px)
    return similarity_alignment(five_points(landmarks.points_xy), landmarks.image_wh, settings.size_px)


def _row(settings: Settings, record: FaceRecord, source: Source, alignment: Alignment, how: str) -> Row:
    """What the rows of all modes share."""
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


def _path(settings: Settings, mode: str, kind: str, record: FaceRecord) -> str:
    ending = ENDINGS["png" if kind == "mask" else settings.image_format]
    return f"data/{settings.name(mode)}/{kind}/{record.pair_id}{ending}"


@cache
def _folder(name: str) -> Path:
    return Path(name)


def _write(settings: Settings, relative: str, content: bytes, work: Path) -> None:
    write_atomic(inside(_folder(settings.out), relative), content, work)


def _write_shared(settings: Settings, relative: str, pixels: Pixels, work: Path) -> None:
    """Writes a clean image, which the builds of several modes share: one that is there must hold the same pixels."""
    path = inside(_folder(settings.out), relative)
    content = encode(pixels, settings.image_format)
    if not path.exists():
        write_atomic(path, content, work)
        return
    if path.read_bytes() == content:
        return
    try:
        there = read_rgb(path)
    except SourceError:  # cut short when the machine went down, say; it must not pass for a fault of the source
        write_atomic(path, content, work)
        return
    if settings.image_format == "png" and np.array_equal(there, pixels):
        return
    raise BuildError(
        f"{path} is there from an earlier build with other pixels: the raw database or the landmarks changed since. "
        "Use another --out, or remove that folder and build all modes again"
    )
