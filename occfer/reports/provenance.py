"""What ran on what data: commands, versions, devices; manifests with their digests; what the builds left out."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from occfer.data.manifests import BuildFacts, read_build
from occfer.errors import DataError, ReportError
from occfer.evaluation.result_folders import KnownManifest, Result, open_result
from occfer.reports.folder_contents import Found
from occfer.runs.environment import read_environment
from occfer.tables.result_table import Cell, ResultTable

DEMO = "demo"
REJECTS_LISTED = 200
UNKNOWN = "not recorded"


@dataclass(frozen=True, slots=True)
class Ran:
    """A command: where its results are, as typed, where and with what it ran; `failed` lists its failed jobs."""

    folder: str
    command: str
    device: str
    versions: str
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest behind the report.

    Attributes:
        name, database, sha256: of it, when it was used.
        facts: what its JSON says, name and value; empty where it was not found.
        rejects: how many sources its build left out; None where that is not known.
        reasons: why, with counts, the most frequent first.
        listed: sources and reasons, the first `REJECTS_LISTED`.
        note: what a reader must know.
    """

    name: str
    database: str
    sha256: str
    facts: tuple[tuple[str, str], ...] = ()
    rejects: int | None = None
    reasons: tuple[tuple[str, int], ...] = ()
    listed: tuple[tuple[str, str], ...] = ()
    note: str = ""


def what_ran(found: Found) -> list[Ran]:
    """Every command behind the report."""
    ran = [_of_folder(each.folder, each.folder) for each in found.results]
    ran += [_of_folder(folder, folder / model.folder) for folder, made in found.profiles for model in made.models]
    for folder, table in found.tables:
        known = table.provenance
        failed = tuple(f"{each.job}: {each.error} (blocked {each.blocked})" for each in known.failed)
        ran.append(Ran(str(folder), known.command or UNKNOWN, known.device, _versions(known.versions), failed))
    return list(dict.fromkeys(ran))


def _of_folder(shown: Path, folder: Path) -> Ran:
    known = read_environment(folder)
    if not known:  # of all folds, the first fold's says it
        known = next((read_environment(each) for each in sorted(folder.glob("fold-*/"))), {})
    return Ran(
        str(shown),
        str(known.get("command", UNKNOWN)),
        str(known.get("device", UNKNOWN)),
        _versions(dict(known.get("versions", {}))),
    )


def _versions(known: object) -> str:
    pairs = known.items() if isinstance(known, dict) else ()
    return ", ".join(f"{name} {value}" for name, value in pairs) or UNKNOWN


def manifests_of(found: Found) -> list[Manifest]:
    """Every manifest that was trained or tested on, by name, each content once."""
    known = [each for result in _all_results(found) for each in result.manifests]
    manifests = {(each.name, each.sha256): _manifest(each) for each in known}
    for _, table in found.tables:
        for used in table.provenance.manifests:
            key = (used.name, used.sha256)
            manifests.setdefault(key, Manifest(used.name, "", used.sha256, rejects=used.rejects, note="not found"))
    return [manifests[key] for key in sorted(manifests)]


def _all_results(found: Found) -> Iterator[Result]:
    yield from found.results
    for folder, made in found.profiles:
        for model in made.models:
            yield from _opened(folder / model.folder)
    for folder, table in found.tables:
        for path in runs_of(folder, table):
            yield from _opened(path)


def _opened(folder: Path) -> Iterator[Result]:
    try:
        yield open_result(folder)
    except ReportError:
        return  # the runs of a table may have stayed behind


def runs_of(folder: Path, table: ResultTable) -> list[Path]:
    """The run folders of a table, each once."""
    cells = (cell for row in table.rows for cell in row.cells.values())
    named = (path for cell in cells if isinstance(cell, Cell) for path in run_folders(folder, cell))
    return list(dict.fromkeys(named))


def run_folders(folder: Path, cell: Cell) -> list[Path]:
    """The run folders of a cell of the table in `folder`, without `..` where that can be."""
    return [Path(os.path.normpath(folder / run)) for run in cell.runs]


def _manifest(known: KnownManifest) -> Manifest:
    plain = Manifest(known.name, known.database, known.sha256)
    if known.path is None:
        return replace(plain, note="not found where it was used")
    try:
        build = read_build(known.path)
    except DataError as error:
        return replace(plain, note=str(error))
    if build.sha256 != known.sha256:
        return replace(plain, note=f"{known.path} has other content by now")
    reasons = Counter(reason for _, reason in build.rejects).most_common()
    return replace(
        plain,
        facts=tuple(_facts(build)),
        rejects=build.info.rejects,
        reasons=tuple(reasons),
        listed=build.rejects[:REJECTS_LISTED],
    )


def _facts(build: BuildFacts) -> Iterator[tuple[str, str]]:
    info = build.info
    yield "pairs", f"{info.rows:,} of {info.sources:,} sources"
    yield "occlusion", f"{info.mode}, fill {info.fill}, seed {info.seed}"
    yield "faces", f"{info.size_px} px, {info.format}, alignment {info.align}"
    if info.subset:
        yield "subset", info.subset
    if info.template_pack_sha256:
        yield "templates", info.template_pack_sha256[:16]
    yield "made with", ", ".join(f"{name} {value}" for name, value in info.versions.items()) or UNKNOWN


def shows_demo(found: Found, manifests: list[Manifest]) -> bool:
    """Whether any of the faces are the demo database's."""
    return any(each.database == DEMO for each in manifests) or any(
        DEMO in table.database.split(",") for _, table in found.tables
    )
