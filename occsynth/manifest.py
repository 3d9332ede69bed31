"""The manifest, schema 2: the border between occsynth and occfer.

`NAME.csv` (or `.csv.gz`) holds one row per pair, `NAME.json` what all rows share. It has words, never indices; paths
relative to the build root; and every number that a replay needs. Its reference for users is docs/manifest.md.
"""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, Any

from occsynth.errors import ManifestError
from occsynth.files import inside, is_file
from occsynth.option_values import IMAGE_FORMATS
from occsynth.reading import read_cells, read_json, record_of

SCHEMA = 2
"""The schema of new manifests. Schema 1 has the same columns; its draws follow from database and pair_id."""
SCHEMAS = (1, 2)
"""What this version reads."""
_SCHEMAS_IN_WORDS = " or ".join(map(str, SCHEMAS))
GZIP_ABOVE_ROWS = 100_000
"""Larger manifests are written as `.csv.gz`."""
LONGEST_NAME = 255
"""Bytes of a file's name on Linux; a manifest's name is the first part of several."""
MAX_SIZE_PX = 4096
"""The largest side of the images that a build makes."""
MOST_VOTED = 20
"""Classes that the votes for one face may name."""

_VOTE = re.compile("([a-z][a-z-]{0,29}):([1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True)
class Row:
    """One pair. The fields are the columns of the CSV, in this order; `votes` is there only where a database has votes.

    A column that does not apply is empty: mode `real` has no clean image, mask or occlusion.

    Attributes:
        clean, occluded, mask: paths under the build root.
        source: path under the raw root, see `occsynth.databases.record.FaceRecord`.
        align: JSON, see `occsynth.faces.align.Alignment`.
        landmarks: `found`, `padded` (found after padding) or `fallback` (assumed geometry).
        occlusion: JSON, see `occsynth.modes.occlusion.Occlusion`.
        coverage_face, coverage_eyes, coverage_mouth: hidden fraction of the region, 0 to 1, or None.
        votes: see `votes_of`; None in a manifest without that column.
    """

    pair_id: str
    database: str
    subject: str
    expression: str
    split: str
    fold: int | None
    mode: str
    clean: str
    occluded: str
    mask: str
    clean_pixels_sha256: str
    occluded_pixels_sha256: str
    mask_pixels_sha256: str
    source: str
    source_sha256: str
    source_pixels_sha256: str
    align: str
    landmarks: str
    occlusion: str
    coverage_face: float | None
    coverage_eyes: float | None
    coverage_mouth: float | None
    seed: int
    votes: str | None = None

    def cells(self) -> list[str]:
        """The row as CSV cells, in the order of `columns`."""
        values = (getattr(self, name) for name in columns(votes=self.votes is not None))
        return ["" if value is None else str(value) for value in values]

    @classmethod
    def from_cells(cls, cells: list[str]) -> "Row":
        """The inverse of `cells`; raises ValueError for a malformed number or count of cells."""
        names = columns(votes=len(cells) > len(COLUMNS))
        if len(cells) != len(names):
            raise ValueError(f"{len(cells)} cells instead of {len(COLUMNS)}")
        values: dict[str, Any] = dict(zip(names, cells, strict=True))
        values["fold"] = int(values["fold"]) if values["fold"] else None
        for name in ("coverage_face", "coverage_eyes", "coverage_mouth"):
            values[name] = float(values[name]) if values[name] else None
            if values[name] is not None and not 0.0 <= values[name] <= 1.0:
                raise ValueError(f"{name} is {values[name]}, but must be within 0 to 1")
        values["seed"] = int(values["seed"])
        votes_of(values.get("votes", ""))
        return cls(**values)


COLUMNS = tuple(each.name for each in fields(Row) if each.name != "votes")
"""What every manifest has."""


def columns(*, votes: bool) -> tuple[str, ...]:
    """The header of a manifest, with or without the optional column `votes`, which is the last."""
    return (*COLUMNS, "votes") if votes else COLUMNS


def votes_of(text: str) -> dict[str, int]:
    """How many voters chose each class, from a cell of the column `votes`; empty where there are none.

    >>> votes_of("happiness:8;neutral:2")
    {'happiness': 8, 'neutral': 2}

    Raises:
        ValueError: it is no such list, names a class twice, or more than `MOST_VOTED`.
    """
    entries = [_VOTE.fullmatch(each) for each in text.split(";", MOST_VOTED)] if text else []
    votes = {entry[1]: int(entry[2]) for entry in entries if entry}
    if len(votes) < len(entries) or len(votes) > MOST_VOTED:
        raise ValueError(f"votes is {text[:60]!r}, but must name each class once, such as happiness:8;neutral:2")
    return votes


def votes_text(votes: Iterable[tuple[str, int]]) -> str:
    """The inverse of `votes_of`: the class with most votes first, classes without votes left out.

    >>> votes_text([("neutral", 2), ("anger", 0), ("happiness", 8)])
    'happiness:8;neutral:2'
    """
    given = sorted((-count, name) for name, count in votes if count)
    return ";".join(f"{name}:{-count}" for count, name in given)


@dataclass(frozen=True, slots=True)
class ManifestInfo:
    """What all rows of a manifest share: the content of `NAME.json`.

    Attributes:
        root: the build root relative to the folder of the JSON, so that a build can be moved as a whole.
        versions: of occsynth, opencv, numpy and mediapipe at build time.
        format: `png` (exact) or `jpeg` (lossy: hashes hold before encoding).
        template_pack_sha256: digest over the pack's names and files; empty for modes and fills without templates.
        template_split: `train` or `test` where only these templates of the pack were drawn, see
            `occsynth.templates.split`; empty for all.
        look: `natural` where templates look so, see `occsynth.modes.look`; empty for pasted ones.
        grey: whether what hides a grey face was turned grey; false for plain fills of one colour, and in
            manifests of earlier versions, whose occluders kept their colours.
        square_at: `face` where the centres of squares lie on the face; empty for anywhere in the picture, and for modes
            without squares.
        classes: 7, or 8 if rows may show contempt.
        labels: class by code, where `--labels` gave the labels another meaning than the database's own.
        folds, folds_sha256: name and digest of the list that the folds come from, where `--folds` gave one.
        counts: rows per class, per split and per fold.
        published: counts that the authors publish; `found`: the same counts in this copy of the database.
        rejects: how many sources are listed in `NAME.rejects.csv`; `sources` = `rows` + `rejects`.
        duplicates: groups of pair_ids with equal source pixels that differ in split, subject, fold or expression; how
            many differ in which, `notes` say.
        withheld: columns that `publish` emptied; replay fills them from the recipient's copy.
        notes: other facts, as text.
    """

    name: str
    database: str
    variant: str
    mode: str
    seed: int
    size_px: int
    fill: str
    categories: list[str]
    align: str
    format: str
    schema: int = SCHEMA
    root: str = ".."
    subset: str = ""
    subset_sha256: str = ""
    classes: int = 7
    labels: dict[str, str] = field(default_factory=dict)
    folds: str = ""
    folds_sha256: str = ""
    template_pack: str = ""
    template_pack_sha256: str = ""
    look: str = ""
    grey: bool = False
    square_at: str = ""
    template_split: str = ""
    landmark_model_sha256: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    sources: int = 0
    rejects: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    duplicates: list[list[str]] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)

    def dumps(self) -> str:
        """JSON text, keys in the order of the fields, with a final newline."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest on disk.

    Attributes:
        path: of the CSV.
        info: what its JSON says.
        root: the build root, to which the paths in the rows are relative.
    """

    path: Path
    info: ManifestInfo
    root: Path

    def rows(self) -> Iterator[Row]:
        """Yields the rows one at a time; raises ManifestError with the line number of a malformed one."""
        yield from read_rows(self.path)

    @property
    def has_votes(self) -> bool:
        """Whether its rows have the column `votes`; raises ManifestError as `read_rows`."""
        return "votes" in _header(next(read_cells(self.path, ManifestError), (0, []))[1], self.path)

    def file(self, relative: str) -> Path:
        """The file of a path in a row; raises ManifestError if the path leaves the build root."""
        return inside(self.root, relative)

    def beside(self, ending: str) -> Path:
        """A file that belongs to this manifest, such as `.json`, `.rejects.csv` or `.landmarks.npz`."""
        return self.path.with_name(manifest_name(self.path) + ending)


