"""Whether a build is already there: the same settings, the same database, and every file whole in its place."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from occsynth.build.duplicates import across_of
from occsynth.build.record_index import RecordIndex
from occsynth.build.report import BuildReport
from occsynth.build.settings import CompleteSettings
from occsynth.databases import DATABASES
from occsynth.errors import BuildError, ManifestError
from occsynth.faces.landmark_file import open_landmarks
from occsynth.manifest import SCHEMA, Manifest, Row, open_manifest
from occsynth.modes import REAL
from occsynth.pixels.images import is_whole_file
from occsynth.reading import read_table

_COUNTED = (
    "schema", "grey", "versions", "rows", "sources", "rejects", "counts", "found", "duplicates", "withheld", "notes"
)  # fmt: skip
"""Fields of the JSON that a finished build counted or noted, or that follow from the version of occsynth; they say
nothing about the settings."""

_OF_LISTS = {"subset_sha256", "folds_sha256"}
"""Fields that are not published."""


def manifest_path(settings: CompleteSettings, mode: str) -> Path:
    """The path of a mode's manifest, plain if there is a plain one."""
    folder = Path(settings.out) / "manifests"
    plain = folder / f"{settings.name(mode)}.csv"
    return plain if plain.exists() else plain.with_suffix(".csv.gz")


def existing_build(settings: CompleteSettings, index: RecordIndex) -> tuple[BuildReport | None, list[str]]:
    """The report of an earlier build with the same settings, if all its files are there and whole.

    Returns:
        The report, or None; and warnings of files that are missing or damaged, for which all is made again.

    Raises:
        BuildError: a build of that name exists with other settings, or of another state of the database; or one of an
            earlier schema would have to be made again, which would give it other occlusions.
    """
    complete_builds: list[Manifest] = []
    warnings: list[str] = []
    has_votes = DATABASES[settings.db].has_votes
    for mode in settings.modes:
        path = manifest_path(settings, mode)
        if not path.exists():
            continue
        try:
            manifest = open_manifest(path)
        except ManifestError as error:
            raise BuildError(f"{error}. Use --overwrite to build it again, or another --out") from error
        wanted, there = asdict(settings.info(mode)), asdict(manifest.info)
        changed = [name for name in wanted if name not in _COUNTED and wanted[name] != there[name]]
        if changed or not _scanned_alike(manifest, index, votes=has_votes):
            how = _otherwise({name: there[name] for name in changed}, manifest)
            raise BuildError(f"{path} already exists, {how}. Use --overwrite to build it again, or another --out")
        damaged = next(_damaged(manifest), "")
        if damaged and _draws_otherwise(manifest):
            raise BuildError(
                f"{path} already exists with manifest schema {manifest.info.schema}, but {damaged}. `occsynth replay` "
                f"makes its images again in another folder; --overwrite builds it with schema {SCHEMA}, which draws "
                "other occlusions"
            )
        if damaged:
            warnings.append(f"{path} was there, but {damaged}; everything was made again")
        else:
            complete_builds.append(manifest)
    former = [each for each in complete_builds if _draws_otherwise(each)]
    if len(complete_builds) < len(settings.modes):
        if former:
            raise BuildError(
                f"{former[0].path} already exists with manifest schema {former[0].info.schema}, and not all modes are "
                f"there. Build the missing ones by themselves to keep it; --overwrite builds all with schema {SCHEMA}, "
                "which draws other occlusions"
            )
        return None, warnings
    info = complete_builds[0].info
    excluded = int(info.notes.get("excluded_by_protocol", "0"))
    report = BuildReport(
        manifests=[each.path for each in complete_builds],
        rows=info.rows,
        sources=info.sources,
        rejects=info.rejects - excluded,
        excluded=excluded,
        rejects_csv=[each.beside(".rejects.csv") for each in complete_builds],
        duplicates=len(info.duplicates),
        duplicates_across=across_of(info.notes.get("duplicates_across", "")),
        warnings=[
            f"{each.path} was built before manifests had votes; --overwrite builds it with them"
            for each in complete_builds
            if has_votes and not each.has_votes
        ]
        + [
            f"{each.path}{' and others here have' if len(former) > 1 else ' has'} manifest schema {each.info.schema}: "
            "if it is published, its occlusions confirm a guess of names. --overwrite builds it with schema "
            f"{SCHEMA}, which draws other ones"
            for each in former[:1]
        ],
        reused=True,
    )
    return report, warnings


def _draws_otherwise(manifest: Manifest) -> bool:
    """Whether a build is of an earlier schema, and to build it again would draw other occlusions."""
    return manifest.info.schema != SCHEMA and manifest.info.mode != REAL


def _otherwise(changed: Mapping[str, object], manifest: Manifest) -> str:
    """How a build came about that is not the one asked for; `changed` are the fields that differ, as they are there."""
    if "records_sha256" not in manifest.info.notes and not any(changed.values()) and changed.keys() <= _OF_LISTS:
        return "replayed from a published manifest, which does not say of what images and lists it was built"
    if not changed:
        return "built before the raw database changed"
    return f"built with different settings ({', '.join(f'{name} was {value!r}' for name, value in changed.items())})"


def _scanned_alike(manifest: Manifest, index: RecordIndex, *, votes: bool) -> bool:
    """Whether a build was made from the same records; builds of version 0.1 knew no votes."""
    digest = manifest.info.notes.get("records_sha256")
    return digest == index.digest() or (votes and digest == index.digest(votes=False))


def _damaged(manifest: Manifest) -> Iterator[str]:
    """What is missing or damaged, as far as sizes and the ends of files tell.

    This finds what a power failure leaves, in 0.02 ms a row. Comparing all pixels with their hashes would take a
    quarter of the time that making them takes; `occsynth verify` does it.
    """
    rows = 0
    try:
        for row in manifest.rows():
            rows += 1
            for name in _files(row):
                if not is_whole_file(manifest.file(name)):
                    yield f"{name} is missing or damaged"
        if rows != manifest.info.rows:
            yield f"it has {rows} of its {manifest.info.rows} rows"
        open_landmarks(manifest.beside(".landmarks.npz"))
        rejects = manifest.beside(".rejects.csv")
        if sum(1 for _ in read_table(rejects, ("source", "reason"), ManifestError)) != manifest.info.rejects:
            yield f"{rejects} does not list its {manifest.info.rejects} rejects"
    except ManifestError as error:
        yield str(error)


def _files(row: Row) -> list[str]:
    return [name for name in (row.clean, row.occluded, row.mask) if name]
