"""Verify: that a build is what its manifest says, image by image and fold by fold."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from occsynth.databases.record import EXPRESSIONS
from occsynth.databases.roots import raw_root as find_raw_root
from occsynth.errors import ManifestError, SourceError
from occsynth.faces.align import Alignment
from occsynth.faces.landmark_file import open_landmarks
from occsynth.manifest import Manifest, ManifestInfo, Row, inside
from occsynth.modes import REAL
from occsynth.modes.render import Occlusion
from occsynth.parallel import Progress, batches, one_opencv_thread, run_chunks
from occsynth.pixels.decode import decode_rgb
from occsynth.pixels.images import Pixels, encode, pixels_sha256, read_grey, read_rgb
from occsynth.sharing.remake import CHUNK_ROWS, ROW_FAULTS, Kind, Recipe, make_images, named_images, recipe_of

_SHA256 = re.compile("[0-9a-f]{64}")
_JPEG_BLOCK = 8
_JPEG_TOLERANCE = 3
"""Grey levels by which two JPEG decoders may differ on the same bytes."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was looked at and found.

    Attributes:
        rows: how many rows were checked.
        problems: `(pair_id or file, what is wrong)`, sorted.
        not_checked: what could not be checked, and what would be needed.
    """

    rows: int
    problems: list[tuple[str, str]]
    not_checked: list[str] = field(default_factory=list)


def verify(
    manifest: Manifest,
    *,
    raw_root: Path | None = None,
    templates: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Checks columns, files, pixel hashes, equality outside the mask, order of rows, disjoint subjects, and counts.

    Args:
        raw_root: with it, every image is also made again from its source and compared.
        templates: the pack that the build used, if it was not the one that ships with occsynth.

    Raises:
        ManifestError: a row cannot be parsed (with its line), or the manifest is a published one, without images.
        ReplayError: `templates` is another pack than the build's.
    """
    info = manifest.info
    if info.withheld:
        raise ManifestError(f"{manifest.path} is published: it has no images of its own. Replay it, then verify that")
    recipe = None
    if raw_root is not None:
        recipe = recipe_of(manifest, find_raw_root(info.database, raw_root), templates)
    tables = _Tables()
    watched = batches(tables.watch(manifest.rows()), CHUNK_ROWS)
    chunks = ((str(manifest.root), info, recipe, chunk) for chunk in watched)
    problems: list[tuple[str, str]] = []
    done = 0
    for count, found in run_chunks(verify_chunk, chunks, workers=workers):
        problems += found
        done += count
        if progress:
            progress("pairs", done, info.rows)
    problems += tables.problems + _description(info, tables) + _landmarks(manifest, done) + _rejects(manifest)
    return VerifyReport(done, sorted(problems), _not_checked(manifest, recipe))


def _not_checked(manifest: Manifest, recipe: Recipe | None) -> list[str]:
    left = []
    if recipe is None and manifest.info.format == "jpeg":
        left.append(
            "pixels of clean and occluded images: JPEG is lossy, their hashes hold before encoding; give --root"
        )
    elif recipe is None:
        left.append("that the images follow from their sources: give --root to make every one again")
    absent = [name for name in ("landmarks.npz", "rejects.csv") if not manifest.beside(f".{name}").exists()]
    if absent:
        left.append(f"{' and '.join(absent)}, which {'are' if len(absent) > 1 else 'is'} not beside the manifest")
    return left