def manifest_name(path: Path) -> str:
    """The file's name without `.csv` or `.csv.gz`; raises ManifestError for any other ending."""
    for ending in (".csv.gz", ".csv"):
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    raise ManifestError(f"{path}: a manifest is a .csv or .csv.gz file")


def open_manifest(path: Path) -> Manifest:
    """Opens a manifest. Its rows are read only when they are asked for.

    >>> from pathlib import Path
    >>> from occsynth.build.build import build
    >>> from occsynth.build.options import BuildOptions
    >>> from occsynth.manifest import open_manifest
    >>> _ = Path("two.txt").write_text("s001_anger\\ns002_fear\\n")
    >>> _ = build(BuildOptions(db="demo", modes=("r16",), subset=Path("two.txt"), workers=1))
    >>> manifest = open_manifest(Path("builds/manifests/demo-r16-two.csv"))
    >>> manifest.info.rows
    2
    >>> for row in manifest.rows():
    ...     print(row.expression, manifest.file(row.occluded).is_file())
    anger True
    fear True

    Args:
        path: the CSV; if there is no `.csv`, the `.csv.gz` of that name is opened.

    Raises:
        ManifestError: it or the JSON beside it is missing, malformed, or has a later schema.
    """
    name = manifest_name(path)
    if not is_file(path):
        compressed = path.with_name(name + ".csv.gz")
        if not is_file(compressed):
            raise ManifestError(f"{path} not found. Build it with `occsynth build`, or give the path of a manifest")
        path = compressed
    info_path = path.with_name(name + ".json")
    if not is_file(info_path):
        raise ManifestError(f"{info_path} not found. A manifest is a pair of files; copy the .json beside the .csv")
    info = _parse_info(info_path)
    return Manifest(path, info, (path.parent / info.root).resolve())


