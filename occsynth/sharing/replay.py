"""Replay: make a whole build again from the raw database and its manifest, and check it by pixel hashes."""

import csv
import filecmp
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from occsynth.build.claims import (
    empty_work_folder,
    only_maker,
    read_claims,
    refuse_foreign_names,
    remove_build,
    write_claims,
)
from occsynth.build.guard import write_guards
from occsynth.databases.read_only import refuse_overlap
from occsynth.databases.roots import raw_root as find_raw_root
from occsynth.errors import ReplayError
from occsynth.escapes import for_csv
from occsynth.files import explained_os_errors, flush_all_to_disk, lies_in, replacing, write_atomic
from occsynth.manifest import GZIP_ABOVE_ROWS, Manifest, ManifestInfo
from occsynth.modes import REAL
from occsynth.ownership import refuse_foreign_file
from occsynth.parallel import Progress, batches, run_chunks
from occsynth.sharing.join import join
from occsynth.sharing.remake import CHUNK_ROWS, recipe_of
from occsynth.sharing.replay_images import ReplayFolders, RowOutcomes, replay_chunk
from occsynth.slurm import CHUNKS_IN_A_JOB, SLURM_FOLDER, SlurmJobs

_SHOWN = 5
_PROBLEM_COLUMNS = ("pair_id", "source", "problem")


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay made.

    Attributes:
        manifest: under the new build root.
        rows: how many rows there are; all of them came out right.
        kept: rows whose images were already there with the right pixels.
        warnings: sources with different bytes but the same pixels; doubts met while joining a published manifest.
    """

    manifest: Path
    rows: int
    kept: int
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0


def replay(
    manifest: Manifest,
    *,
    out: Path,
    raw_root: Path | None = None,
    templates: Path | None = None,
    workers: int | None = None,
    backend: str = "loky",
    scheduler: str = "",
    slurm: tuple[str, ...] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ReplayReport:
    """Makes a build root under `out` from the raw database and a manifest; images that are already right are kept.

    A published manifest is joined with the recipient's copy first, see `occsynth.sharing.join`.

    >>> from pathlib import Path
    >>> from occsynth.build.build import build
    >>> from occsynth.build.options import BuildOptions
    >>> from occsynth.manifest import open_manifest
    >>> from occsynth.sharing.replay import replay
    >>> _ = Path("two.txt").write_text("s001_anger\\ns002_fear\\n")
    >>> _ = build(BuildOptions(db="demo", modes=("r16",), subset=Path("two.txt"), workers=1))
    >>> manifest = open_manifest(Path("builds/manifests/demo-r16-two.csv"))
    >>> report = replay(manifest, out=Path("replayed"), workers=1)
    >>> report.rows, report.kept, report.manifest.read_bytes() == manifest.path.read_bytes()
    (2, 0, True)

    Args:
        manifest: as built, or published.
        out: the new build root.
        raw_root: the recipient's own copy of the database; default the remembered one.
        templates: the pack that the build used, if it was not the one that ships with occsynth.
        workers, backend, scheduler: where the work runs, see `occsynth.parallel.run_chunks`.
        slurm: options of SLURM's jobs, see `occsynth.slurm.SlurmJobs`.
        overwrite: replace a build of that name with other rows, and files of its names that no build made.
        progress: called with the phases `hash` (of a published manifest) and `pairs`.

    Raises:
        ReplayError: another template pack, another build of that name under `out`, or rows that did not come out
            right; these are listed in a file, and no manifest is written.
        OccSynthError: the raw root is not known, or `out` lies in it, cannot be written, or holds files of these names
            that no build made.
    """
    started = time.monotonic()
    info = manifest.info
    if out.resolve() == manifest.root and not info.withheld:
        raise ReplayError(f"--out {out} is the build that the manifest belongs to; replay into another folder")
    root = find_raw_root(info.database, raw_root)
    clean_folder = _clean_folder(info)
    names = [info.name, *filter(None, [clean_folder])]
    refuse_overlap(out, ("manifests", ".work", *(f"data/{name}" for name in names)), root)
    recipe = recipe_of(manifest, root, templates)
    jobs = SlurmJobs(out.resolve() / SLURM_FOLDER / f"replay-{info.name}", slurm, CHUNKS_IN_A_JOB)
    listed = out / "manifests" / f"{info.name}.replay-problems.csv"
    refuse_foreign_file(listed, "occsynth replay", ReplayError, overwrite=overwrite, is_own=_is_list_of_problems)
    claims = read_claims(out)
    if _is_list_of_problems(listed):  # version 0.1 left nothing else of a replay that failed
        claims = replace(claims, unfinished=claims.unfinished.union(names))
    if not overwrite:
        refuse_foreign_names(out, [info.name], clean_folder, claims, "occsynth replay")
    own = [f"data/{info.name}/", *([f"data/{clean_folder}/clean/"] if clean_folder else [])]
    with _work_folder(out, info.name, names) as work, only_maker(out, [info.name], "occsynth replay"):
        folders = ReplayFolders(
            out=str(out.resolve()),
            work=str(work.resolve()),
            image_format=info.format,
            own=("",) if overwrite else tuple(own),
            raw_root=str(root.resolve()) if lies_in(root, out) else "",
        )
        outcomes, warnings, rows_path = RowOutcomes(), [], manifest.path
        if info.withheld:
            rows_path = work / f"rows.csv{'.gz' if info.rows > GZIP_ABOVE_ROWS else ''}"
            joined = join(
                manifest,
                root,
                rows_path,
                workers=workers,
                backend=backend,
                scheduler=scheduler,
                slurm=jobs,
                progress=progress,
            )
            outcomes.problems += [(pair_id, "", problem) for pair_id, problem in joined.missing]
            info, warnings = joined.info, list(joined.warnings)
        goal = out / "manifests" / f"{info.name}{'.csv.gz' if rows_path.name.endswith('.gz') else '.csv'}"
        if overwrite:
            warnings += remove_build(out, info.name, work, claims)
        else:
            _make_room(goal, rows_path)
        rows = replace(manifest, path=rows_path).rows()
        chunks = ((recipe, folders, chunk) for chunk in batches(rows, CHUNK_ROWS))
        for made in run_chunks(replay_chunk, chunks, workers=workers, backend=backend, scheduler=scheduler, slurm=jobs):
            outcomes.add(made)
            if progress:
                progress("pairs", outcomes.rows, info.rows)
        if outcomes.problems:
            _fail(sorted(outcomes.problems), listed, info.rows)
        flush_all_to_disk()  # what a manifest names must outlive a power failure if the manifest does
        write_guards(out, [info.name], clean_folder)
        _put_manifest(manifest, info, rows_path, goal)
        listed.unlink(missing_ok=True)
    if outcomes.other_bytes:
        warnings.append(f"{outcomes.other_bytes} sources differ from the build's files but hold the same pixels")
    return ReplayReport(goal, outcomes.rows, outcomes.kept, warnings, time.monotonic() - started)


def _clean_folder(info: ManifestInfo) -> str:
    """The folder of `data/` that holds the manifest's clean images; empty if it has none, or names no plain folder."""
    name = info.notes.get("clean_folder", "")
    return name if name == Path(name).name and info.mode != REAL else ""


