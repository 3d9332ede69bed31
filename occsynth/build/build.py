"""A build: scan the database, make pairs chunk by chunk, merge the part files into manifests.

Everything unfinished is in one work folder under the build root; the manifest is written last. A build that was
killed continues from its finished chunks and ends with the same bytes as an uninterrupted one.
"""

import shutil
import time
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from occsynth.build.claims import (
    Claims,
    empty_work_folder,
    only_maker,
    read_claims,
    refuse_foreign_names,
    remove_build,
    write_claims,
)
from occsynth.build.existing_build import existing_build, manifest_path
from occsynth.build.guard import write_guards
from occsynth.build.make_pairs import build_chunk
from occsynth.build.merge import merge
from occsynth.build.options import BuildOptions, complete
from occsynth.build.record_index import RecordIndex
from occsynth.build.report import BuildReport
from occsynth.build.scan import scan_database
from occsynth.build.settings import CompleteSettings
from occsynth.errors import BuildError
from occsynth.files import explained_os_errors
from occsynth.parallel import Progress, run_chunks
from occsynth.slurm import CHUNKS_IN_A_JOB, SLURM_FOLDER, SlurmJobs


def build(options: BuildOptions, progress: Progress | None = None) -> BuildReport:
    """Builds every mode that is asked for, in one pass over the database.

    >>> from pathlib import Path
    >>> from occsynth.build.build import build
    >>> from occsynth.build.options import BuildOptions
    >>> _ = Path("two.txt").write_text("s001_anger\\ns002_fear\\n")
    >>> options = BuildOptions(db="demo", modes=("r16", "eyes"), subset=Path("two.txt"), out=Path("builds"), workers=1)
    >>> report = build(options)
    >>> report.rows, report.rejects, [path.name for path in report.manifests]
    (2, 0, ['demo-r16-two.csv', 'demo-eyes-two.csv'])

    Args:
        options: what to build, and where.
        progress: called with the phases `scan`, `pairs` and `manifest`.

    Raises:
        OccSynthError: naming what is wrong with the options, the database, the existing build, or the disk; with
            `strict`, also for rejects (after the manifests are written).
    """
    started = time.monotonic()
    settings = complete(options)
    report_progress = progress or (lambda _phase, _done, _total: None)
    claims = read_claims(Path(settings.out))
    if not options.overwrite:
        refuse_foreign_names(Path(settings.out), settings.names(), settings.shared_folder(), claims, "occsynth build")
    work = Path(settings.out) / ".work" / f"{settings.db}-{settings.identity()[:16]}"
    jobs = SlurmJobs(Path(settings.out) / SLURM_FOLDER / work.name, options.slurm, CHUNKS_IN_A_JOB)
    with explained_os_errors(work):
        work.parent.mkdir(parents=True, exist_ok=True)
    with _locked(work), only_maker(Path(settings.out), settings.names(), "occsynth build"):
        with explained_os_errors(work):
            if not options.resume:
                empty_work_folder(work)
            work.mkdir(exist_ok=True)
        write_claims(work, [*settings.names(), *filter(None, [settings.shared_folder()])])
        index, warnings = scan_database(settings, options.subset, options.folds, work, report_progress)
        try:
            report, damage = (None, []) if options.overwrite else existing_build(settings, index)
            if report is None:
                warnings += damage + _make_room(settings, options, work, claims)
                warnings += _make_chunks(settings, options, index, work, jobs, report_progress)
                report = merge(settings, index, work, report_progress)
        finally:
            index.close()
        write_guards(Path(settings.out), settings.names(), settings.shared_folder())
        shutil.rmtree(work, ignore_errors=True)
    report = replace(report, warnings=[*warnings, *report.warnings], seconds=time.monotonic() - started)
    if options.strict and report.rejects:
        lost = f"{report.rejects} of {report.sources} sources gave no pair"
        raise BuildError(f"--strict: {lost}; they are listed in {report.rejects_csv[0]}")
    return report


def _locked(work: Path) -> FileLock:
    """Allows one build of the same settings under the same root; the lock ends with its process, however it ends."""
    lock = FileLock(f"{work}.lock")
    with explained_os_errors(work):
        try:
            lock.acquire(timeout=0)
        except Timeout:  # an OSError too
            message = f"another process is running this build (it holds {lock.lock_file}); wait for it to finish"
            raise BuildError(message) from None
    return lock


def _make_room(settings: CompleteSettings, options: BuildOptions, work: Path, claims: Claims) -> list[str]:
    """Removes earlier builds of the same names, only their manifests unless `overwrite` is given; returns warnings."""
    out, warnings = Path(settings.out), []
    with explained_os_errors(out):
        for mode in settings.modes:
            if options.overwrite:
                warnings += remove_build(out, settings.name(mode), work, claims)
            else:  # no manifest may name images that are being made again
                manifest_path(settings, mode).unlink(missing_ok=True)
    return warnings


def _make_chunks(
    settings: CompleteSettings,
    options: BuildOptions,
    index: RecordIndex,
    work: Path,
    jobs: SlurmJobs,
    progress: Progress,
) -> list[str]:
    """Makes every chunk, or keeps what an interrupted run made of it; returns warnings."""
    total, done = index.count(), 0
    progress("pairs", 0, total)
    # finished chunks go to the workers too: checking their images takes as long as reading them
    chunks = ((settings, str(work), number, records) for number, records in index.chunks())
    outcomes = run_chunks(
        build_chunk, chunks, workers=options.workers, backend=options.backend, scheduler=options.scheduler, slurm=jobs
    )
    damage = []
    for outcome in outcomes:
        done += outcome.records
        damage += [outcome.damage] if outcome.damage else []
        progress("pairs", done, total)
    if not damage:
        return []
    return [f"finished chunks of an interrupted build that were made again: {len(damage)}; {min(damage)}"]
