"""Reading manifests: the only place where occfer's library meets occsynth.

Rows of several manifests are merged, checked and slimmed to what training needs. Which rows train, validate and test
is decided in `occfer.data.splits`; their pixels are decoded once in `occfer.data.packs`.
"""

import csv
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occfer.errors import DataError
from occsynth.errors import ManifestError
from occsynth.files import inside
from occsynth.manifest import Manifest, ManifestInfo, Row, open_manifest

# The words of the manifest's column `expression`, in the order that class indices follow.
EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
REAL = "real"  # the mode of images that were occluded before occsynth saw them: test only


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a manifest, as far as occfer needs it.

    Attributes:
        source: index into `Corpus.sources` of the manifest it came from.
        position: its row there, from 0; also its row in that manifest's pack.
        clean, occluded: paths under the build root; `clean` is empty where there is none.
        source_sha256, clean_sha256, occluded_sha256: of the pixels; empty where the manifest has none.
        category: of the template that hides it (food, hand, drink), else the fill (black, mean, noise); empty where
            the manifest does not say.
        coverage_face, coverage_eyes, coverage_mouth: hidden share in [0, 1], or None.
    """

    source: int
    position: int
    pair_id: str
    database: str
    mode: str
    subject: str
    expression: str
    split: str
    fold: int | None
    clean: str
    occluded: str
    source_sha256: str
    clean_sha256: str
    occluded_sha256: str
    category: str
    coverage_face: float | None
    coverage_eyes: float | None
    coverage_mouth: float | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What names a pair over several manifests: database, mode, pair_id."""
        return (self.database, self.mode, self.pair_id)

    @property
    def face(self) -> str:
        """What names the clean face, whatever hides it: `database/pair_id`."""
        return f"{self.database}/{self.pair_id}"


@dataclass(frozen=True, slots=True)
class Source:
    """A manifest that was read.

    Attributes:
        name, database, mode, size_px, format, align: from its JSON; `format` is `png` or `jpeg` (hashes then do not
            hold for the files).
        root: the build root.
        sha256: of the CSV's bytes, unpacked where it is gzipped.
        rows: how many it has.
        landmarks: the file of 68 points that belongs to it, which may be missing.
    """

    path: Path
    name: str
    root: Path
    sha256: str
    database: str
    mode: str
    size_px: int
    format: str
    align: str
    rows: int
    landmarks: Path


@dataclass(frozen=True, slots=True)
class Corpus:
    """The rows of all manifests of a run, those of the training manifests first.

    Attributes:
        sources: the manifests, in the order given; one that is named twice is read once.
        training: how many of `sources` are training manifests; the others are tested only.
        samples: every row, grouped by source, in the order of the file.
    """

    sources: tuple[Source, ...]
    training: int
    samples: tuple[Sample, ...]

    def of_source(self, source: int) -> list[Sample]:
        """The samples of one manifest, in the order of its rows."""
        return [sample for sample in self.samples if sample.source == source]


def read_corpus(manifests: Sequence[Path], test_manifests: Sequence[Path] = ()) -> Corpus:
    """Reads and merges manifests.

    Raises:
        DataError: a manifest cannot be read, has no rows or withheld labels, or one names an unknown expression or a
            pair that stands in another one as well.
    """
    paths = list(dict.fromkeys(path.resolve() for path in manifests))
    extra = [path for path in dict.fromkeys(path.resolve() for path in test_manifests) if path not in paths]
    sources: list[Source] = []
    samples: list[Sample] = []
    seen: dict[tuple[str, str, str], str] = {}
    for index, path in enumerate(paths + extra):
        source, found = _read_source(path, index)
        for sample in found:
            if (other := seen.setdefault(sample.key, source.name)) != source.name:
                raise DataError(
                    f"pair '{sample.pair_id}' of {sample.database}, mode {sample.mode}, is in {other} and in "
                    f"{source.name}: merge manifests of different databases or modes"
                )
        sources.append(source)
        samples.extend(found)
    return Corpus(tuple(sources), len(paths), tuple(samples))


def _read_source(path: Path, index: int) -> tuple[Source, list[Sample]]:
    try:
        manifest = open_manifest(path)
        if hidden := {"expression", "occluded"} & set(manifest.info.withheld):
            raise DataError(
                f"{path}: {', '.join(sorted(hidden))} is withheld in this published manifest; run `occsynth replay` "
                "with your own copy of the database and train on the manifest that it writes"
            )
        samples = list(_samples(manifest, index))
    except ManifestError as error:
        raise DataError(str(error)) from error
    if not samples:
        raise DataError(f"{path} has no rows; see {manifest.beside('.rejects.csv')} for what the build left out")
    keys = {sample.key for sample in samples}
    if len(keys) < len(samples):
        raise DataError(f"{path}: {len(samples) - len(keys)} rows repeat a pair_id; build it again")
    info = manifest.info
    source = Source(
        path=manifest.path,
        name=info.name,
        root=manifest.root,
        sha256=_content_sha256(manifest),
        database=info.database,
        mode=info.mode,
        size_px=info.size_px,
        format=info.format,
        align=info.align,
        rows=len(samples),
        landmarks=manifest.beside(".landmarks.npz"),
    )
    return source, samples


def _samples(manifest: Manifest, index: int) -> Iterator[Sample]:
    for position, row in enumerate(manifest.rows()):
        if row.expression not in EXPRESSIONS:
            raise DataError(
                f"{manifest.path}: pair '{row.pair_id}' has the unknown expression '{row.expression}'; "
                f"known are {', '.join(EXPRESSIONS)}"
            )
        yield _slim(row, index, position, manifest.path)


