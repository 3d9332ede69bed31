"""The samples that every format of an export holds: which rows go into which part and file, and what they tell."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from occsynth.databases.record import CONTEMPT, EXPRESSIONS
from occsynth.errors import BuildError, ManifestError, SourceError
from occsynth.manifest import Manifest, Row
from occsynth.pixels.images import ENDINGS, is_whole_file, read_bytes

VIEWS = ("clean", "occluded", "mask")
"""The images of a sample; mode `real` has the occluded one alone."""
PARTS = {"train": "train", "val": "validation", "test": "test"}
"""The name of each split of a manifest in `datasets`, which calls the only part of a dataset `train`."""
UNSPLIT = "unsplit"
"""The rows without a split, in a manifest where others have one."""
TEXTS = ("pair_id", "database", "subject", "split", "mode", "landmarks", "occlusion")
NUMBERS = ("coverage_face", "coverage_eyes", "coverage_mouth")
_MOST_SAMPLES = 10**8
"""Files are named by eight digits."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an export will write.

    Attributes:
        manifest: of the build.
        labels: the class names, whose places are the numbers of the classes.
        rows: how many samples there are.
        shards: how many samples each file of each part holds, in the order of the manifest.
        only_part: the part of rows without a split.
        has_votes: whether samples have the column `votes`.
    """

    manifest: Manifest
    labels: tuple[str, ...]
    rows: int
    shards: dict[str, list[int]]
    only_part: str
    has_votes: bool

    def samples(self, part: str) -> Iterator["Sample"]:
        """The samples of a part, one at a time, in the order of the manifest."""
        for number, row in enumerate(self.manifest.rows()):
            if PARTS.get(row.split, self.only_part) == part:
                yield Sample(number, row, self.manifest)

    def texts(self) -> tuple[str, ...]:
        """The names of the columns that hold text."""
        return (*TEXTS, "votes") if self.has_votes else TEXTS


@dataclass(frozen=True, slots=True)
class Sample:
    """A row with its place in the manifest, which names its files: names of pictures may hold what no path should."""

    number: int
    row: Row
    manifest: Manifest

    @property
    def key(self) -> str:
        """Eight digits."""
        return f"{self.number:08d}"

    def ending(self, view: str) -> str:
        """`.png` or `.jpg`; empty if the row has no such image."""
        if not getattr(self.row, view):
            return ""
        return ENDINGS["png" if view == "mask" else self.manifest.info.format]

    def image(self, view: str) -> bytes:
        """The bytes of an image's file, unchanged.

        Raises:
            ManifestError: it is missing or damaged, or lies outside the build root.
        """
        relative = getattr(self.row, view)
        path = self.manifest.file(relative)
        try:
            if path.suffix == self.ending(view) and is_whole_file(path):
                return read_bytes(path)
        except SourceError as error:
            raise _damaged(self.manifest, relative, str(error)) from error
        raise _damaged(self.manifest, relative, "missing or damaged")

    def texts(self) -> dict[str, str]:
        """The columns that hold text; `votes` only where the manifest has it."""
        values = {name: getattr(self.row, name) for name in TEXTS}
        return values if self.row.votes is None else {**values, "votes": self.row.votes}

    def numbers(self) -> dict[str, float | None]:
        """The hidden shares of the face and its regions."""
        return {name: getattr(self.row, name) for name in NUMBERS}


def make_plan(manifest: Manifest, shard_bytes: int, tell: Callable[[int], None]) -> Plan:
    """Looks at every row and at the size of its images, and decides which file holds which.

    Args:
        manifest: of a build, with its images.
        shard_bytes: a file ends before its images are larger than this together, but holds one sample at least.
        tell: called with how many rows were looked at.

    Raises:
        ManifestError: the manifest is published, so that there are no images; an image is missing; or a row has a
            class or a split that no build writes.
        BuildError: there are no rows.
    """
    if manifest.info.withheld:
        raise ManifestError(
            f"{manifest.path} is published and has no images. Make the build with `occsynth replay`, and export its "
            "manifest; only `--to croissant` describes a published one"
        )
    labels = tuple(sorted((*EXPRESSIONS, CONTEMPT) if manifest.info.classes == 8 else EXPRESSIONS))
    shards: dict[str, list[int]] = {}
    filled: dict[str, int] = {}
    rows = 0
    for row in manifest.rows():
        if row.expression not in labels:
            raise _unknown(manifest, row, "expression", row.expression, labels)
        if row.split and row.split not in PARTS:
            raise _unknown(manifest, row, "split", row.split, tuple(PARTS))
        size = sum(_size(manifest, getattr(row, view)) for view in VIEWS if getattr(row, view))
        part = PARTS.get(row.split, UNSPLIT)
        counts = shards.setdefault(part, [])
        if not counts or filled[part] + size > shard_bytes:
            counts.append(0)
            filled[part] = 0
        counts[-1] += 1
        filled[part] += size
        rows += 1
        tell(rows)
    if not rows:
        raise BuildError(f"{manifest.path} has no rows to export")
    if rows > _MOST_SAMPLES:
        raise BuildError(f"{manifest.path} has more than {_MOST_SAMPLES:,} rows, the most that an export can number")
    only_part = UNSPLIT
    if set(shards) == {UNSPLIT}:
        only_part = PARTS["train"]
        shards = {only_part: shards[UNSPLIT]}
    ordered = {part: shards[part] for part in (*PARTS.values(), UNSPLIT) if part in shards}
    return Plan(manifest, labels, rows, ordered, only_part, manifest.has_votes)


def _size(manifest: Manifest, relative: str) -> int:
    try:
        return manifest.file(relative).stat().st_size
    except OSError as error:
        raise _damaged(manifest, relative, error.strerror or "cannot be read") from error


def _damaged(manifest: Manifest, relative: str, fault: str) -> ManifestError:
    return ManifestError(
        f"{manifest.root / relative}: {fault}. Run `occsynth verify {manifest.path}` to see what else is, and the "
        "command again that made the build"
    )


def _unknown(manifest: Manifest, row: Row, column: str, value: str, known: tuple[str, ...]) -> ManifestError:
    return ManifestError(
        f"{manifest.path}: row {row.pair_id} has the {column} '{value[:80]}', and an export knows {', '.join(known)}. "
        "Correct the row, or build the manifest again"
    )


def shard_name(part: str, number: int, total: int, ending: str) -> Path:
    """`train-00000-of-00002.tar`: the names by which `datasets` knows the parts of a dataset and their files."""
    return Path(f"{part}-{number:05d}-of-{total:05d}{ending}")
