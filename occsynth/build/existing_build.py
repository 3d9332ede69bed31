"""Whether a build is already there: the same settings, the same database, and every file in its place."""

from dataclasses import asdict
from pathlib import Path

from occsynth.build.record_index import RecordIndex
from occsynth.build.report import BuildReport
from occsynth.build.settings import CompleteSettings
from occsynth.errors import BuildError
from occsynth.manifest import Row, open_manifest

_COUNTED = ("versions", "rows", "sources", "rejects", "counts", "found", "duplicates", "withheld", "notes")
"""Fields of the JSON that a finished build counted or noted; they say nothing about the settings."""


def manifest_path(settings: CompleteSettings, mode: str) -> Path:
    """The path of a mode's manifest, plain if there is a plain one."""
    folder = Path(settings.out) / "manifests"
    plain = folder / f"{settings.name(mode)}.csv"
    return plain if plain.exists() else plain.with_suffix(".csv.gz")


def existing_build(settings: CompleteSettings, index: RecordIndex) -> BuildReport | None:
    """The report of an earlier build with the same settings, if all its files are there.

    Raises:
        BuildError: a build of that name exists with other settings, or of another state of the database.
    """
    complete_builds = []
    for mode in settings.modes:
        path = manifest_path(settings, mode)
        if not path.exists():
            continue
        manifest = open_manifest(path)
        wanted, there = asdict(settings.info(mode)), asdict(manifest.info)
        changed = [name for name in wanted if name not in _COUNTED and wanted[name] != there[name]]
        if changed or manifest.info.notes.get("records_sha256") != index.digest():
            what = ", ".join(f"{name} was {there[name]!r}" for name in changed)
            how = f"built with different settings ({what})" if changed else "built before the raw database changed"
            raise BuildError(f"{path} already exists, {how}. Use --overwrite to build it again, or another --out")
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
        return path.stat().st_size > 0  # a machine that went down may leave empty files
    except FileNotFoundError:
        return False


def _files(row: Row) -> list[str]:
    return [name for name in (row.clean, row.occluded, row.mask) if name]