def _parse_info(path: Path) -> ManifestInfo:
    content = read_json(path, ManifestError)
    if content.get("schema") not in SCHEMAS:
        raise ManifestError(
            f"{path}: schema {repr(content.get('schema'))[:80]} is not {_SCHEMAS_IN_WORDS}, which this version "
            "reads; use the version of occsynth that it names under versions"
        )
    info = record_of(ManifestInfo, content, str(path), ManifestError)
    plain_name = info.name and not set(info.name) & set("/\\\0") and not info.name.startswith(".")
    for name, fits in (
        ("name", plain_name and len(info.name.encode()) <= LONGEST_NAME),  # files are written under it
        ("size_px", 1 <= info.size_px <= MAX_SIZE_PX),
        ("root", _is_near(info.root)),  # a manifest from elsewhere must not name the whole disk
        ("classes", info.classes in (7, 8)),
        ("rows", info.rows >= 0),
        ("format", info.format in IMAGE_FORMATS),
    ):
        if not fits:
            raise ManifestError(f"{path}: {name} is {repr(getattr(info, name))[:80]}, which occsynth never writes")
    return info


def _is_near(root: str) -> bool:
    parts = PurePosixPath(root)
    return not parts.is_absolute() and parts.parts.count("..") <= 1 and not set(root) & set("\\\0")


def read_rows(path: Path) -> Iterator[Row]:
    """Yields the rows of a manifest's CSV, one at a time.

    Raises:
        ManifestError: unreadable, another header, or a malformed row (with its line number).
    """
    lines = read_cells(path, ManifestError)
    header = _header(next(lines, (0, []))[1], path)
    for number, cells in lines:
        try:
            if len(cells) != len(header):
                raise ValueError(f"{len(cells)} cells instead of {len(header)}")
            row = Row.from_cells(cells)
        except ValueError as error:
            raise ManifestError(f"{path}, line {number}: {str(error)[:200]}") from error
        yield row


def _header(found: list[str], path: Path) -> tuple[str, ...]:
    """The first line of a CSV as the header of a manifest; raises ManifestError if it is none."""
    wanted = columns(votes="votes" in found)
    if tuple(found) != wanted:
        raise ManifestError(f"{path}: not a manifest of schema {_SCHEMAS_IN_WORDS}: {_header_fault(found, wanted)}")
    return wanted


def _header_fault(header: list[str], wanted: tuple[str, ...]) -> str:
    """In what a header differs from the wanted one, and what it is."""
    faults = [
        f"{what}: {', '.join(names)[:300]}"
        for what, names in (
            ("columns missing", [name for name in wanted if name not in header]),
            ("columns that this version does not know", [name for name in header if name not in wanted]),
            ("columns that stand there twice", [name for name in wanted if header.count(name) > 1]),
        )
        if names
    ]
    found = f"columns found: {', '.join(header)[:300] or 'none'}"
    return "; ".join([*(faults or ["its columns are in another order"]), found])


@contextmanager
def text_file(path: Path) -> Iterator[IO[str]]:
    """Opens a text file to write, compressed if its name ends in `.gz`.

    The compressed file holds neither name nor time, so that equal rows give equal bytes.
    """
    if not path.name.endswith(".gz"):
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
    ):
        yield file


def write_rows(file: IO[str], rows: Iterable[Row]) -> None:
    """Writes the header and the rows in the order given, with `\\n` line ends; all have `votes`, or none has."""
    writer = csv.writer(file, lineterminator="\n")
    ordered = iter(rows)
    first = next(ordered, None)
    writer.writerow(columns(votes=first is not None and first.votes is not None))
    writer.writerows(row.cells() for row in chain(() if first is None else (first,), ordered))
