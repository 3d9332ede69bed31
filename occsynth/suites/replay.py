"""Replaying a suite: the builds of its columns are made from the user's own copy of the database, where they miss."""

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.databases.read_only import refuse_raw_root, refuse_remembered_roots
from occsynth.databases.roots import raw_root
from occsynth.errors import SuiteError
from occsynth.files import explained_os_errors, inside, write_atomic
from occsynth.manifest import Manifest, open_manifest
from occsynth.modes import REAL
from occsynth.ownership import take_turn
from occsynth.parallel import Progress
from occsynth.reading import read_bytes
from occsynth.sharing.replay import replay
from occsynth.suites.check import check
from occsynth.suites.suite import Suite

_WORK = ".suites"


@dataclass(frozen=True, slots=True)
class ReplayedSuite:
    """A suite whose pictures are there.

    Attributes:
        suite: as frozen.
        manifests: of its columns, in their order, with labels.
        made: how many of them were not there before.
        warnings: see `occsynth.sharing.replay.ReplayReport`.
    """

    suite: Suite
    manifests: tuple[Path, ...]
    made: int
    warnings: tuple[str, ...]


def replay_suite(
    folder: Path,
    out: Path,
    *,
    root: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> ReplayedSuite:
    """Makes the builds of a suite's columns under a build root; those that were made there before are kept.

    Several processes may ask for one suite at a time: each column is made by one of them, and the others wait.

    Args:
        folder: a frozen suite.
        out: the build root.
        root: the user's copy of the database; default the remembered one.
        workers: number of processes; default one per core.
        progress: see `replay`.
        say: tells the user whom this process waits for, in one line.

    Raises:
        SuiteError: the folder is not a frozen suite, or not the one that its digest names.
        OccSynthError: see `replay`.
    """
    checked = check(folder)
    if checked.problems:
        raise SuiteError(f"{folder}: {checked.problems[0]}. See `occsynth suite check {folder}`")
    raw = raw_root(checked.suite.database, root)
    refuse_raw_root(out, raw)
    refuse_remembered_roots(out)
    manifests, warnings, made = [], [], 0
    for column in checked.suite.columns:
        published = open_manifest(inside(folder, column.manifest))
        note = out / _WORK / f"{column.sha256}.txt"
        with ExitStack() as stack:
            with explained_os_errors(note):
                while other := take_turn(stack, note, f"a replay of {checked.suite.name}"):
                    say(f"waiting for {other}")
            there = _replayed(published, out, note)
            if there is None:
                report = replay(published, out=out, raw_root=raw, workers=workers, progress=progress)
                warnings += report.warnings
                made += 1
                there = report.manifest
                write_atomic(note, f"{_sha256(there)} {there.name}\n".encode())
        manifests.append(there)
    return ReplayedSuite(checked.suite, tuple(manifests), made, tuple(dict.fromkeys(warnings)))


def _replayed(published: Manifest, out: Path, note: Path) -> Path | None:
    """The manifest that a column became before, as is noted, if it is still as it was written."""
    if not note.is_file():
        return None
    told, _, name = read_bytes(note, SuiteError, largest=1000).decode("utf-8", "replace").strip().partition(" ")
    path = out / "manifests" / f"{published.info.name}{'.csv.gz' if name.endswith('.gz') else '.csv'}"
    return path if path.is_file() and _sha256(path) == told else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build_real(suite: Suite, listed: Path, out: Path, *, root: Path | None, workers: int | None = None) -> Path:
    """The manifest of mode `real` of the images that a list of real occlusions names.

    Raises:
        SuiteError: the suite names no such list, or another one.
        OccSynthError: see `occsynth.build.build.build`.
    """
    if suite.real is None:
        raise SuiteError(f"--real {listed}: the suite {suite.name} names no list of real occlusions")
    if suite.real.sha256 and listed.is_file() and _sha256(listed) != suite.real.sha256:
        raise SuiteError(
            f"--real {listed} is not {suite.real.name} as the suite knows it; get it from {suite.real.where}"
        )
    options = BuildOptions(
        db=suite.database,
        modes=(REAL,),
        root=root,
        size_px=suite.size_px or None,
        variant=suite.variant or None,
        subset=listed,
        classes=suite.classes,
        labels=suite.labels,
        out=out,
        workers=workers,
    )
    return build(options).manifests[0]
