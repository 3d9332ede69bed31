"""The last step of a build: part files into manifests, streamed, the CSV last."""

import csv
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from occsynth.build.duplicates import note_of
from occsynth.build.part_files import read_part
from occsynth.build.record_index import RecordIndex
from occsynth.build.report import BuildReport
from occsynth.build.settings import CompleteSettings
from occsynth.databases import DATABASES
from occsynth.databases.counts import count_check
from occsynth.databases.record import Reject
from occsynth.errors import BuildError
from occsynth.escapes import for_csv
from occsynth.faces.landmark_file import PointsOfRows, write_landmarks
from occsynth.files import explained_os_errors, flush_all_to_disk, flush_to_disk
from occsynth.manifest import GZIP_ABOVE_ROWS, ManifestInfo, columns, text_file
from occsynth.parallel import Progress
from occsynth.row_counts import RowCounts


def merge(settings: CompleteSettings, index: RecordIndex, work: Path, progress: Progress) -> BuildReport:
    """Writes rejects, landmarks, JSON and CSV of every mode from the part files in `work`.

    Raises:
        BuildError: no source gave a pair, a part file was damaged since it was checked, or a file cannot be written.
    """
    folder = Path(settings.out) / "manifests"
    total = index.count()
    with explained_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        row_counts = _write_rows(settings, index, work, progress)
        rows, counts = row_counts.rows, row_counts.tables()
        if not rows:
            reasons = "; ".join(f"{source}: {reason}" for source, reason, _ in list(index.rejects())[:3])
            raise BuildError(f"{settings.db}: none of the {total} sources gave a pair; the first rejects: {reasons}")
        rejects, excluded = _write_rejects(index, work / "rejects.csv")
        write_landmarks(work / "landmarks.npz", _points(settings, index, work), rows, index.longest_pair_id())
        duplicates, across = index.duplicates()
        found = {name: count for name, count in counts.get("split", {}).items() if name} | {"total": rows}
        notes = {
            "records_sha256": index.digest(),
            "excluded_by_protocol": str(excluded),
            "clean_folder": settings.clean_folder,
            **({"duplicates_across": note_of(across)} if across else {}),
        }
        flush_all_to_disk()  # what a manifest names must outlive a power failure if the manifest does
        manifests = []
        for mode in settings.modes:
            info = replace(
                settings.info(mode),
                rows=rows,
                sources=rows + rejects + excluded,
                rejects=rejects + excluded,
                counts=counts,
                found=found,
                duplicates=duplicates,
                notes=notes,
            )
            manifests.append(_put_in_place(work, mode, info, folder, _csv_ending(total)))
    published = settings.info(settings.modes[0]).published
    return BuildReport(
        manifests=manifests,
        rows=rows,
        sources=rows + rejects + excluded,
        rejects=rejects,
        excluded=excluded,
        rejects_csv=[folder / f"{settings.name(mode)}.rejects.csv" for mode in settings.modes],
        duplicates=len(duplicates),
        duplicates_across=across,
        warnings=[] if settings.subset else count_check(published, found),
    )


def _write_rows(settings: CompleteSettings, index: RecordIndex, work: Path, progress: Progress) -> RowCounts:
    """Writes every mode's rows to a CSV in `work` and adds the chunks' rejects to the index.

    Returns:
        The counts of the rows of one mode; they are the same for all.
    """
    counts = RowCounts()
    done, total = 0, index.count()
    ending = _csv_ending(total)
    with ExitStack() as stack:
        writers = {}
        for mode in settings.modes:
            file = stack.enter_context(text_file(work / f"{mode}{ending}"))
            writers[mode] = csv.writer(file, lineterminator="\n")
            writers[mode].writerow(columns(votes=DATABASES[settings.db].has_votes))
        for number, records in index.chunks():
            part = read_part(work, number, records)
            for mode, rows in part.rows.items():
                writers[mode].writerows(row.cells() for row in rows)
            for row in part.rows[settings.modes[0]]:
                counts.add(row)
                index.note_pixels(row)
            for source, reason in part.rejects:
                index.reject(Reject(source, reason))
            done += len(records)
            progress("manifest", done, total)
    return counts


def _csv_ending(records: int) -> str:
    return ".csv.gz" if records > GZIP_ABOVE_ROWS else ".csv"


def _write_rejects(index: RecordIndex, path: Path) -> tuple[int, int]:
    """Writes the list of rejects; returns how many are faults, and how many the protocol leaves out."""
    by_fault = by_protocol = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("source", "reason"))
        for source, reason, excluded in index.rejects():
            writer.writerow(map(for_csv, (source, f"left out by the protocol: {reason}" if excluded else reason)))
            by_protocol += excluded
            by_fault += not excluded
    return by_fault, by_protocol


def _points(settings: CompleteSettings, index: RecordIndex, work: Path) -> Callable[[], Iterator[PointsOfRows]]:
    def points() -> Iterator[PointsOfRows]:
        for number, records in index.chunks():
            part = read_part(work, number, records)
            yield [row.pair_id for row in part.rows[settings.modes[0]]], part.points_xy

    return points


def _put_in_place(work: Path, mode: str, info: ManifestInfo, folder: Path, ending: str) -> Path:
    """Moves one mode's files to their final names; rejects and landmarks, which all modes share, are copied.

    The CSV is last: a manifest that can be opened is complete.
    """
    for shared in ("rejects.csv", "landmarks.npz"):
        temporary = work / f"{mode}.{shared}"
        shutil.copyfile(work / shared, temporary)
        _move(temporary, folder / f"{info.name}.{shared}")
    described = work / f"{mode}.info"
    described.write_text(info.dumps(), encoding="utf-8")
    _move(described, folder / f"{info.name}.json")
    path = folder / f"{info.name}{ending}"
    _move(work / f"{mode}{ending}", path)
    return path


def _move(finished: Path, path: Path) -> None:
    flush_to_disk(finished)
    finished.replace(path)
