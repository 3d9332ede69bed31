"""One chunk of a build, in a worker: from records to written images, rows and rejects."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from occsynth.align import Alignment, align_image, align_points, resize_alignment, similarity_alignment
from occsynth.compose import render
from occsynth.databases.record import FaceRecord, Points
from occsynth.errors import BuildError, SourceError
from occsynth.face_regions import five_points, ibug68
from occsynth.images import ENDINGS, Pixels, Source, encode, pixels_sha256, read_rgb, read_source, write_atomic
from occsynth.landmark_cache import LandmarkCache
from occsynth.landmarks import Landmarks, detect_landmarks, fallback_landmarks
from occsynth.manifest import Row, inside
from occsynth.modes.face import Face
from occsynth.modes.names import REAL
from occsynth.occluder import Occluder
from occsynth.settings import Settings
from occsynth.templates import OPAQUE_ALPHA


@dataclass(frozen=True, slots=True)
class Part:
    """What a chunk leaves on disk for the merge.

    Attributes:
        rows: by mode, in the order of pair_ids.
        rejects: `(source, reason)`.
        points_xy: `(N, 68, 2)` float32, of the rows of any one mode.
    """

    rows: dict[str, list[Row]]
    rejects: list[tuple[str, str]]
    points_xy: npt.NDArray[np.float32]


def build_chunk(settings: Settings, work: str, number: int, records: list[FaceRecord]) -> int:
    """Makes every pair of a chunk and writes its part file last; returns the number of records.

    Raises:
        BuildError: an image cannot be written. Faults of single sources become rejects.
    """
    rows: dict[str, list[Row]] = {mode: [] for mode in settings.modes}
    rejects: list[tuple[str, str]] = []
    points: list[npt.NDArray[np.float32]] = []
    with _one_opencv_thread():
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


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # workers are processes; OpenCV's own threads would only fight over the cores
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


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


@cache
def landmark_cache(out: str) -> LandmarkCache:
    """The landmarks that all builds under one root share."""
    return LandmarkCache(Path(out) / "cache" / "landmarks")


def find_landmarks(settings: Settings, record: FaceRecord, source: Source) -> Landmarks:
    """Detected once a source image; the fallback geometry, never cached, stands in for cropped faces.

    Where points that come with the database show a face on its side (cameras were), the detector sees it upright.
    """
    turns = 0 if record.box_xyxy is not None else quarter_turns(record.points_xy)
    pixels = np.ascontiguousarray(np.rot90(source.pixels, turns)) if turns else source.pixels
    digest = pixels_sha256(pixels) if turns else source.pixels_sha256
    cache_folder = landmark_cache(settings.out)
    known = cache_folder.get(digest, record.box_xyxy)
    if known is None:
        found = detect_landmarks(pixels, record.box_xyxy)
        cache_folder.put(digest, found, record.box_xyxy)
    else:
        found = known.landmarks
    source_wh = (source.pixels.shape[1], source.pixels.shape[0])
    if found is not None:
        if not turns and found.image_wh == source_wh:
            return found
        return replace(found, points_xy=turned_back(found.points_xy, turns, source_wh), image_wh=source_wh)
    if not settings.cropped:
        raise SourceError("no face found")
    points = None if record.points_xy is None else np.array(record.points_xy, np.float64)
    return fallback_landmarks(source_wh, points)


def quarter_turns(points_xy: Points | None) -> int:
    """Counter-clockwise quarter turns (0 to 3) after which the line of the eyes is level.

    Args:
        points_xy: 5 or 68 points of the face, or None, which gives 0.
    """
    if points_xy is None:
        return 0
    points = np.array(points_xy, np.float64)
    left, right = (points[0], points[1]) if len(points) == 5 else (points[36:42].mean(0), points[42:48].mean(0))
    return round(math.degrees(math.atan2(right[1] - left[1], right[0] - left[0])) / 90) % 4


def turned_back(points_xy: npt.NDArray[np.float32], turns: int, wh: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Points of an image that was turned counter-clockwise, in the pixels of the unturned one of size `wh`."""
    x, y = points_xy[:, 0], points_xy[:, 1]
    right, bottom = np.float32(wh[0] - 1), np.float32(wh[1] - 1)
    places = {0: (x, y), 1: (right - y, x), 2: (right - x, bottom - y), 3: (y, bottom - x)}
    return np.stack(places[turns], axis=1)


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


def _write_part(work: Path, number: int, part: Part) -> None:
    content = {
        "rows": {mode: [row.cells() for row in rows] for mode, rows in part.rows.items()},
        "rejects": part.rejects,
    }
    write_atomic(work / f"{number:08d}.points", part.points_xy.astype("<f4").tobytes())
    write_atomic(work / f"{number:08d}.json", json.dumps(content).encode())


def part_is_done(work: Path, number: int) -> bool:
    """Whether a chunk's part file is there: it is written last."""
    return (work / f"{number:08d}.json").exists()


def read_part(work: Path, number: int) -> Part:
    """What `build_chunk` left."""
    content = json.loads((work / f"{number:08d}.json").read_text(encoding="utf-8"))
    points = np.fromfile(work / f"{number:08d}.points", "<f4").reshape(-1, 68, 2)
    rows = {mode: [Row.from_cells(cells) for cells in rows] for mode, rows in content["rows"].items()}
    return Part(rows, [(source, reason) for source, reason in content["rejects"]], points)
