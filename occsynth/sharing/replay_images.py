"""One chunk of a replay, in a worker: from manifest rows to written images."""

from dataclasses import dataclass, field
from pathlib import Path

from occsynth.errors import ReplayError, SourceError
from occsynth.files import inside, write_atomic
from occsynth.manifest import Row
from occsynth.parallel import one_opencv_thread
from occsynth.pixels.decode import is_whole_image
from occsynth.pixels.images import Pixels, encode, is_whole_file, pixels_sha256, read_bytes, read_grey, read_rgb
from occsynth.sharing.remake import ROW_FAULTS, Recipe, RowImage, images_of_row, make_images


@dataclass(frozen=True, slots=True)
class ReplayFolders:
    """Where a replay's images go, and as what; it travels to the workers.

    Attributes:
        out: the new build root.
        work: where temporary files are written, on the same file system.
        image_format: `png` or `jpeg`.
        own: beginnings of the paths at which a file may be replaced, since a build or a replay made it.
        raw_root: the raw database, if it lies in the new build root.
    """

    out: str
    work: str
    image_format: str
    own: tuple[str, ...]
    raw_root: str


@dataclass(slots=True)
class RowOutcomes:
    """What became of some rows.

    Attributes:
        rows: how many there are.
        kept: rows whose images were already there with the right pixels.
        other_bytes: rows whose source differs from the build's file but holds the same pixels.
        problems: `(pair_id, source, problem)` for each row that could not be replayed.
    """

    rows: int = 0
    kept: int = 0
    other_bytes: int = 0
    problems: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, other: "RowOutcomes") -> None:
        """Adds the outcomes of other rows."""
        self.rows += other.rows
        self.kept += other.kept
        self.other_bytes += other.other_bytes
        self.problems += other.problems


def replay_chunk(recipe: Recipe, folders: ReplayFolders, rows: list[Row]) -> RowOutcomes:
    """Makes the images of some rows.

    Raises:
        BuildError: an image cannot be written.
    """
    outcomes = RowOutcomes(rows=len(rows))
    with one_opencv_thread():
        for row in rows:
            try:
                _replay_row(recipe, folders, row, outcomes)
            except ROW_FAULTS as error:
                outcomes.problems.append((row.pair_id, row.source, str(error)))
    return outcomes


def _replay_row(recipe: Recipe, folders: ReplayFolders, row: Row, outcomes: RowOutcomes) -> None:
    out = Path(folders.out)
    # the hashes are of the pixels before encoding, so only a PNG can be recognised as right from its file alone
    if folders.image_format == "png" and all(_is_right(out, image) for image in images_of_row(row)):
        outcomes.kept += 1
        return
    made = make_images(recipe, row)
    outcomes.other_bytes += made.source_bytes_differ
    written = [_put_image(folders, image, made.pixels[image.role]) for image in images_of_row(row)]
    outcomes.kept += not any(written)


def _is_right(out: Path, image: RowImage) -> bool:
    """Whether a PNG is there, whole and with the right pixels."""
    path = inside(out, image.path)
    try:
        return is_whole_file(path) and pixels_sha256(_read(path, image)) == image.sha256
    except SourceError:
        return False


def _read(path: Path, image: RowImage) -> Pixels:
    return read_grey(path) if image.role == "mask" else read_rgb(path)


def _put_image(folders: ReplayFolders, image: RowImage, pixels: Pixels) -> bool:
    """Writes an image unless it is already there; returns whether it was written."""
    path = inside(Path(folders.out), image.path)
    image_format = "png" if image.role == "mask" else folders.image_format
    content = encode(pixels, image_format)
    if folders.raw_root and path.resolve().is_relative_to(folders.raw_root):
        raise ReplayError(f"{path} lies in the raw database {folders.raw_root}, which is never written to")
    if path.exists():
        there = _content(path)
        if there == content or (image_format == "png" and _is_right(Path(folders.out), image)):
            return False
        # the builds of several modes share their clean images: a whole one may belong to another build
        if image.role == "clean" and is_whole_image(there):
            raise ReplayError(
                f"{path} already exists with different pixels, from another build or edited; remove it, or use another "
                "--out"
            )
        if not image.path.startswith(folders.own):
            raise ReplayError(
                f"{path} already exists and was not made by `occsynth replay`. Use another --out, or --overwrite to "
                "replace it"
            )
    write_atomic(path, content, Path(folders.work), durable=False)  # `replay` flushes all of them at once
    return True


def _content(path: Path) -> bytes:
    """A file's content; empty if it cannot be read, or is far larger than an image."""
    try:
        return read_bytes(path)
    except SourceError:
        return b""