def _is_list_of_problems(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(100).startswith(",".join(_PROBLEM_COLUMNS))
    except (OSError, UnicodeDecodeError):
        return False


@contextmanager
def _work_folder(out: Path, name: str, names: list[str]) -> Iterator[Path]:
    """A folder under the build root for unfinished files; only one replay of a manifest runs at a time."""
    work = out / ".work" / f"replay-{name}"
    with explained_os_errors(work):
        (out / "manifests").mkdir(parents=True, exist_ok=True)
        work.parent.mkdir(exist_ok=True)
        lock = FileLock(f"{work}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            message = f"another process is replaying {name} into {out} (it holds {lock.lock_file}); wait for it"
            raise ReplayError(message) from None
    try:
        with explained_os_errors(work):
            empty_work_folder(work)
            work.mkdir(exist_ok=True)
        write_claims(work, names)
        try:
            yield work
        except BaseException:
            with suppress(OSError):  # what it claims stays: finished images are kept for the next call
                empty_work_folder(work)
            raise
        shutil.rmtree(work, ignore_errors=True)
    finally:
        lock.release()


def _make_room(goal: Path, rows_path: Path) -> None:
    """Removes an earlier manifest of the same rows: while their images are being made, none may promise them.

    Raises:
        ReplayError: the earlier manifest has other rows; it is left alone.
    """
    if not goal.exists():
        return
    if not filecmp.cmp(goal, rows_path, shallow=False):
        raise ReplayError(f"{goal} already exists with other rows; replay into another --out, or give --overwrite")
    with explained_os_errors(goal):
        goal.unlink()


def _fail(problems: list[tuple[str, str, str]], listed: Path, rows: int) -> None:
    with (
        explained_os_errors(listed),
        replacing(listed) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_PROBLEM_COLUMNS)
        writer.writerows(map(for_csv, problem) for problem in problems)
    first = "; ".join(f"{pair_id}: {problem}" for pair_id, _, problem in problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    raise ReplayError(
        f"{len(problems)} of {rows} rows could not be replayed: {first}{more}. All are listed in {listed}. "
        "The other rows are done and kept: fix the sources and run the same command again"
    )


def _put_manifest(manifest: Manifest, info: ManifestInfo, rows_path: Path, goal: Path) -> None:
    """Puts the manifest and its side files into the new build root, the CSV last: where it is, all is complete."""
    with explained_os_errors(goal):
        if not manifest.info.withheld:
            for ending in (".rejects.csv", ".landmarks.npz"):
                if manifest.beside(ending).exists():
                    _copy(manifest.beside(ending), goal.with_name(f"{info.name}{ending}"))
        write_atomic(goal.with_name(f"{info.name}.json"), replace(info, root="..").dumps().encode())
        _copy(rows_path, goal)


def _copy(source: Path, goal: Path) -> None:
    with replacing(goal) as temporary:
        shutil.copyfile(source, temporary)
