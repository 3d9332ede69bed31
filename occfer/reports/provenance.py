"""What ran on which data: commands, versions, devices; manifests with their digests; what the builds left out."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from occfer.data.manifests import BuildInfo, read_build
from occfer.errors import DataError, ReportError
from occfer.evaluation.result_folders import KnownManifest, Result, open_result
from occfer.reports.folder_contents import FolderContents
from occfer.runs.environment import Environment, read_environment
from occfer.runs.run_folder import fold_folders
from occfer.tables.cell_texts import each_cell
from occfer.tables.result_table import Cell, ResultTable

DEMO = "demo"
REJECTS_LISTED = 200
UNKNOWN = "not recorded"


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A command that made results: their folder, the command as typed, its device and versions, its failed jobs."""

    folder: str
    command: str
    device: str
    versions: str
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportedManifest:
    """A manifest that the report's results come from.

    Attributes:
        name, database, sha256: of the manifest as it was used.
        facts: name and value, from its JSON; empty where the manifest was not found.
        rejects: number of sources that its build left out; None where that is not known.
        reasons: why, with counts, the most frequent first.
        listed: the first `REJECTS_LISTED` of those sources, with reasons.
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


def what_ran(contents: FolderContents) -> list[CommandRecord]:
    """Every command that the report's results come from, each once."""
    ran = [_command(result.folder, result.folder) for result in contents.results]
    ran += [_command(heat.folder, heat.folder) for heat in contents.heat]
    for folder, profile in contents.profiles:
        ran += [_command(folder, folder / model.folder) for model in profile.models]
    for folder, table in contents.tables:
        made = table.provenance
        failed = tuple(f"{each.job}: {each.error} (blocked {each.blocked})" for each in made.failed)
        ran.append(CommandRecord(str(folder), made.command or UNKNOWN, made.device, _versions(made.versions), failed))
    return list(dict.fromkeys(ran))


def _command(shown: Path, folder: Path) -> CommandRecord:
    found = read_environment(folder)
    if found == Environment():  # the folder of a run over all folds has none; its first fold's is as good
        found = next(map(read_environment, fold_folders(folder)), found)
    return CommandRecord(str(shown), found.command or UNKNOWN, found.device or UNKNOWN, _versions(found.versions))


def _versions(known: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in known.items()) or UNKNOWN


def manifests_of(contents: FolderContents) -> list[ReportedManifest]:
    """Every manifest that was trained or tested on, by name, each content once."""
    known = [each for result in _all_results(contents) for each in result.manifests]
    manifests = {(each.name, each.sha256): _reported(each) for each in known}
    for _, table in contents.tables:
        for used in table.provenance.manifests:
            without_runs = ReportedManifest(used.name, "", used.sha256, rejects=used.rejects, note="not found")
            manifests.setdefault((used.name, used.sha256), without_runs)
    return [manifests[key] for key in sorted(manifests)]


def _all_results(contents: FolderContents) -> Iterator[Result]:
    yield from contents.results
    for folder, profile in contents.profiles:
        yield from open_existing(folder / model.folder for model in profile.models)
    for folder, table in contents.tables:
        yield from open_existing(_runs_of(folder, table))


def open_existing(folders: Iterable[Path]) -> Iterator[Result]:
    """The results in some folders, without those that are not there: a table may be moved without its runs."""
    for folder in folders:
        try:
            yield open_result(folder)
        except ReportError:
            continue


def _runs_of(folder: Path, table: ResultTable) -> list[Path]:
    """The run folders of a table, each once."""
    cells = [cell for _, _, cell in each_cell(table) if isinstance(cell, Cell)]
    return list(dict.fromkeys(path for cell in cells for path in run_folders(folder, cell)))


def run_folders(folder: Path, cell: Cell) -> list[Path]:
    """The run folders of a cell of the table in `folder`, without `..` where that is possible."""
    return [Path(os.path.normpath(folder / run)) for run in cell.runs]


def _reported(known: KnownManifest) -> ReportedManifest:
    plain = ReportedManifest(known.name, known.database, known.sha256)
    if known.path is None:
        return replace(plain, note="not found where it was used")
    try:
        build = read_build(known.path)
    except DataError as error:
        return replace(plain, note=str(error))
    if build.sha256 != known.sha256:
        return replace(plain, note=f"{known.path} has changed since")
    reasons = Counter(reason for _, reason in build.rejects).most_common()
    return replace(
        plain,
        facts=tuple(_facts(build)),
        rejects=build.info.rejects,
        reasons=tuple(reasons),
        listed=build.rejects[:REJECTS_LISTED],
    )


def _facts(build: BuildInfo) -> Iterator[tuple[str, str]]:
    info = build.info
    yield "pairs", f"{info.rows:,} of {info.sources:,} sources"
    yield "occlusion", f"{info.mode}, fill {info.fill}, seed {info.seed}"
    yield "faces", f"{info.size_px} px, {info.format}, alignment {info.align}"
    if info.subset:
        yield "subset", info.subset
    if info.template_pack_sha256:
        yield "templates", info.template_pack_sha256[:16]
    yield "made with", ", ".join(f"{name} {value}" for name, value in info.versions.items()) or UNKNOWN


def shows_demo(contents: FolderContents, manifests: list[ReportedManifest]) -> bool:
    """Whether any of the faces are the demo database's."""
    return (
        any(each.database == DEMO for each in manifests)
        or any(DEMO in table.database.split(",") for _, table in contents.tables)
        or any(each.database == DEMO for heat in contents.heat for each in heat.facts.manifests)
    )
