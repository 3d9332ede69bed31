"""Verify: that a build is what its manifest says, image by image and fold by fold."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from occsynth.align import Alignment
from occsynth.compose import Occlusion
from occsynth.databases.record import EXPRESSIONS
from occsynth.errors import ManifestError, OccSynthError
from occsynth.images import Pixels, pixels_sha256, read_grey, read_rgb
from occsynth.manifest import Manifest, Row, inside
from occsynth.modes.names import REAL
from occsynth.parallel import run_chunks
from occsynth.replay import CHUNK_ROWS, Recipe, batches, make_images, named_images, pack_folder_for
from occsynth.report import Progress
from occsynth.settings import raw_root as find_raw_root


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
    """Checks files, pixel hashes, equality outside the mask, order and uniqueness of rows, and disjoint subjects.

    Args:
        raw_root: with it, every image is rendered again from its source and compared too.

    Raises:
        ManifestError: the manifest cannot be read, or is a published one, which has no images.
    """
    info = manifest.info
    if info.withheld:
        raise ManifestError(f"{manifest.path} is published: it has no images of its own. Replay it, then verify that")
    recipe = None
    not_checked = []
    if raw_root is not None:
        root = find_raw_root(info.database, raw_root)
        recipe = Recipe(str(root.resolve()), pack_folder_for(manifest, templates), "", info.size_px, info.format)
    elif info.format == "jpeg":
        not_checked.append("pixels: JPEG is lossy, so its hashes hold before encoding; --root renders them again")
    tables = _Tables(info.mode)
    watched = batches(tables.watch(manifest.rows()), CHUNK_ROWS)
    chunks = ((str(manifest.root), info.format, recipe, chunk) for chunk in watched)
    problems: list[tuple[str, str]] = []
    done = 0
    for count, found in run_chunks(verify_chunk, chunks, workers=workers):
        problems += found
        done += count
        if progress:
            progress("pairs", done, info.rows)
    problems += tables.problems() + _shared_files(manifest, tables)
    return VerifyReport(done, sorted(problems), not_checked)


class _Tables:
    """What only shows over all rows: order, disjoint subjects, counts."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._found: list[tuple[str, str]] = []
        self._places: dict[str, tuple[str, int | None]] = {}
        self.rows = 0
        self.counts: dict[str, Counter[str]] = {"class": Counter(), "split": Counter(), "fold": Counter()}

    def watch(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Passes the rows on and takes note of them."""
        last = ""
        for row in rows:
            if self.rows and row.pair_id <= last:
                what = "occurs twice" if row.pair_id == last else f"comes after {last}: rows are sorted by pair_id"
                self._found.append((row.pair_id, f"pair_id {what}"))
            last = row.pair_id
            self.rows += 1
            self._note(row)
            yield row

    def _note(self, row: Row) -> None:
        for name, word in (("class", row.expression), ("split", row.split)):
            self.counts[name][word] += 1
        self.counts["fold"]["" if row.fold is None else str(row.fold)] += 1
        if row.mode != self._mode:
            self._found.append((row.pair_id, f"mode {row.mode} in a manifest of mode {self._mode}"))
        if not row.subject:
            return
        place = (row.split, row.fold)
        first = self._places.setdefault(row.subject, place)
        if first != place:
            self._found.append((row.pair_id, f"subject {row.subject} is in {_place(first)} and in {_place(place)}"))

    def problems(self) -> list[tuple[str, str]]:
        """What was found wrong."""
        return self._found


def _place(place: tuple[str, int | None]) -> str:
    split, fold = place
    return " ".join(filter(None, [f"split {split}" if split else "", f"fold {fold}" if fold is not None else ""]))


def verify_chunk(
    root: str, image_format: str, recipe: Recipe | None, rows: list[Row]
) -> tuple[int, list[tuple[str, str]]]:
    """Checks some rows; returns how many, and what is wrong."""
    manifest_root = Path(root)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        found = ((row.pair_id, what) for row in rows for what in _row(manifest_root, image_format, recipe, row))
        return len(rows), list(found)
    finally:
        cv2.setNumThreads(threads)


def _row(root: Path, image_format: str, recipe: Recipe | None, row: Row) -> Iterator[str]:
    if row.expression not in EXPRESSIONS:
        yield f"expression '{row.expression}' is none of {', '.join(EXPRESSIONS)}"
    yield from _recipe_columns(row)
    images: dict[str, Pixels] = {}
    for path, expected in named_images(row):
        try:
            file = inside(root, path)
            pixels = read_grey(file) if path == row.mask else read_rgb(file)
        except OccSynthError as error:
            yield f"{path}: {error}"
            continue
        images[path] = pixels
        if (image_format == "png" or path == row.mask) and pixels_sha256(pixels) != expected:
            yield f"{path}: its pixels are not those of the manifest"
    if row.mode != REAL and len(images) == 3 and image_format == "png":
        yield from _equal_outside(images[row.clean], images[row.occluded], images[row.mask])
    if recipe is not None:
        yield from _rendered_again(recipe, row)


def _recipe_columns(row: Row) -> Iterator[str]:
    try:
        Alignment.from_json(row.align)
        if row.mode != REAL:
            Occlusion.from_json(row.occlusion)
    except ManifestError as error:
        yield str(error)
    wanted = 1 if row.mode == REAL else 3
    if len(named_images(row)) != wanted:
        yield f"{len(named_images(row))} images are named, and mode {row.mode} has {wanted}"


def _equal_outside(clean: Pixels, occluded: Pixels, mask: Pixels) -> Iterator[str]:
    if not clean.shape == occluded.shape == (*mask.shape, 3):
        yield f"sizes differ: clean {clean.shape}, occluded {occluded.shape}, mask {mask.shape}"
        return
    outside = mask == 0
    changed = int(np.count_nonzero((clean != occluded).any(axis=2) & outside))
    if changed:
        yield f"clean and occluded differ in {changed} pixels outside the mask"


def _rendered_again(recipe: Recipe, row: Row) -> Iterator[str]:
    try:
        for (path, expected), pixels in zip(named_images(row), make_images(recipe, row), strict=True):
            if pixels_sha256(pixels) != expected:
                yield f"{path}: rendered again from its source it has other pixels"
    except (OccSynthError, ValueError) as error:
        yield f"cannot be rendered again: {error}"


def _shared_files(manifest: Manifest, tables: _Tables) -> list[tuple[str, str]]:
    info, problems = manifest.info, []
    if info.rows != tables.rows:
        problems.append((f"{info.name}.json", f"says {info.rows} rows, the manifest has {tables.rows}"))
    if info.sources != info.rows + info.rejects:
        sums = f"{info.sources} sources are not {info.rows} rows + {info.rejects} rejects"
        problems.append((f"{info.name}.json", sums))
    for name, counter in tables.counts.items():
        found = {word: count for word, count in counter.items() if set(counter) != {""}}
        if found != info.counts.get(name, {}):
            problems.append((f"{info.name}.json", f"counts per {name} are not those of the rows"))
    path = manifest.beside(".landmarks.npz")
    if path.exists():
        problems += [(path.name, what) for what in _landmarks(path, tables.rows)]
    return problems


def _landmarks(path: Path, rows: int) -> Iterator[str]:
    try:
        with np.load(path, allow_pickle=False) as content:
            shapes = content["pair_ids"].shape, content["points_xy"].shape
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        yield f"is no file of landmarks: {error}"
        return
    if shapes != ((rows,), (rows, 68, 2)):
        yield f"holds {shapes[0]} names and {shapes[1]} points for {rows} rows"