def _slim(row: Row, index: int, position: int, path: Path) -> Sample:
    return Sample(
        source=index,
        position=position,
        pair_id=row.pair_id,
        # The same few words stand in every row of a database of a million.
        database=sys.intern(row.database),
        mode=sys.intern(row.mode),
        subject=sys.intern(row.subject),
        expression=sys.intern(row.expression),
        split=sys.intern(row.split),
        fold=row.fold,
        clean=row.clean,
        occluded=row.occluded,
        source_sha256=row.source_pixels_sha256,
        clean_sha256=row.clean_pixels_sha256,
        occluded_sha256=row.occluded_pixels_sha256,
        category=sys.intern(_category(row, path)),
        coverage_face=row.coverage_face,
        coverage_eyes=row.coverage_eyes,
        coverage_mouth=row.coverage_mouth,
    )


def _category(row: Row, path: Path) -> str:
    if not row.occlusion:
        return ""
    try:
        record = json.loads(row.occlusion)
        return str(record.get("category") or record.get("fill") or "")
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: pair '{row.pair_id}' has a malformed column occlusion ({error})") from error


def _content_sha256(manifest: Manifest) -> str:
    content = manifest.path.read_bytes()
    if manifest.path.name.endswith(".gz"):
        content = gzip.decompress(content)
    return hashlib.sha256(content).hexdigest()


def built_alike(path: Path) -> list[Path]:
    """A manifest and those beside it that differ from it in the occlusion mode alone, one a mode, by name.

    Of several with one mode, such as of a subset, the given one is taken, else the one with the most rows.

    Raises:
        DataError: the manifest cannot be read.
    """
    try:
        given = open_manifest(path)
    except ManifestError as error:
        raise DataError(str(error)) from error
    found = {given.info.mode: given}
    for each in sorted(given.path.parent.glob("*.csv*")):
        try:
            other = open_manifest(each)
        except ManifestError:
            continue  # the list of a build's rejects, or anything else that lies there
        best = found.get(other.info.mode)
        larger = best is None or (best is not given and best.info.rows < other.info.rows)
        if larger and _alike(other.info) == _alike(given.info):
            found[other.info.mode] = other
    return sorted(manifest.path for manifest in found.values())


def _alike(info: ManifestInfo) -> tuple[object, ...]:
    return (info.database, info.variant, info.seed, info.size_px, info.fill, info.align, info.format)


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """How a manifest came to be.

    Attributes:
        info: the content of its JSON.
        sha256: see `Source`.
        rejects: what the build left out: source and reason; empty where its list is missing, too.
    """

    info: ManifestInfo
    sha256: str
    rejects: tuple[tuple[str, str], ...]


def read_build(path: Path) -> BuildFacts:
    """The facts of a manifest; its rows are not read. Raises DataError where it or its rejects cannot be read."""
    try:
        manifest = open_manifest(path)
        listed = manifest.beside(".rejects.csv")
        rejects: tuple[tuple[str, str], ...] = ()
        if listed.is_file():
            with listed.open(encoding="utf-8", newline="") as file:
                rejects = tuple((row.get("source") or "", row.get("reason") or "") for row in csv.DictReader(file))
        return BuildFacts(manifest.info, _content_sha256(manifest), rejects)
    except (ManifestError, OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}") from error


def image_path(source: Source, relative: str) -> Path:
    """The file that a sample names; raises DataError if the path leaves the build root."""
    try:
        return inside(source.root, relative)
    except ManifestError as error:
        raise DataError(f"{source.path}: {error}") from error


def read_points(corpus: Corpus, size_px: int) -> npt.NDArray[np.float32]:
    """`(rows of the corpus, 68, 2)` float32: every face's landmarks, in pixels of images of `size_px`.

    Raises:
        DataError: see `read_landmarks`.
    """
    parts = []
    for index, source in enumerate(corpus.sources):
        points = read_landmarks(source, [sample.pair_id for sample in corpus.of_source(index)])
        parts.append((points + 0.5) * np.float32(size_px / source.size_px) - np.float32(0.5))
    return np.concatenate(parts)


def read_landmarks(source: Source, pair_ids: Sequence[str]) -> npt.NDArray[np.float32]:
    """`(len(pair_ids), 68, 2)` float32: the landmarks of aligned faces, pixels of the manifest's own size.

    Raises:
        DataError: the file is missing, unreadable, or lacks a pair.
    """
    hint = f"make it with `occsynth landmarks {source.path}`"
    if not source.landmarks.is_file():
        raise DataError(f"{source.landmarks} not found; {hint}")
    try:
        with np.load(source.landmarks, allow_pickle=False) as content:
            known, points = content["pair_ids"], content["points_xy"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{source.landmarks} cannot be read ({error}); {hint}") from error
    where = {str(pair_id): index for index, pair_id in enumerate(known)}
    missing = [pair_id for pair_id in pair_ids if pair_id not in where]
    if missing or points.shape != (len(known), 68, 2):
        what = f"lacks {len(missing)} pairs, '{missing[0]}' first" if missing else f"has the shape {points.shape}"
        raise DataError(f"{source.landmarks} {what}; {hint}")
    return np.asarray(points[[where[pair_id] for pair_id in pair_ids]], dtype=np.float32)
