"""Replay: a whole build again from the raw database and its manifest, without MediaPipe, proved by pixel hashes."""

import csv
import filecmp
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from occsynth.databases.roots import raw_root as find_raw_root
from occsynth.errors import ReplayError, SourceError
from occsynth.files import explained_os_errors, write_atomic
from occsynth.manifest import GZIP_ABOVE_ROWS, Manifest, ManifestInfo, Row, inside
from occsynth.parallel import Progress, batches, one_opencv_thread, run_chunks
from occsynth.pixels.images import Pixels, encode, pixels_sha256, read_grey, read_rgb
from occsynth.sharing.join import Joined, join
from occsynth.sharing.remake import CHUNK_ROWS, ROW_FAULTS, Named, Recipe, make_images, named_images, recipe_of

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay made.

    Attributes:
        manifest: under the new build root.
        rows: all of them came out.
        kept: rows whose images were there already and right.
        warnings: sources with other bytes but the same pixels; doubts met while joining a published manifest.
    """

    manifest: Path
    rows: int
    kept: int
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Workers:
    """Where the work is done, see `run_chunks`."""

    count: int | None
    backend: str
    scheduler: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where images go; it travels to the workers."""

    out: str
    work: str
    image_format: str


@dataclass(slots=True)
class Result:
    """What became of some rows: how many, how many of them were there, and `(pair_id, source, problem)`s."""

    rows: int = 0
    kept: int = 0
    other_bytes: int = 0
    problems: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        """Takes up what became of other rows."""
        self.rows += other.rows
        self.kept += other.kept
        self.other_bytes += other.other_bytes
        self.problems += other.problems


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

    A published manifest is joined with the recipient's copy first, see `occsynth.sharing.join`.

    Args:
        raw_root: the recipient's own copy of the database; default the remembered one.
        templates: the pack that the build used, if it was not the one that ships with occsynth.

    Raises:
        ReplayError: another template pack, another build of that name under `out`, or rows that did not come out;
            these are listed in a file, and no manifest is written.
        OccSynthError: the raw root is not known, or `out` cannot be written.
    """
    started = time.monotonic()
    info = manifest.info
    if out.resolve() == manifest.root and not info.withheld:
        raise ReplayError(f"--out {out} is the build that the manifest lies in; replay into another folder")
    root = find_raw_root(info.database, raw_root)
    recipe = recipe_of(manifest, root, templates)
    where = Workers(workers, backend, scheduler)
    with _work_folder(out, info.name) as work:
        target = Target(str(out.resolve()), str(work.resolve()), info.format)
        joined = _joined(manifest, root, work, where, progress)
        rows_path = manifest.path if joined is None else _rows_path(work, info.rows)
        goal = out / "manifests" / f"{info.name}{'.csv.gz' if rows_path.name.endswith('.gz') else '.csv'}"
        _check_free(goal, rows_path)
        rows = replace(manifest, path=rows_path).rows()
        result = Result(problems=[] if joined is None else [(name, "", what) for name, what in joined.missing])
        chunks = ((recipe, target, chunk) for chunk in batches(rows, CHUNK_ROWS))
        for made in run_chunks(replay_chunk, chunks, workers=workers, backend=backend, scheduler=scheduler):
            result.add(made)
            if progress:
                progress("pairs", result.rows, info.rows)
        listed = goal.with_name(f"{info.name}.replay-problems.csv")
        if result.problems:
            _fail(sorted(result.problems), listed, info.rows)
        _put_manifest(manifest, info if joined is None else joined.info, rows_path, goal)
        listed.unlink(missing_ok=True)
    warnings = [] if joined is None else list(joined.warnings)
    if result.other_bytes:
        warnings.append(f"{result.other_bytes} sources are other files than at the build, with the same pixels")
    return ReplayReport(goal, result.rows, result.kept, warnings, time.monotonic() - started)


@contextmanager
def _work_folder(out: Path, name: str) -> Iterator[Path]:
    """A folder under the build root for whatever is half done, one replay of a manifest at a time."""
    work = out / ".work" / f"replay-{name}"
    with explained_os_errors(work):
        (out / "manifests").mkdir(parents=True, exist_ok=True)
        work.parent.mkdir(exist_ok=True)
        lock = FileLock(f"{work}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            message = f"another process replays {name} into {out} now (it holds {lock.lock_file}); wait for it"
            raise ReplayError(message) from None
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        lock.release()


def _rows_path(work: Path, rows: int) -> Path:
    return work / f"rows.csv{'.gz' if rows > GZIP_ABOVE_ROWS else ''}"


def _joined(manifest: Manifest, root: Path, work: Path, where: Workers, progress: Progress | None) -> Joined | None:
    """The rows of a published manifest, joined into the work folder; None for a manifest that withholds nothing."""
    if not manifest.info.withheld:
        return None
    path = _rows_path(work, manifest.info.rows)
    return join(
        manifest,
        root,
        path,
        workers=where.count,
        backend=where.backend,
        scheduler=where.scheduler,
        progress=progress,
    )


def _check_free(goal: Path, rows_path: Path) -> None:
    """An earlier manifest of these rows steps back until they are there again; one of other rows is left alone."""
    if not goal.exists():
        return
    if not filecmp.cmp(goal, rows_path, shallow=False):
        raise ReplayError(f"{goal} is there and has other rows; replay into another --out, or remove that build first")
    with explained_os_errors(goal):
        goal.unlink()


def replay_chunk(recipe: Recipe, target: Target, rows: list[Row]) -> Result:
    """Makes the images of some rows.

    Raises:
        BuildError: an image cannot be written.
    """
    result = Result(rows=len(rows))
    with one_opencv_thread():
        for row in rows:
            try:
                _replay_row(recipe, target, row, result)
            except ROW_FAULTS as error:
                result.problems.append((row.pair_id, row.source, str(error)))
    return result


def _replay_row(recipe: Recipe, target: Target, row: Row, result: Result) -> None:
    out = Path(target.out)
    if target.image_format == "png" and all(_is_there(out, image) for image in named_images(row)):
        result.kept += 1
        return
    made = make_images(recipe, row)
    result.other_bytes += made.other_bytes
    new = [_put_image(target, image, made.images[image.kind]) for image in named_images(row)]
    result.kept += not any(new)


def _is_there(out: Path, image: Named) -> bool:
    """Whether a PNG is there with the right pixels."""
    try:
        return pixels_sha256(_read(inside(out, image.path), image)) == image.sha256
    except SourceError:
        return False


def _read(path: Path, image: Named) -> Pixels:
    return read_grey(path) if image.kind == "mask" else read_rgb(path)


def _put_image(target: Target, image: Named, pixels: Pixels) -> bool:
    """Writes an image unless it is there already; whether it was written."""
    path = inside(Path(target.out), image.path)
    image_format = "png" if image.kind == "mask" else target.image_format
    content = encode(pixels, image_format)
    if path.exists():
        if path.read_bytes() == content or (image_format == "png" and _is_there(Path(target.out), image)):
            return False
        if image.kind == "clean" and _readable(path):  # clean images are shared by the builds of several modes
            raise ReplayError(
                f"{path} is there with other pixels, of another build or changed; remove it, or use another --out"
            )
    write_atomic(path, content, Path(target.work))
    return True


def _readable(path: Path) -> bool:
    try:
        return read_rgb(path).size > 0
    except SourceError:
        return False


def _fail(problems: list[tuple[str, str, str]], listed: Path, rows: int) -> None:
    with explained_os_errors(listed), listed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("pair_id", "source", "problem"))
        writer.writerows(problems)
    first = "; ".join(f"{pair_id}: {problem}" for pair_id, _, problem in problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    raise ReplayError(
        f"{len(problems)} of {rows} rows did not come out: {first}{more}. All are listed in {listed}. "
        "What came out is kept: put the sources right and run the same command again"
    )


def _put_manifest(manifest: Manifest, info: ManifestInfo, rows_path: Path, goal: Path) -> None:
    """The manifest and what belongs to it into the new build root, the CSV last."""
    with explained_os_errors(goal):
        if not manifest.info.withheld:
            for ending in (".rejects.csv", ".landmarks.npz"):
                if manifest.beside(ending).exists():
                    _copy(manifest.beside(ending), goal.with_name(f"{info.name}{ending}"))
        write_atomic(goal.with_name(f"{info.name}.json"), replace(info, root="..").dumps().encode())
        _copy(rows_path, goal)


def _copy(source: Path, goal: Path) -> None:
    temporary = goal.with_name(f".{goal.name}.tmp")
    shutil.copyfile(source, temporary)
    temporary.replace(goal)
