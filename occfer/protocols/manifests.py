"""The manifests behind a protocol: which builds it needs, whether they are there, and what they hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from occfer.data.manifests import Sample, read_corpus
from occfer.data.splits import fold_choices
from occfer.errors import DataError
from occfer.files import digest
from occsynth.reading import read_json, record_of

TEMPLATE = "template"  # what hides faces unless `--fill` says otherwise
# Databases of which `occsynth build --classes 8` keeps contempt.
WITH_CONTEMPT = frozenset({"affectnet", "ck+", "ck+48", "ferplus", "folder"})
# Databases whose pictures their authors have cropped already, so that builds do not align them unless asked to.
CROPPED = frozenset({"raf-db", "affectnet", "sfew", "fer2013", "ferplus", "ck+48"})
# Side of a build's images where none is asked for; a build of another size has it in its name.
DEFAULT_SIZES_PX = {"ck+": 48, "raf-db": 88, "affectnet": 224, "sfew": 144, "fed-ro": 224, "demo": 96}


@dataclass(frozen=True, slots=True)
class NeededBuild:
    """A build of occsynth that a protocol needs.

    Attributes:
        database: key.
        mode: of occlusion.
        size_px: None for the database's default.
        subset: the list of the images that are kept, or None for all.
        classes: 7, or 8 with contempt.
        fill: what hides the faces.
        aligned: aligned as the uncropped databases are, which builds of `CROPPED` are not by default.
    """

    database: str
    mode: str
    size_px: int | None = None
    subset: Path | None = None
    classes: int = 7
    fill: str = TEMPLATE
    aligned: bool = False

    @property
    def name(self) -> str:
        """As `occsynth build` names it, with its other options at their defaults."""
        parts = [self.database, self.mode]
        if self.size_px not in (None, DEFAULT_SIZES_PX.get(self.database)):
            parts.append(f"{self.size_px}px")
        if self.aligned:
            parts.append("aligned")
        if self.fill != TEMPLATE:
            parts.append(self.fill)
        if self.classes != 7:
            parts.append(f"{self.classes}classes")
        if self.subset is not None:
            parts.append("".join(letter if letter.isalnum() else "_" for letter in self.subset.stem))
        return "-".join(parts)

    def path(self, root: Path) -> Path:
        """Its manifest in a build root, plain or gzipped; the plain one where there is none yet."""
        plain = root / "manifests" / f"{self.name}.csv"
        zipped = plain.with_name(f"{plain.name}.gz")
        return zipped if zipped.is_file() and not plain.is_file() else plain


# What a build is expected to hold before it is made: the paper's counts, and the demo's.
EXPECTED_ROWS = {"ck+": 636, "raf-db": 15_339, "affectnet": 283_500, "sfew": 1_322, "fed-ro": 400, "demo": 280}
EXPECTED_FOLDS = {"ck+": 10, "demo": 10}
GUESSED_ROWS, GUESSED_SIZE_PX = 1000, 96

# Makes builds of one database and size under a build root. Raises OccFERError with one line.
Builder = Callable[[Sequence[NeededBuild], Path], None]


@dataclass(frozen=True, slots=True)
class ProtocolManifest:
    """What a protocol knows about a manifest, whether it was built already or is only planned with.

    Attributes:
        sha256: of its content.
        clean_sha256: digest of its clean images and their labels: the same for every mode of a database.
        folds: that it has, sorted; (None,) where it has none, or an official split.
        rows, rejects: how many.
        align: how its faces are aligned.
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
    align: str


def read_manifest(path: Path) -> ProtocolManifest:
    """What a manifest holds.

    Raises:
        DataError: it cannot be read.
    """
    corpus = read_corpus([path])
    known = corpus.manifests[0]
    stem = known.path.name.removesuffix(".gz").removesuffix(".csv")
    return ProtocolManifest(
        path=known.path,
        name=known.name,
        sha256=known.sha256,
        clean_sha256=digest([_clean_identity(sample) for sample in corpus.samples]),
        database=known.database,
        mode=known.mode,
        size_px=known.size_px,
        rows=known.rows,
        rejects=_rejects(known.path.with_name(f"{stem}.json")),
        folds=fold_choices(corpus),
        align=known.align,
    )


def _clean_identity(sample: Sample) -> list[str | int | None]:
    # no mode and no hash of the occluded image: runs that see clean images alone are the same job for every mode
    pixels = [sample.source_sha256, sample.clean_sha256]
    return [sample.database, sample.pair_id, sample.subject, sample.expression, sample.split, sample.fold, *pixels]


def expected_manifest(build: NeededBuild, root: Path) -> ProtocolManifest:
    """What a build that is not made yet is expected to hold, for a plan; in place of digests it has its name."""
    folds = EXPECTED_FOLDS.get(build.database, 0)
    return ProtocolManifest(
        path=build.path(root).resolve(),
        name=build.name,
        sha256=f"not built: {build.name}",
        clean_sha256=f"not built: {build.database} {build.size_px}{' aligned' if build.aligned else ''}",
        database=build.database,
        mode=build.mode,
        size_px=build.size_px or DEFAULT_SIZES_PX.get(build.database, GUESSED_SIZE_PX),
        rows=EXPECTED_ROWS.get(build.database, GUESSED_ROWS),
        rejects=0,
        folds=tuple(range(folds)) or (None,),
        align="none" if build.database in CROPPED and not build.aligned else "similarity",
    )


def _rejects(path: Path) -> int:
    return record_of(_RejectCount, read_json(path, DataError), str(path), DataError).rejects


@dataclass(frozen=True, slots=True)
class _RejectCount:
    """What is used of a manifest's JSON here."""

    rejects: int = 0


def ensure(
    builds: Sequence[NeededBuild], root: Path, build: Builder
) -> tuple[dict[NeededBuild, ProtocolManifest], dict[NeededBuild, str]]:
    """Reads the manifests of builds, and makes those that are missing.

    Args:
        builds: that are needed.
        root: the build root.
        build: makes builds of one database and size.

    Returns:
        The manifests that are there, and for each of the others the error in one line.
    """
    missing = [each for each in dict.fromkeys(builds) if not each.path(root).is_file()]
    # one call builds all modes of a database, which share its clean images
    groups: dict[NeededBuild, list[NeededBuild]] = {}
    for each in missing:
        groups.setdefault(replace(each, mode=""), []).append(each)
    errors: dict[NeededBuild, str] = {}
    for group in groups.values():
        try:
            build(group, root)
        except DataError as error:
            errors |= dict.fromkeys(group, str(error))
    found: dict[NeededBuild, ProtocolManifest] = {}
    for each in dict.fromkeys(builds):
        if each in errors:
            continue
        try:
            found[each] = read_manifest(each.path(root))
        except DataError as error:
            errors[each] = str(error)
    return found, errors
