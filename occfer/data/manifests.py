"""Reading manifests: the only place where occfer's library meets occsynth's.

The rows of several manifests are merged, checked and reduced to what training needs: samples. Which samples train,
validate and test is decided in `occfer.data.splits`; their pixels are decoded once in `occfer.data.packs`.
"""

import hashlib
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occfer.data.arrays import Float32Array, Points
from occfer.errors import DataError
from occsynth.errors import ManifestError
from occsynth.escapes import from_csv
from occsynth.faces.landmark_file import open_landmarks
from occsynth.files import inside
from occsynth.manifest import Manifest, ManifestInfo, Row, manifest_name, open_manifest, votes_of
from occsynth.modes import is_mode
from occsynth.reading import one_line, open_unpacked, parse_json, read_table, record_of

# The words of the manifest's column `expression`, in the order that class indices follow.
EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
CONTEMPT = "contempt"  # the eighth, which only some databases have; a build holds it with --classes 8
REAL = "real"  # the mode of images that were occluded before occsynth saw them: test only
_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a manifest, as far as occfer needs it.

    Attributes:
        manifest: index into `Corpus.manifests` of the manifest that it came from.
        position: its row there, from 0; its images have the same place in that manifest's pack.
        clean, occluded: paths under the build root; `clean` is empty where there is no clean image.
        source_sha256, clean_sha256, occluded_sha256: of the pixels; empty where the manifest does not hold them.
        category: of the template that hides the face (food, hand, drink), else the fill (black, mean, noise); empty
            where the manifest does not say.
        coverage_face, coverage_eyes, coverage_mouth: hidden share in [0, 1]; None where it is not known.
        votes: as the manifest has them; empty where it has none.
        template: SHA-256 of the template that hides the face; empty where none does, or the manifest does not say.
        mask, mask_sha256: as `occluded` and `occluded_sha256`; empty where there is no mask.
    """

    manifest: int
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
    votes: str = ""
    template: str = ""
    mask: str = ""
    mask_sha256: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Identifies a pair over several manifests: database, mode, pair_id."""
        return (self.database, self.mode, self.pair_id)

    @property
    def face(self) -> str:
        """Identifies the clean face, independent of what hides it: `database/pair_id`."""
        return f"{self.database}/{self.pair_id}"


@dataclass(frozen=True, slots=True)
class CorpusManifest:
    """A manifest that samples came from.

    Attributes:
        path: of its CSV.
        name: of its file, without the ending; its JSON may name another, of which it is a part.
        database, mode, size_px, format, align: from its JSON; `format` is `png`, or `jpeg`, whose files do not hold the
            pixels that the hashes are of.
        root: the build root.
        sha256: of the CSV's bytes, unpacked where it is gzipped.
        rows: how many it has.
        template_split: `train` or `test` where only these templates of a pack were drawn; empty for all.
        landmarks: the file of 68 landmarks that belongs to it; it may be missing.
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
    template_split: str = ""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The samples of all manifests of a run, those of the training manifests first.

    Attributes:
        manifests: in the order given; one that is named twice is read once.
        training: how many of `manifests` are training manifests; the others are only tested on.
        samples: every row, grouped by manifest, in the order of the file.
    """

    manifests: tuple[CorpusManifest, ...]
    training: int
    samples: tuple[Sample, ...]

    @property
    def names(self) -> str:
        """The manifests' names, for messages."""
        return ", ".join(manifest.name for manifest in self.manifests)

    def of_manifest(self, index: int) -> list[Sample]:
        """The samples of one manifest, in the order of its rows."""
        return [sample for sample in self.samples if sample.manifest == index]


