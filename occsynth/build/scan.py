"""The first step of a build: what the scan of the database finds, on disk in the index."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from occsynth.build.fold_list import read_fold_list
from occsynth.build.record_index import RecordIndex
from occsynth.build.settings import CompleteSettings
from occsynth.build.subset import read_subset
from occsynth.databases import DATABASES
from occsynth.databases.own_folders import is_own_folder
from occsynth.databases.record import ScanItem
from occsynth.errors import BuildError, OccSynthError
from occsynth.parallel import Progress

_SHOWN = 5


def scan_database(
    settings: CompleteSettings,
    subset_path: Path | None,
    folds_path: Path | None,
    work: Path,
    progress: Progress,
) -> tuple[RecordIndex, list[str]]:
    """Scans the database into an index under `work`.

    Returns:
        The index, to be closed by the caller, and warnings.

    Raises:
        BuildError: no usable image; or the list of a subset or of folds fits the database nowhere or at several places.
        DatabaseLayoutError: the database is not laid out as its importer expects.
    """
    index_path = work / "records.sqlite"
    index_path.unlink(missing_ok=True)
    index = RecordIndex(index_path)
    warnings: list[str] = []
    try:
        scan = DATABASES[settings.db].scan(Path(settings.raw_root), settings.variant, settings.labels)
        found = _without_own_folders(_counted(scan, progress), settings.raw_root, warnings)
        chosen = found if subset_path is None else _chosen(found, subset_path, warnings)
        index.add(chosen if folds_path is None else _with_folds(chosen, folds_path, warnings))
    except OccSynthError:
        index.close()
        raise
    if not index.count():
        reasons = "; ".join(f"{source}: {reason}" for source, reason, _ in islice(index.rejects(), 3))
        index.close()
        raise BuildError(
            f"{settings.db}: no usable image found under {settings.raw_root}"
            + (f"; the first rejects: {reasons}" if reasons else "")
        )
    return index, warnings


def _counted(found: Iterable[ScanItem], progress: Progress) -> Iterator[ScanItem]:
    for number, each in enumerate(found, 1):
        if number % 500 == 0:
            progress("scan", number, 0)
        yield each


def _without_own_folders(found: Iterable[ScanItem], raw_root: str, warnings: list[str]) -> Iterator[ScanItem]:
    """The items of the database; adds a warning for each folder in it that occsynth or occfer made."""
    for each in found:
        if is_own_folder(each):
            warnings.append(f"{Path(raw_root) / each.source} was left out: occsynth or occfer made it")
        else:
            yield each


def _with_folds(found: Iterable[ScanItem], folds_path: Path, warnings: list[str]) -> list[ScanItem]:
    """The items with the folds of the list; adds a warning for entries that were not found."""
    folds = read_fold_list(folds_path)
    items, unmatched = folds.applied(found)
    if unmatched:
        first = ", ".join(unmatched[:_SHOWN]) + (", ..." if len(unmatched) > _SHOWN else "")
        warnings.append(f"{len(unmatched)} of {len(folds.folds)} entries of {folds_path} were not found: {first}")
    return items


def _chosen(found: Iterable[ScanItem], subset_path: Path, warnings: list[str]) -> list[ScanItem]:
    """The items that the list names; adds warnings for entries that were not found, or not by their folders."""
    subset = read_subset(subset_path)
    choice = subset.choose(found)
    for entries, what in (
        (choice.unmatched, "were not found"),
        (
            choice.by_name_alone,
            "name folders of another layout than this database's, so only the file's name was compared",
        ),
    ):
        if entries:
            first = ", ".join(entries[:_SHOWN]) + (", ..." if len(entries) > _SHOWN else "")
            warnings.append(f"{len(entries)} of {len(subset.entries)} entries of {subset_path} {what}: {first}")
    return choice.items
