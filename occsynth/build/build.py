"""A build: scan the database, make pairs chunk by chunk, merge the parts into manifests.

Everything under way lies in one work folder under the build root; the manifest is written last. A build that was
killed goes on from its finished chunks and ends in the same bytes as one that was not.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

from filelock import FileLock, Timeout

from occsynth.build.make_pairs import build_chunk
from occsynth.build.merge import merge
from occsynth.build.part_files import part_is_done
from occsynth.build.record_index import RecordIndex
from occsynth.build.report import BuildReport
from occsynth.build.settings import BuildOptions, Settings, complete
from occsynth.build.subset import read_subset
from occsynth.databases import DATABASES
from occsynth.databases.record import FaceRecord, Reject
from occsynth.errors import BuildError
from occsynth.files import explained_os_errors, write_atomic
from occsynth.manifest import Row, open_manifest
from occsynth.parallel import Progress, run_chunks


def build(options: BuildOptions, progress: Progress | None = None) -> BuildReport:
    """Builds every mode that is asked for, in one pass over the database.

    Raises:
        OccSynthError: naming what is wrong with the options, the database, the build that is there already, or the
            disk; with `strict`, also for rejects (after the manifests are written).
    """
    started = time.monotonic()
    settings = complete(options)
    report_progress = progress or (lambda _phase, _done, _total: None)
    work = Path(settings.out) / ".work" / f"{settings.db}-{settings.identity()[:16]}"
    with explained_os_errors(work):
        work.parent.mkdir(parents=True, exist_ok=True)
    with _locked(work):
        if not options.resume:
            shutil.rmtree(work, ignore_errors=True)
        with explained_os_errors(work):
            work.mkdir(exist_ok=True)
        index, warnings = _scan(settings, options.subset, work, report_progress)
        try:
            report = None if options.overwrite else _already_built(settings, index)
            if report is None:
                _make_chunks(settings, options, index, work, report_progress)
                report = merge(settings, index, work, report_progress)
        finally:
            index.close()
        shutil.rmtree(work, ignore_errors=True)
    report = replace(report, warnings=[*warnings, *report.warnings], seconds=time.monotonic() - started)
    if options.strict and report.rejects:
        lost = f"{report.rejects} of {report.sources} sources gave no pair"
        raise BuildError(f"--strict: {lost}; they are listed in {report.rejects_csv[0]}")
    return report


def _locked(work: Path) -> FileLock:
    """One build of the same settings under the same root at a time; the lock is gone when its process is."""
    lock = FileLock(f"{work}.lock")
    with explained_os_errors(work):
        try:
            lock.acquire(timeout=0)
        except Timeout:  # an OSError too
            raise BuildError(f"another process is at this build now (it holds {lock.lock_file}); wait for it") from None
    return lock


def _scan(
    settings: Settings, subset_path: Path | None, work: Path, progress: Progress
) -> tuple[RecordIndex, list[str]]:
    """The index of the database, and warnings; parts of an earlier run go if the database is another now."""
    index_path = work / "records.sqlite"
    index_path.unlink(missing_ok=True)
    index = RecordIndex(index_path)
    found = _counted(DATABASES[settings.db].scan(Path(settings.raw_root), settings.variant), progress)
    if subset_path is None:
        index.add(found)
        warnings = []
    else:
        subset = read_subset(subset_path)
        seen: set[str] = set()
        index.add(subset.chosen(found, seen))
        absent = subset.unmatched(seen)
        first = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        warnings = (
            [f"{len(absent)} of {len(subset.entries)} entries of {subset_path} were not found: {first}"]
            if absent
            else []
        )
    if not index.count():
        reasons = "; ".join(f"{source}: {reason}" for source, reason, _ in islice(index.rejects(), 3))
        index.close()
        raise BuildError(
            f"{settings.db}: no usable image found under {settings.raw_root}"
            + (f"; the first rejects: {reasons}" if reasons else "")
        )
    _drop_stale_parts(work, index.digest())
    return index, warnings


def _counted(found: Iterable[FaceRecord | Reject], progress: Progress) -> Iterator[FaceRecord | Reject]:
    for number, each in enumerate(found, 1):
        if number % 500 == 0:
            progress("scan", number, 0)
        yield each


def _drop_stale_parts(work: Path, digest: str) -> None:
    noted = work / "records.sha256"
    if noted.exists() and noted.read_text() == digest:
        return
    for part in (*work.glob("*.json"), *work.glob("*.points")):
        part.unlink()
    write_atomic(noted, digest.encode())


def _make_chunks(settings: Settings, options: BuildOptions, index: RecordIndex, work: Path, progress: Progress) -> None:
    total, done = index.count(), 0
    for mode in settings.modes:  # no manifest may speak of images that are being made again
        _manifest_path(settings, mode).unlink(missing_ok=True)
        if options.overwrite:
            shutil.rmtree(Path(settings.out) / "data" / settings.name(mode), ignore_errors=True)

    def chunks() -> Iterator[tuple[Settings, str, int, list[FaceRecord]]]:
        nonlocal done
        for number, records in index.chunks():
            if part_is_done(work, number):
                done += len(records)
            else:
                yield settings, str(work), number, records

    progress("pairs", 0, total)
    made_chunks = run_chunks(
        build_chunk, chunks(), workers=options.workers, backend=options.backend, scheduler=options.scheduler
    )
    for made in made_chunks:
        done += made
        progress("pairs", done, total)


def _manifest_path(settings: Settings, mode: str) -> Path:
    folder = Path(settings.out) / "manifests"
    plain = folder / f"{settings.name(mode)}.csv"
    return plain if plain.exists() else plain.with_suffix(".csv.gz")


_COUNTED = ("versions", "rows", "sources", "rejects", "counts", "found", "duplicates", "withheld", "notes")


def _already_built(settings: Settings, index: RecordIndex) -> BuildReport | None:
    """The report of an earlier build with the same settings, if all its files are there.

    Raises:
        BuildError: there is a build of that name with other settings, or of another state of the database.
    """
    complete_builds = []
    for mode in settings.modes:
        path = _manifest_path(settings, mode)
        if not path.exists():
            continue
        manifest = open_manifest(path)
        wanted, there = asdict(settings.info(mode)), asdict(manifest.info)
        changed = [name for name in wanted if name not in _COUNTED and wanted[name] != there[name]]
        if changed or manifest.info.notes.get("records_sha256") != index.digest():
            what = ", ".join(f"{name} was {there[name]!r}" for name in changed) or "the raw database has changed since"
            raise BuildError(
                f"{path} is there, built otherwise ({what}). --overwrite makes it anew, or use another --out"
            )
        if all(_is_there(manifest.file(name)) for row in manifest.rows() for name in _files(row)):
            complete_builds.append(manifest)
    if len(complete_builds) < len(settings.modes):
        return None
    info = complete_builds[0].info
    excluded = int(info.notes.get("excluded_by_protocol", "0"))
    return BuildReport(
        manifests=[each.path for each in complete_builds],
        rows=info.rows,
        sources=info.sources,
        rejects=info.rejects - excluded,
        excluded=excluded,
        rejects_csv=[each.beside(".rejects.csv") for each in complete_builds],
        duplicates=len(info.duplicates),
        reused=True,
    )


def _is_there(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _files(row: Row) -> list[str]:
    return [name for name in (row.clean, row.occluded, row.mask) if name]
