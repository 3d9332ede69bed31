"""What an importer yields: one record or one listed reject per source image."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from occsynth.option_values import AlignKind

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
CONTEMPT = "contempt"
"""The eighth class, which some databases have."""

PointTuples = tuple[tuple[float, float], ...]
"""x, y of points that a database ships: plain tuples, so that a record can be hashed and written as JSON."""


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """One source image of a database.

    Attributes:
        source: path under the raw root with forward slashes; `fer2013.csv#row=12` and `clip.avi#frame=57` name one
            image of a file that holds several.
        pair_id: unique in the database and stable; the path of the made images without folder and ending, with forward
            slashes.
        expression: one of `EXPRESSIONS`; with eight classes also `CONTEMPT`.
        subject: the person, or empty where the database names none.
        split: `train`, `val`, `test`, or empty where the database has no official split.
        fold: cross-validation fold from 0, or None.
        box_xyxy: the face's box in source pixels, or None where the database ships none.
        points_xy: 5 (eyes, nose tip, mouth corners; the picture's left first) or 68 (iBUG order) points in source
            pixels, or None where the database ships none.
        votes: classes and how many voters chose each, in the database's order; None where the database has no votes.
    """

    source: str
    pair_id: str
    expression: str
    subject: str = ""
    split: str = ""
    fold: int | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    points_xy: PointTuples | None = None
    votes: tuple[tuple[str, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A source that gives no pair.

    Attributes:
        source: as in `FaceRecord`.
        reason: one line.
        by_protocol: the database's protocol leaves it out, such as a class that is not one of the seven: it is listed,
            but it is not a fault, so `--strict` accepts it.
    """

    source: str
    reason: str
    by_protocol: bool = False


ScanItem = FaceRecord | Reject
"""What a scan yields."""

Classes = Literal[7, 8]
"""How many classes a build keeps: `EXPRESSIONS`, or `CONTEMPT` as well."""


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """What a user says of a database's labels.

    Attributes:
        classes: with 7, `CONTEMPT` is left out by protocol.
        scheme: code or word of a label and its class, as `--labels` gives them; empty for the database's own scheme.
    """

    classes: Classes = 7
    scheme: tuple[tuple[str, str], ...] = ()


SEVEN = LabelOptions()


class Scan(Protocol):
    """`(raw root, variant name, label options) -> records and rejects`; raises DatabaseLayoutError."""

    def __call__(self, root: Path, variant: str, labels: LabelOptions = SEVEN) -> Iterator[ScanItem]:
        """Yields the items of the database."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One form in which a database's images come.

    Attributes:
        name: what `--variant` takes; the first of a database is its default.
        align: alignment that fits it: `similarity`, or `none` for images that are already aligned.
        cropped: the face fills the image, so that a face which the detector misses gets the fallback geometry
            instead of becoming a reject.
        note: one line about it.
        published: counts that hold for this variant instead of the database's; None where the database's hold.
        also: another name for it, which `--variant` takes as well.
    """

    name: str
    align: AlignKind
    cropped: bool
    note: str = ""
    published: Mapping[str, int] | None = None
    also: str = ""


@dataclass(frozen=True, slots=True)
class Database:
    """One entry of the table `DATABASES`.

    Attributes:
        key: what `--db` takes.
        title: the database's full name.
        expects: what `--root` must hold, one line.
        terms: licence or terms of use, and what they say about passing the images on, one line.
        size_px: side of the aligned face in pixels when `--size` is not given.
        variants: the forms in which its images come.
        scan: yields its records and rejects.
        candidates: as `scan`, for a database whose `scan` lets the landmark detector choose the frames: yields every
            record that a scan with any detector could yield. A published manifest is joined with these by hash, so
            that no row is lost to another version of the detector. None: `scan` itself yields them all.
        real: the images carry real occlusions: only mode `real`, test only.
        published: counts of the seven classes that the authors publish, by split (`train`, `test`, ...) or `total`.
        published_contempt: how many images of contempt are published beside them, of its default variant.
        needs_root: False for the database that ships with occsynth.
        has_contempt: it has the eighth class, so that `--classes 8` is of use.
        has_codes: its labels are codes, which `--labels` may give another meaning.
        has_votes: its records, and so the rows of its manifests, carry votes.
    """

    key: str
    title: str
    expects: str
    terms: str
    size_px: int
    variants: tuple[Variant, ...]
    scan: Scan
    candidates: Scan | None = None
    real: bool = False
    published: Mapping[str, int] = field(default_factory=dict)
    published_contempt: Mapping[str, int] = field(default_factory=dict)
    needs_root: bool = True
    has_contempt: bool = False
    has_codes: bool = False
    has_votes: bool = False
