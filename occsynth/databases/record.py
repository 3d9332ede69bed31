"""What an importer yields: one record a source image, or one listed reject."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """One source image of a database.

    Attributes:
        source: path under the raw root with forward slashes; `fer2013.csv#row=12` and `clip.avi#frame=57` name a part.
        pair_id: unique in the database and stable; the path of the made images without their ending, forward slashes.
        expression: one of `EXPRESSIONS`.
        subject: the person, or empty where the database names none.
        split: `train`, `val`, `test`, or empty where the database has no official split.
        fold: cross-validation fold from 0, or None.
        box_xyxy: the face's box in source pixels, where the database ships one.
        points_xy: 5 (eyes, nose tip, mouth corners; the picture's left first) or 68 (iBUG order) points in source
            pixels, where the database ships them.
    """

    source: str
    pair_id: str
    expression: str
    subject: str = ""
    split: str = ""
    fold: int | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    points_xy: Points | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A source that gives no pair.

    Attributes:
        source: as in `FaceRecord`.
        reason: one line.
        by_protocol: the database's protocol leaves it out (a class that is not one of the seven, say): listed, but
            no fault of the file, so `--strict` lets it pass.
    """

    source: str
    reason: str
    by_protocol: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """One form in which a database's images come.

    Attributes:
        name: what `--variant` takes; the first of a database is its default.
        align: alignment that fits it: `similarity`, or `none` for images that are aligned already.
        cropped: the face fills the image, so that a face which the detector misses gets the fallback geometry
            instead of a reject.
        note: one line for `occsynth databases`.
        published: counts that hold for this variant instead of the database's; None: the database's hold.
    """

    name: str
    align: Literal["similarity", "none"]
    cropped: bool
    note: str = ""
    published: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Database:
    """A line of the table of databases.

    Attributes:
        key: what `--db` takes.
        title: the database's full name.
        expects: what `--root` must hold, one line.
        terms: licence or terms of use, and what they say about passing the images on, one line.
        size_px: side of the aligned face in pixels when `--size` is not given.
        variants: the forms in which its images come.
        scan: `(root, variant name) -> records and rejects`; raises DatabaseLayoutError.
        candidates: as `scan`, for a database whose `scan` asks the landmark detector which frames to take: every record
            that a scan with whatever detector could have given. A published manifest is joined with these, by hash, so
            that another version of the detector loses no row. None: those of `scan`.
        real: the images carry real occlusions: only mode `real`, test only.
        published: counts that the authors publish, by split (`train`, `test`, ...) or `total`.
        needs_root: False for the one that ships with the project.
    """

    key: str
    title: str
    expects: str
    terms: str
    size_px: int
    variants: tuple[Variant, ...]
    scan: Callable[[Path, str], Iterator[FaceRecord | Reject]]
    candidates: Callable[[Path, str], Iterator[FaceRecord | Reject]] | None = None
    real: bool = False
    published: Mapping[str, int] = field(default_factory=dict)
    needs_root: bool = True