def read_corpus(manifests: Sequence[Path], test_manifests: Sequence[Path] = ()) -> Corpus:
    """Reads and merges manifests.

    Raises:
        DataError: a manifest cannot be read, has no rows, withholds its labels, names an unknown expression, or holds
            a pair that is in another one too.
    """
    paths = list(dict.fromkeys(map(_resolved, manifests)))
    extra = [path for path in dict.fromkeys(map(_resolved, test_manifests)) if path not in paths]
    manifests_read: list[CorpusManifest] = []
    samples: list[Sample] = []
    seen: dict[tuple[str, str, str], Path] = {}
    for index, path in enumerate(paths + extra):
        manifest, found = _read_manifest(path, index)
        for sample in found:
            if (other := seen.setdefault(sample.key, path)) != path:
                raise DataError(
                    f"pair '{sample.pair_id}' of {sample.database}, mode {sample.mode}, is in {other} and in {path}: "
                    "merge manifests of different databases or modes"
                )
        manifests_read.append(manifest)
        samples.extend(found)
    return Corpus(tuple(manifests_read), len(paths), tuple(samples))


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a file's text that is no path, or a circle of links
        raise DataError(f"{str(path)[:200]!r} cannot be a manifest: {one_line(error)}") from error


def _read_manifest(path: Path, index: int) -> tuple[CorpusManifest, list[Sample]]:
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
    read = CorpusManifest(
        path=manifest.path,
        name=manifest_name(manifest.path),
        root=manifest.root,
        sha256=_content_sha256(manifest),
        database=info.database,
        mode=info.mode,
        size_px=info.size_px,
        format=info.format,
        align=info.align,
        rows=len(samples),
        landmarks=manifest.beside(".landmarks.npz"),
        template_split=info.template_split,
    )
    return read, samples


def _samples(manifest: Manifest, index: int) -> Iterator[Sample]:
    for position, row in enumerate(manifest.rows()):
        if row.expression not in (*EXPRESSIONS, CONTEMPT):
            raise DataError(
                f"{manifest.path}: pair '{row.pair_id}' has the unknown expression '{row.expression}'; "
                f"known are {', '.join((*EXPRESSIONS, CONTEMPT))}"
            )
        yield _slim(row, index, position, manifest.path)


def _slim(row: Row, index: int, position: int, path: Path) -> Sample:
    facts = _occlusion_facts(row, path)
    return Sample(
        manifest=index,
        position=position,
        pair_id=row.pair_id,
        # A database of a million rows repeats a few words; interning keeps one copy of each in memory.
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
        category=sys.intern(facts.category or facts.fill),
        template=sys.intern(facts.template_sha256),
        coverage_face=row.coverage_face,
        coverage_eyes=row.coverage_eyes,
        coverage_mouth=row.coverage_mouth,
        votes=sys.intern(row.votes or ""),
        mask=row.mask,
        mask_sha256=row.mask_pixels_sha256,
    )


def label_shares(samples: Sequence[Sample], classes: Sequence[str]) -> Float32Array:
    """`(samples, classes)` float32: the share of each class among the votes for a sample; a row sums to 1.

    Votes for other words than the classes do not count [decided]. A sample without votes that count has a share of 1
    for its expression, or none at all if that is no class.
    """
    place = {word: index for index, word in enumerate(classes)}
    shares = np.zeros((len(samples), len(classes)), dtype=np.float32)
    for share, sample in zip(shares, samples, strict=True):
        counted = {word: count for word, count in votes_of(sample.votes).items() if word in place}
        for word, count in (counted or {sample.expression: 1}).items():
            if word in place:
                share[place[word]] = count / sum(counted.values() or (1,))
    return shares


@dataclass(frozen=True, slots=True)
class _OcclusionFacts:
    """What is used of a row's record of its occlusion."""

    category: str = ""
    fill: str = ""
    template_sha256: str = ""


def _occlusion_facts(row: Row, path: Path) -> _OcclusionFacts:
    if not row.occlusion:
        return _OcclusionFacts()
    where = f"{path}: column occlusion of pair '{row.pair_id[:200]}'"
    return record_of(_OcclusionFacts, parse_json(row.occlusion, where, DataError), where, DataError)


