"""Replay: a whole build again from the raw database and its manifest, without MediaPipe, proved by pixel hashes."""

import csv
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

import cv2

from occsynth.align import Alignment, align_image
from occsynth.compose import Occlusion, render
from occsynth.errors import ManifestError, OccSynthError, ReplayError, SourceError
from occsynth.images import (
    Pixels,
    encode,
    explained_os_errors,
    pixels_sha256,
    read_grey,
    read_rgb,
    read_source,
    write_atomic,
)
from occsynth.join import join
from occsynth.manifest import GZIP_ABOVE_ROWS, Manifest, ManifestInfo, Row, inside
from occsynth.modes.names import REAL
from occsynth.parallel import run_chunks
from occsynth.report import Progress
from occsynth.settings import raw_root as find_raw_root
from occsynth.templates import TemplatePack, load_pack

CHUNK_ROWS = 32
_SHOWN = 5

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay made: the manifest under the new build root, its rows, and how many were there already.

    `warnings` come from joining a published manifest with the recipient's copy.
    """

    manifest: Path
    rows: int
    kept: int
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What every row of a replay needs besides itself; it travels to the workers."""

    raw_root: str
    pack_folder: str
    out: str
    size_px: int
    image_format: str


def replay(
    manifest: Manifest,
    *,
    out: Path,
    raw_root: Path | None = None,
    templates: Path | None = None,
    workers: int | None = None,
    backend: str = "loky",
    scheduler: str = "",
    progress: Progress | None = None,
) -> ReplayReport:
    """Makes a build root under `out` from the raw database and a manifest; images that are there and right are kept.

    Args:
        raw_root: the recipient's own copy of the database; default the remembered one.
        templates: the pack that the build used, if it was not the one that ships with occsynth.

    Raises:
        ReplayError: another template pack, or rows that did not come out; all of them are listed in a file, and no
            manifest is written.
        OccSynthError: the raw root is not known, or `out` cannot be written.
    """
    info = manifest.info
    root = find_raw_root(info.database, raw_root)
    if out.resolve() == manifest.root and not info.withheld:
        raise ReplayError(f"--out {out} is the build that the manifest lies in; replay into another folder")
    recipe = Recipe(
        str(root.resolve()), pack_folder_for(manifest, templates), str(out.resolve()), info.size_px, info.format
    )
    with explained_os_errors(out):
        (out / "manifests").mkdir(parents=True, exist_ok=True)
    rows_path = manifest.path
    warnings: list[str] = []
    problems: list[tuple[str, str]] = []
    if info.withheld:
        rows_path = out / "manifests" / f".{info.name}.restored.csv{'.gz' if info.rows > GZIP_ABOVE_ROWS else ''}"
        joined = join(
            manifest, root, rows_path, workers=workers, backend=backend, scheduler=scheduler, progress=progress
        )
        problems += joined.missing
        warnings, info = joined.warnings, joined.info
    made = _replay_rows(manifest, rows_path, recipe, (workers, backend, scheduler), progress)
    kept = sum(count for count, _ in made)
    problems += [problem for _, found in made for problem in found]
    listed = out / "manifests" / f"{info.name}.replay-problems.csv"
    if problems:
        _fail(problems, listed, info.rows)
    listed.unlink(missing_ok=True)
    return ReplayReport(_put_manifest(manifest, info, rows_path, out), info.rows, kept, warnings)


def pack_folder_for(manifest: Manifest, templates: Path | None) -> str:
    """Folder of the pack that a manifest was built with, empty for none; raises ReplayError for another pack."""
    info = manifest.info
    if not info.template_pack_sha256:
        return ""
    pack = load_pack(templates)
    if pack.sha256 != info.template_pack_sha256:
        raise ReplayError(
            f"{manifest.path} was built with template pack '{info.template_pack}' "
            f"({info.template_pack_sha256[:12]}...), and {pack.folder} is another one ({pack.sha256[:12]}...); "
            "give the folder of the same pack with --templates"
        )
    return str(pack.folder.resolve())


