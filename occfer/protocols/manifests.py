"""The manifests behind a protocol: which builds it needs, whether they are there, and what they hold."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from occfer.config import digest
from occfer.data.manifests import Sample, read_corpus
from occfer.errors import DataError

# Side of a build's images where none is asked for; other sizes stand in the build's name.
DEFAULT_SIZES_PX = {"ck+": 48, "raf-db": 88, "affectnet": 224, "sfew": 144, "fed-ro": 224, "demo": 96}


@dataclass(frozen=True, slots=True)
class Build:
    """A build of occsynth that a protocol needs.

    Attributes:
        database: key.
        mode: of occlusion.
        size_px: None for the database's own.
        subset: list of the images that are kept, or None.
    """

    database: str
    mode: str
    size_px: int | None = None
    subset: Path | None = None

    @property
    def name(self) -> str:
        """As `occsynth build` names it, with its other options at their defaults."""
        parts = [self.database, self.mode]
        if self.size_px not in (None, DEFAULT_SIZES_PX.get(self.database)):
            parts.append(f"{self.size_px}px")
        if self.subset is not None:
            parts.append("".join(letter if letter.isalnum() else "_" for letter in self.subset.stem))
        return "-".join(parts)

    def path(self, root: Path) -> Path:
        """Its manifest in a build root; the plain one where there is none yet."""
        plain = root / "manifests" / f"{self.name}.csv"
        zipped = plain.with_name(f"{plain.name}.gz")
        return zipped if zipped.is_file() and not plain.is_file() else plain


# Rows where a build is not made yet, to plan with: the paper's counts, and the demo's.
EXPECTED_ROWS = {"ck+": 636, "raf-db": 15_339, "affectnet": 283_500, "sfew": 1_322, "fed-ro": 400, "demo": 280}
EXPECTED_FOLDS = {"ck+": 10, "demo": 10}

# Makes builds of one database and size; called with them and the build root. Raises OccFERError with one line.
Builder = Callable[[Sequence[Build], Path], None]


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """A manifest as a protocol sees it.

    Attributes:
        sha256: of its content.
        clean_sha256: digest of its clean images with what is said of them: the same for every mode of a database.
        folds: that it has, sorted; (None,) where it has none or an official split.
        rows, rejects: how many.
    """

    path: Path
    name: str
    sha256: str
    clean_sha256: str
    database: str
    mode: str
    size_px: int
    rows: int
    rejects: int
    folds: tuple[int | None, ...]


def read_facts(path: Path) -> ManifestFacts:
    """What a manifest holds.

    Raises:
        DataError: it cannot be read.
    """
    corpus = read_corpus([path])
    source = corpus.sources[0]
    official = any(sample.split for sample in corpus.samples)
    folds = sorted({sample.fold for sample in corpus.samples if sample.fold is not None})
    name = source.path.name.removesuffix(".gz").removesuffix(".csv")
    return ManifestFacts(
        path=source.path,
        name=source.name,
        sha256=source.sha256,
        clean_sha256=digest([_clean_identity(sample) for sample in corpus.samples]),
        database=source.database,
        mode=source.mode,
        size_px=source.size_px,
        rows=source.rows,
        rejects=_rejects(source.path.with_name(f"{name}.json")),
        folds=tuple(folds) if folds and not official else (None,),
    )


def _clean_identity(sample: Sample) -> list[str | int | None]:
    pixels = [sample.source_sha256, sample.clean_sha256]
    return [sample.database, sample.pair_id, sample.subject, sample.expression, sample.split, sample.fold, *pixels]


def expected_facts(build: Build, root: Path) -> ManifestFacts:
    """What a build that is not made yet is expected to hold, for a plan; it has no digest."""
    folds = EXPECTED_FOLDS.get(build.database, 0)
    return ManifestFacts(
        path=build.path(root).resolve(),
        name=build.name,
        sha256=f"not built: {build.name}",
        clean_sha256=f"not built: {build.database} {build.size_px}",
        database=build.database,
        mode=build.mode,
        size_px=build.size_px or DEFAULT_SIZES_PX.get(build.database, 96),
        rows=EXPECTED_ROWS.get(build.database, 1000),
        rejects=0,
        folds=tuple(range(folds)) or (None,),
    )


def _rejects(path: Path) -> int:
    try:
        return int(json.loads(path.read_text(encoding="utf-8")).get("rejects", 0))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})") from error


def ensure(builds: Sequence[Build], root: Path, build: Builder) -> tuple[dict[Build, ManifestFacts], dict[Build, str]]:
    """Reads the manifests of builds, making those that are missing.

    Args:
        builds: that are needed.
        root: the build root.
        build: makes some of one database and size.

    Returns:
        What is there, and for each that could not be had the one-line error.
    """
    missing = [each for each in dict.fromkeys(builds) if not each.path(root).is_file()]
    groups: dict[tuple[str, int | None, Path | None], list[Build]] = {}
    for each in missing:
        groups.setdefault((each.database, each.size_px, each.subset), []).append(each)
    errors: dict[Build, str] = {}
    for group in groups.values():
        try:
            build(group, root)
        except DataError as error:
            errors |= dict.fromkeys(group, str(error))
    found: dict[Build, ManifestFacts] = {}
    for each in dict.fromkeys(builds):
        if each in errors:
            continue
        try:
            found[each] = read_facts(each.path(root))
        except DataError as error:
            errors[each] = str(error)
    return found, errors
