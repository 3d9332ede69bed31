"""The first step of a build: what the scan of the database finds, on disk in the index."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from occsynth.build.record_index import RecordIndex
from occsynth.build.settings import CompleteSettings
from occsynth.build.subset import read_subset
from occsynth.databases import DATABASES
from occsynth.databases.record import ScanItem
from occsynth.errors import BuildError
from occsynth.files import write_atomic
from occsynth.parallel import Progress


def scan_database(
    settings: CompleteSettings, subset_path: Path | None, work: Path, progress: Progress
) -> tuple[RecordIndex, list[str]]:
    """Scans the database into an index under `work`.

    Part files of an earlier run are deleted if the database has changed since.

    Returns:
        The index, to be closed by the caller, and warnings.

    Raises:
        BuildError: no usable image.
        DatabaseLayoutError: the database is not laid out as its importer expects.
    """
    index_path = work / "records.sqlite"
    index_path.unlink(missing_ok=True)
    index = RecordIndex(index_path)
    found = _counted(DATABASES[settings.db].scan(Path(settings.raw_root), settings.variant), progress)
    warnings = []
    if subset_path is None:
        index.add(found)
    else:
        subset = read_subset(subset_path)
        seen: set[str] = set()
        index.add(subset.chosen(found, seen))
        absent = subset.unmatched(seen)
        if absent:
            first = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
            warnings = [f"{len(absent)} of {len(subset.entries)} entries of {subset_path} were not found: {first}"]
    if not index.count():
        reasons = "; ".join(f"{source}: {reason}" for source, reason, _ in islice(index.rejects(), 3))
        index.close()
        raise BuildError(
            f"{settings.db}: no usable image found under {settings.raw_root}"
            + (f"; the first rejects: {reasons}" if reasons else "")
        )
    _drop_stale_parts(work, index.digest())
    return index, warnings


def _counted(found: Iterable[ScanItem], progress: Progress) -> Iterator[ScanItem]:
    for number, each in enumerate(found, 1):
        if number % 500 == 0:
            progress("scan", number, 0)
        yield each


def _drop_stale_parts(work: Path, digest: str) -> None:
    """Part files are numbered by chunk, so they are valid only for the very same list of records."""
    noted = work / "records.sha256"
    if noted.exists() and noted.read_text() == digest:
        return
    for part in (*work.glob("*.json"), *work.glob("*.points")):
        part.unlink()
    write_atomic(noted, digest.encode())