def _content_sha256(manifest: Manifest) -> str:
    try:
        with open_unpacked(manifest.path) as file:
            # a piece at a time, since a gzipped file can unpack to any size
            digest = hashlib.sha256()
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{manifest.path} cannot be read: {one_line(error)}") from error
    return digest.hexdigest()


def can_be_built(mode: str) -> bool:
    """Whether occsynth draws occlusions of this mode: of any that it knows but `real`."""
    return mode != REAL and is_mode(mode)


def built_alike(path: Path) -> list[Path]:
    """A manifest and those beside it that differ from it in the occlusion mode alone: one per mode, sorted by name.

    Where several have one mode, such as a build and a subset of it, the given one counts, else the one with most rows.

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
            continue  # a CSV of another kind, such as a list of rejects
        best = found.get(other.info.mode)
        larger = best is None or (best is not given and best.info.rows < other.info.rows)
        placed_alike = other.info.square_at in ("", given.info.square_at)
        if larger and placed_alike and _alike(other.info) == _alike(given.info):
            found[other.info.mode] = other
    return sorted(manifest.path for manifest in found.values())


def _alike(info: ManifestInfo) -> tuple[object, ...]:
    return (info.database, info.variant, info.seed, info.size_px, info.fill, info.align, info.format)


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """How a manifest was built.

    Attributes:
        info: the content of its JSON.
        sha256: see `CorpusManifest`.
        rejects: what the build left out, as (source, reason); empty also where the list of rejects is missing.
    """

    info: ManifestInfo
    sha256: str
    rejects: tuple[tuple[str, str], ...]


def read_build(path: Path) -> BuildInfo:
    """How a manifest was built, without reading its rows. Raises DataError if it or its rejects cannot be read."""
    try:
        manifest = open_manifest(path)
    except ManifestError as error:
        raise DataError(str(error)) from error
    listed = manifest.beside(".rejects.csv")
    found = read_table(listed, ("source", "reason"), DataError) if listed.is_file() else ()
    rejects = tuple((from_csv(cells["source"]), from_csv(cells["reason"])) for _, cells in found)
    return BuildInfo(manifest.info, _content_sha256(manifest), rejects)


def image_path(manifest: CorpusManifest, relative: str) -> Path:
    """The file that a sample names; raises DataError if the path leaves the build root."""
    try:
        return inside(manifest.root, relative)
    except ManifestError as error:
        raise DataError(f"{manifest.path}: {error}") from error


def read_points(corpus: Corpus, size_px: int) -> Points:
    """`(samples of the corpus, 68, 2)` float32: every face's landmarks, in pixels of images of `size_px`.

    Raises:
        DataError: see `read_landmarks`.
    """
    parts = []
    for index, manifest in enumerate(corpus.manifests):
        points = read_landmarks(manifest, [sample.pair_id for sample in corpus.of_manifest(index)])
        # Pixel centres lie at whole numbers, so the image's left edge is at -0.5 in both sizes.
        parts.append((points + 0.5) * np.float32(size_px / manifest.size_px) - np.float32(0.5))
    return np.concatenate(parts)


def read_landmarks(manifest: CorpusManifest, pair_ids: Sequence[str]) -> Points:
    """`(len(pair_ids), 68, 2)` float32: the landmarks of aligned faces, in pixels of the manifest's own size.

    Raises:
        DataError: the file is missing, unreadable, or lacks a pair.
    """
    hint = f"make it with `occsynth landmarks {manifest.path}`"
    if not manifest.landmarks.is_file():
        raise DataError(f"{manifest.landmarks} not found; {hint}")
    try:
        known, points = open_landmarks(manifest.landmarks)
    except ManifestError as error:
        raise DataError(str(error)) from error
    place = {str(pair_id): index for index, pair_id in enumerate(known)}
    missing = [pair_id for pair_id in pair_ids if pair_id not in place]
    if missing:
        raise DataError(f"{manifest.landmarks} lacks {len(missing)} pairs, '{missing[0][:200]}' first; {hint}")
    return np.asarray(points[[place[pair_id] for pair_id in pair_ids]], dtype=np.float32)