def _replay_rows(
    manifest: Manifest,
    rows_path: Path,
    recipe: Recipe,
    where: tuple[int | None, str, str],
    progress: Progress | None,
) -> list[tuple[int, list[tuple[str, str]]]]:
    rows = replace(manifest, path=rows_path).rows()
    workers, backend, scheduler = where
    chunks = ((recipe, chunk) for chunk in batches(rows, CHUNK_ROWS))
    made, done = [], 0
    for size, kept, problems in run_chunks(replay_chunk, chunks, workers=workers, backend=backend, scheduler=scheduler):
        made.append((kept, problems))
        done += size
        if progress:
            progress("pairs", done, manifest.info.rows)
    return made


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def replay_chunk(recipe: Recipe, rows: list[Row]) -> tuple[int, int, list[tuple[str, str]]]:
    """Makes the images of some rows; returns how many rows, how many were there already, and (pair_id, problem)s."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    kept, problems = 0, []
    try:
        for row in rows:
            try:
                kept += _replay_row(recipe, row)
            except (SourceError, ManifestError, ReplayError) as error:
                problems.append((row.pair_id, str(error)))
    finally:
        cv2.setNumThreads(threads)
    return len(rows), kept, problems


def _replay_row(recipe: Recipe, row: Row) -> bool:
    """Whether everything was there already; raises OccSynthError for a row that does not come out."""
    out = Path(recipe.out)
    if recipe.image_format == "png" and _all_there(out, row):
        return True
    for (path, expected), pixels in zip(named_images(row), make_images(recipe, row), strict=True):
        if pixels_sha256(pixels) != expected:
            raise ReplayError(f"{path}: other pixels than the manifest names, though its source is the right one")
        image_format = "png" if path == row.mask else recipe.image_format
        write_atomic(inside(out, path), encode(pixels, image_format))
    return False


def named_images(row: Row) -> list[tuple[str, str]]:
    """Paths and pixel hashes of a row's images: clean, occluded, mask; of mode `real` the occluded one alone."""
    images = (
        (row.clean, row.clean_pixels_sha256),
        (row.occluded, row.occluded_pixels_sha256),
        (row.mask, row.mask_pixels_sha256),
    )
    return [image for image in images if image[0]]


def make_images(recipe: Recipe, row: Row) -> list[Pixels]:
    """A row's images from its source, in the order of `named_images`.

    Raises:
        ReplayError: the source is another file, or OpenCV decodes it otherwise here.
        SourceError: it cannot be read.
        ManifestError: the row is malformed.
    """
    source = read_source(Path(recipe.raw_root), row.source)
    if source.pixels_sha256 != row.source_pixels_sha256:
        if source.sha256 != row.source_sha256:
            raise ReplayError(f"source {row.source} is another file than the manifest was built from")
        raise ReplayError(
            f"source {row.source} is the right file, but OpenCV {cv2.__version__} decodes it to other pixels here: "
            "it is the decoder, not the recipe. Use the OpenCV version that the manifest's JSON names"
        )
    clean = align_image(source.pixels, Alignment.from_json(row.align), recipe.size_px)
    if row.mode == REAL:
        return [clean]
    rendered = render(clean, Occlusion.from_json(row.occlusion), _pack(recipe.pack_folder))
    return [clean, rendered.image, rendered.mask]


@cache
def _pack(folder: str) -> TemplatePack | None:
    return load_pack(Path(folder)) if folder else None


def _all_there(out: Path, row: Row) -> bool:
    for path, expected in named_images(row):
        file = inside(out, path)
        if not file.exists():
            return False
        try:
            pixels = read_grey(file) if path == row.mask else read_rgb(file)
        except OccSynthError:
            return False
        if pixels_sha256(pixels) != expected:
            return False
    return True


def _fail(problems: list[tuple[str, str]], listed: Path, rows: int) -> None:
    with explained_os_errors(listed), listed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("pair_id", "problem"))
        writer.writerows(sorted(problems))
    first = "; ".join(f"{pair_id}: {problem}" for pair_id, problem in sorted(problems)[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    raise ReplayError(f"{len(problems)} of {rows} rows did not come out: {first}{more}. All are listed in {listed}")


def _put_manifest(manifest: Manifest, info: ManifestInfo, rows_path: Path, out: Path) -> Path:
    """The manifest and what belongs to it into the new build root, the CSV last."""
    folder, name = out / "manifests", manifest.info.name
    with explained_os_errors(folder):
        for ending in (".rejects.csv", ".landmarks.npz"):
            if manifest.beside(ending).exists() and not manifest.info.withheld:
                shutil.copyfile(manifest.beside(ending), folder / f"{name}{ending}")
        write_atomic(folder / f"{name}.json", replace(info, root="..").dumps().encode())
        path = folder / f"{name}{'.csv.gz' if rows_path.name.endswith('.gz') else '.csv'}"
        temporary = folder / f".{name}.tmp"
        shutil.copyfile(rows_path, temporary)
        temporary.replace(path)
        if manifest.info.withheld:
            rows_path.unlink()
    return path
