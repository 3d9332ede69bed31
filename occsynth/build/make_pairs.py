"""One chunk of a build, in a worker: from records to written images, rows and rejects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occsynth.build.chunk_images import ChunkImages, damaged_files
from occsynth.build.face_landmarks import find_landmarks, landmark_cache
from occsynth.build.part_files import Part, part_is_there, read_part, write_part
from occsynth.build.settings import CompleteSettings
from occsynth.databases.record import FaceRecord
from occsynth.errors import BuildError, SourceError
from occsynth.faces.align import Alignment, align_image, align_points, resize_alignment, similarity_alignment
from occsynth.faces.landmarks import Landmarks
from occsynth.faces.regions import five_points, ibug68
from occsynth.manifest import Row, votes_text
from occsynth.modes import REAL
from occsynth.modes.face import Face
from occsynth.modes.render import render
from occsynth.modes.seeds import Stream, row_stream
from occsynth.occluder import Occluder
from occsynth.parallel import one_opencv_thread
from occsynth.pixels.images import ENDINGS, Pixels, blank_fault, encode, pixels_sha256
from occsynth.pixels.source_faults import explained_source_faults
from occsynth.pixels.sources import Source, read_source
from occsynth.templates.sprites import OPAQUE_ALPHA


@dataclass(frozen=True, slots=True)
class ChunkOutcome:
    """What became of one chunk.

    Attributes:
        records: how many it has.
        damage: why a chunk that an earlier run had finished was made again; empty if it was kept, or is new.
    """

    records: int
    damage: str = ""


def build_chunk(settings: CompleteSettings, work: str, number: int, records: list[FaceRecord]) -> ChunkOutcome:
    """Makes every pair of a chunk, then writes its part file; faults of single sources become rejects.

    A chunk that an earlier run finished is kept if its part file and all its images are undamaged, and made again
    otherwise.

    Args:
        settings: of the build.
        work: the build's work folder.
        number: of the chunk.
        records: of the chunk, by rising pair_id.

    Raises:
        BuildError: an image cannot be written.
    """
    folder = Path(work)
    former: dict[str, str] = {}
    damage = ""
    if part_is_there(folder, number):
        try:
            former = read_part(folder, number, records).files
        except BuildError as error:
            damage = str(error)
        else:
            damaged = list(damaged_files(Path(settings.out), former))
            if not damaged:
                return ChunkOutcome(len(records))
            damage = f"{damaged[0]} is damaged or missing"
    images = ChunkImages(settings, folder, former)
    with one_opencv_thread():
        part = _make_part(settings, images, records)
    write_part(folder, number, records, part)
    return ChunkOutcome(len(records), damage)


def _make_part(settings: CompleteSettings, images: ChunkImages, records: Sequence[FaceRecord]) -> Part:
    rows: dict[str, list[Row]] = {mode: [] for mode in settings.modes}
    rejects: list[tuple[str, str]] = []
    points: list[npt.NDArray[np.float32]] = []
    for record in records:
        try:
            with explained_source_faults():
                made = _make_pair(settings, record)
        except SourceError as error:
            rejects.append((record.source, str(error)))
            continue
        if made.clean_path:
            images.write_clean(made.clean_path, made.clean)
        for path, content in made.files.items():
            images.write(path, content)
        points.append(made.points_68)
        for row in made.rows:
            rows[row.mode].append(row)
    return Part(rows, rejects, np.array(points, np.float32).reshape(-1, 68, 2), images.files)


@dataclass(frozen=True, slots=True, eq=False)
class _MadePair:
    """What is made from one record, before anything of it is written.

    Attributes:
        rows: one per mode.
        points_68: `(68, 2)` float32 in the pixels of the aligned face.
        clean: the aligned face.
        clean_path: where it is to be written, under the build root; empty with mode `real`.
        files: the content of the other image files by path.
    """

    rows: list[Row]
    points_68: npt.NDArray[np.float32]
    clean: Pixels
    clean_path: str
    files: dict[str, bytes]


def _make_pair(settings: CompleteSettings, record: FaceRecord) -> _MadePair:
    source = read_source(_folder(settings.raw_root), record.source)
    landmarks = find_landmarks(landmark_cache(settings.out), record, source, cropped=settings.cropped)
    alignment = _alignment(settings, landmarks)
    clean = align_image(source.pixels, alignment, settings.size_px)
    if fault := blank_fault(clean):
        raise SourceError(fault)
    points = align_points(landmarks.points_xy, alignment)
    row = _shared_row(settings, record, source, alignment, landmarks.how)
    made = _MadePair([], ibug68(points).astype(np.float32), clean, _clean_path(settings, row.pair_id), {})
    if not made.clean_path:
        _add_real(settings, row, made)
        return made
    row = replace(row, clean=made.clean_path, clean_pixels_sha256=pixels_sha256(clean))
    face = Face.with_points(clean, points)
    face_sha256 = row.clean_pixels_sha256 if record.box_xyxy is not None else ""  # one of several in the picture
    for mode in settings.modes:
        stream = row_stream(settings.seed, mode, row.source_pixels_sha256, face_sha256)
        _add_occluded(settings, replace(row, mode=mode), face, stream, made)
    return made


def _clean_path(settings: CompleteSettings, pair_id: str) -> str:
    if REAL in settings.modes:  # it stands alone, see `complete`
        return ""
    return f"data/{settings.clean_folder}/clean/{pair_id}{ENDINGS[settings.image_format]}"


def _add_real(settings: CompleteSettings, row: Row, made: _MadePair) -> None:
    """Adds a face that is already occluded: there is neither a clean image nor a mask, and it is test only."""
    path = _path(settings, REAL, "occluded", row.pair_id)
    digest = pixels_sha256(made.clean)
    made.files[path] = encode(made.clean, settings.image_format)
    made.rows.append(replace(row, mode=REAL, split="test", fold=None, occluded=path, occluded_pixels_sha256=digest))


def _add_occluded(settings: CompleteSettings, row: Row, face: Face, stream: Stream, made: _MadePair) -> None:
    """Draws and renders the occlusion of a row, and adds its images and what follows from it."""
    occluder = _occluder(settings, row.mode)
    occlusion = occluder.sample(face, stream)
    rendered = render(face.pixels, occlusion, occluder.choices.pack)
    coverage = face.regions.coverage(rendered.alpha, OPAQUE_ALPHA)
    occluded_path = _path(settings, row.mode, "occluded", row.pair_id)
    mask_path = _path(settings, row.mode, "mask", row.pair_id)
    made.files[occluded_path] = encode(rendered.image, settings.image_format)
    made.files[mask_path] = encode(rendered.mask, "png")
    made.rows.append(
        replace(
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
    )


def _path(settings: CompleteSettings, mode: str, role: str, pair_id: str) -> str:
    ending = ENDINGS["png" if role == "mask" else settings.image_format]
    return f"data/{settings.name(mode)}/{role}/{pair_id}{ending}"


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
        keep_colour=settings.keep_colour,
        look=settings.look(mode),
        square_at=settings.square_at,
        template_split=settings.template_split,
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
        votes=None if record.votes is None else votes_text(record.votes),
    )


@cache  # making a Path costs more than looking one up
def _folder(name: str) -> Path:
    return Path(name)