class _Tables:
    """What only shows over all rows: order, disjoint subjects, counts."""

    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []
        self._places: dict[str, tuple[str, int | None]] = {}
        self.rows = 0
        self.counts: dict[str, Counter[str]] = {"class": Counter(), "split": Counter(), "fold": Counter()}

    def watch(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Passes the rows on and takes note of them."""
        last = ""
        for row in rows:
            if self.rows and row.pair_id <= last:
                what = "occurs twice" if row.pair_id == last else f"comes after {last}: rows are sorted by pair_id"
                self.problems.append((row.pair_id, f"pair_id {what}"))
            last = row.pair_id
            self.rows += 1
            self._note(row)
            yield row

    def _note(self, row: Row) -> None:
        for name, word in (("class", row.expression), ("split", row.split)):
            self.counts[name][word] += 1
        self.counts["fold"]["" if row.fold is None else str(row.fold)] += 1
        if not row.subject:
            return
        place = (row.split, row.fold)
        first = self._places.setdefault(row.subject, place)
        if first != place:
            self.problems.append((row.pair_id, f"subject {row.subject} is in {_place(first)} and in {_place(place)}"))


def _place(place: tuple[str, int | None]) -> str:
    split, fold = place
    words = [f"split {split}" if split else "", f"fold {fold}" if fold is not None else ""]
    return " ".join(filter(None, words)) or "no split or fold"


def verify_chunk(
    root: str, info: ManifestInfo, recipe: Recipe | None, rows: list[Row]
) -> tuple[int, list[tuple[str, str]]]:
    """Checks some rows; returns how many, and `(pair_id, what is wrong)`s."""
    with one_opencv_thread():
        found = [(row.pair_id, what) for row in rows for what in _row(Path(root), info, recipe, row)]
    return len(rows), found


def _row(root: Path, info: ManifestInfo, recipe: Recipe | None, row: Row) -> Iterator[str]:
    yield from _columns(info, row)
    images: dict[Kind, Pixels] = {}
    for image in named_images(row):
        try:
            file = inside(root, image.path)
            pixels = read_grey(file) if image.kind == "mask" else read_rgb(file)
        except (ManifestError, SourceError, cv2.error) as error:
            yield f"{image.path}: {error}"
            continue
        if pixels.shape[:2] != (info.size_px, info.size_px):
            yield f"{image.path}: {pixels.shape[1]}x{pixels.shape[0]} pixels instead of {info.size_px}x{info.size_px}"
            continue
        images[image.kind] = pixels
        exact = info.format == "png" or image.kind == "mask"
        if exact and pixels_sha256(pixels) != image.sha256:
            yield f"{image.path}: its pixels are not those of the manifest"
    if len(images) == 3:
        yield from _equal_outside(images, exact=info.format == "png")
    if recipe is not None:
        yield from _made_again(recipe, info, row, images)


def _columns(info: ManifestInfo, row: Row) -> Iterator[str]:
    """What is malformed in a row, or contradicts the JSON."""
    real = info.mode == REAL
    for name, value, wanted in (
        ("database", row.database, info.database),
        ("mode", row.mode, info.mode),
        ("seed", row.seed, info.seed),
    ):
        if value != wanted:
            yield f"{name} is {value} in a manifest of {name} {wanted}"
    for name, word, known in (
        ("expression", row.expression, EXPRESSIONS),
        ("split", row.split, ("test",) if real else ("", "train", "val", "test")),
        ("landmarks", row.landmarks, ("found", "padded", "fallback")),
    ):
        if word not in known:
            yield f"{name} '{word}' is none of {', '.join(filter(None, known))}"
    if row.fold is not None and row.fold < 0:
        yield f"fold {row.fold} is negative"
    shares = (row.coverage_face, row.coverage_eyes, row.coverage_mouth)
    if any((share is None) != real for share in shares):
        yield "coverage without an occlusion" if real else "coverage is missing"
    try:
        inside(Path("/"), row.source.partition("#")[0])
        Alignment.from_json(row.align)
        if not real:
            yield from _occlusion(Occlusion.from_json(row.occlusion), info)
    except ManifestError as error:
        yield str(error)
    yield from _image_columns(row, real=real)


def _occlusion(occlusion: Occlusion, info: ManifestInfo) -> Iterator[str]:
    if occlusion.fill != info.fill:
        yield f"occlusion has another fill than {info.fill}"
    if occlusion.fill == "template":
        inside(Path("/"), occlusion.template)
        if not _SHA256.fullmatch(occlusion.template_sha256):
            yield f"hash of template '{occlusion.template_sha256}' is no SHA-256"


def _image_columns(row: Row, *, real: bool) -> Iterator[str]:
    images = named_images(row)
    wanted_kinds = ["occluded"] if real else ["clean", "occluded", "mask"]
    if [image.kind for image in images] != wanted_kinds:
        named = ", ".join(image.kind for image in images) or "none"
        yield f"images named: {named}; mode {row.mode} has {', '.join(wanted_kinds)}"
    for image in images:
        if not image.path.rpartition(".")[0].endswith(f"/{row.pair_id}"):
            yield f"{image.kind} path '{image.path}' is not made of its pair_id"
    hashes = [("source", row.source_sha256), ("source pixels", row.source_pixels_sha256)]
    for what, digest in hashes + [(image.kind, image.sha256) for image in images]:
        if not _SHA256.fullmatch(digest):
            yield f"hash of {what} '{digest}' is no SHA-256"


def _equal_outside(images: dict[Kind, Pixels], *, exact: bool) -> Iterator[str]:
    """Clean and occluded are bit-equal outside the mask; of JPEG, in every block that the mask does not touch."""
    outside = images["mask"] == 0
    if not exact:
        side = np.ones((_JPEG_BLOCK, _JPEG_BLOCK), np.uint8)
        height, width = outside.shape
        rows, columns = -(-height // _JPEG_BLOCK), -(-width // _JPEG_BLOCK)
        touched = np.zeros((rows * _JPEG_BLOCK, columns * _JPEG_BLOCK), bool)
        touched[:height, :width] = ~outside
        blocks = touched.reshape(rows, _JPEG_BLOCK, columns, _JPEG_BLOCK).any(axis=(1, 3))
        outside = np.kron(blocks, side)[:height, :width] == 0
    changed = int(np.count_nonzero((images["clean"] != images["occluded"]).any(axis=2) & outside))
    if changed:
        where = "outside the mask" if exact else "in blocks that the mask does not touch"
        yield f"clean and occluded differ in {changed} pixels {where}"


def _made_again(recipe: Recipe, info: ManifestInfo, row: Row, images: dict[Kind, Pixels]) -> Iterator[str]:
    try:
        made = make_images(recipe, row)
        if info.format == "png":
            return  # its hashes were compared with the file's and with the made image's
        for kind in ("clean", "occluded"):
            if kind in images and kind in made.images:
                there = decode_rgb(encode(made.images[kind], info.format)).astype(np.int16)
                if np.abs(there - images[kind]).max() > _JPEG_TOLERANCE:
                    yield f"its {kind} image is not what its recipe gives as JPEG"
    except ROW_FAULTS as error:
        yield f"made again from its source: {error}"


def _description(info: ManifestInfo, tables: _Tables) -> list[tuple[str, str]]:
    name, problems = f"{info.name}.json", []
    if info.rows != tables.rows:
        problems.append((name, f"says {info.rows} rows, the manifest has {tables.rows}"))
    if info.sources != info.rows + info.rejects:
        problems.append((name, f"{info.sources} sources are not {info.rows} rows + {info.rejects} rejects"))
    for table, counter in tables.counts.items():
        found = dict(counter) if set(counter) != {""} else {}
        if found != info.counts.get(table, {}):
            problems.append((name, f"counts per {table} are not those of the rows"))
    return problems


def _rejects(manifest: Manifest) -> list[tuple[str, str]]:
    path = manifest.beside(".rejects.csv")
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = sum(1 for _ in csv.reader(file)) - 1
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return [(path.name, f"cannot be read: {error}")]
    if lines != manifest.info.rejects:
        return [(path.name, f"lists {lines} rejects, the JSON says {manifest.info.rejects}")]
    return []


def _landmarks(manifest: Manifest, rows: int) -> list[tuple[str, str]]:
    path = manifest.beside(".landmarks.npz")
    if not path.exists():
        return []
    try:
        pair_ids, points_xy = open_landmarks(path)
    except ManifestError as error:
        return [(path.name, str(error))]
    if pair_ids.shape != (rows,) or points_xy.shape != (rows, 68, 2):
        return [(path.name, f"holds {pair_ids.shape} names and {points_xy.shape} points for {rows} rows")]
    names = (row.pair_id for row in manifest.rows())
    problems = []
    for number, (name, there, points) in enumerate(zip(names, pair_ids, points_xy, strict=True), 1):
        if name != there:
            problems.append((path.name, f"names {there} as number {number}, where the manifest has {name}"))
            break
        if not np.isfinite(points).all():
            problems.append((name, f"its landmarks in {path.name} are not finite"))
    return problems
