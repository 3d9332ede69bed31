"""The result of a benchmark, and its file benchmark.json.

Whoever reads such a file need not trust it: every figure that follows from others is worked out again.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from occfer.data.vocabulary import LONGEST_WORD, MOST_CLASSES
from occfer.errors import DamagedError, ReportError
from occfer.files import read_sealed, write_sealed
from occfer.metrics.intervals import Interval
from occsynth.reading import record_of

FILE = "benchmark.json"
FORMAT = 1
MOST_COLUMNS = 200
LONGEST_NOTE = 2000
ColumnKind = Literal["clean", "occluded", "real"]
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class TestedSuite:
    """The suite, as its suite.toml names it; `digest` tells two suites of one name apart."""

    name: str
    version: str
    digest: str
    database: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class TestedContestant:
    """What was tested.

    Attributes:
        name: what tables call it.
        kind: what answers, such as `checkpoint`, `onnx` or `answers`.
        sha256: of the file or files that decide its answers; empty where there is none, as for a function.
        classes: the order of its probabilities.
        about: such as the method and the backbone.
    """

    name: str
    kind: str
    sha256: str
    classes: tuple[str, ...]
    about: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known of how the contestant was trained and selected.

    Attributes:
        trained_on: databases; none where nobody knows.
        selected_by: what chose it, in words; empty where nobody knows.
        overlap: how many of the suite's faces show people or pictures that trained or selected it; None where that
            cannot be found out.
        known_templates: how many rows of the columns of unseen templates are hidden by a template that it was trained
            on; None where that cannot be found out.
        doubt: why something cannot be found out; empty where all can.
    """

    trained_on: tuple[str, ...] = ()
    selected_by: str = ""
    overlap: int | None = None
    known_templates: int | None = None
    doubt: str = ""

    @property
    def marks(self) -> tuple[str, ...]:
        """What a table must say beside the figures, in a few words each; none where all is as it should be."""
        found = []
        if self.overlap is None:
            found.append("training faces unknown")
        elif self.overlap:
            found.append(f"knows {self.overlap} of the tested faces")
        if self.known_templates:
            found.append(f"knows the templates of {self.known_templates} unseen rows")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class ColumnResult:
    """The answers to one column.

    Attributes:
        name: of the column; `clean` for the clean faces.
        kind: whether the faces are clean, occluded by occsynth, or were occluded before.
        groups: the means that it counts in, such as `paper` and `unseen`.
        n, correct: numbers of faces.
        accuracy: their share.
        interval: its 95 % interval.
        subjects: how many people the faces show; where these are not known, how many faces there are.
        drop: accuracy on the clean faces minus this one; None for the clean faces and for real occlusions.
        drop_interval: the 95 % interval of the drop, which is of pairs.
    """

    name: str
    kind: ColumnKind
    groups: tuple[str, ...]
    n: int
    correct: int
    accuracy: float
    interval: Interval
    subjects: int
    drop: float | None = None
    drop_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class MeanResult:
    """The mean accuracy over some columns.

    Attributes:
        name: of the group; `all` for all columns.
        columns: how many there are.
        accuracy: the mean of their accuracies, each counting once.
        interval: its 95 % interval, which knows that the columns show the same people.
    """

    name: str
    columns: int
    accuracy: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """The content of benchmark.json.

    Attributes:
        suite, contestant, provenance: what was tested on what.
        clean: the answers to the clean faces.
        columns: the occluded columns, in the suite's order.
        mean: over all of them.
        groups: the same over the columns of each group.
        real: the answers to real occlusions; None where they were not tested.
        notes: what a reader must know.
        occsynth: the version that tested.
        format: of the file.
    """

    suite: TestedSuite
    contestant: TestedContestant
    provenance: Provenance
    clean: ColumnResult
    columns: tuple[ColumnResult, ...]
    mean: MeanResult
    groups: tuple[MeanResult, ...] = ()
    real: ColumnResult | None = None
    notes: tuple[str, ...] = ()
    occsynth: str = ""
    format: int = FORMAT

    @property
    def worst(self) -> ColumnResult:
        """The column with the lowest accuracy, the first of several."""
        return min(self.columns, key=lambda column: column.accuracy)

    @property
    def relative_drop(self) -> float | None:
        """The share of the clean accuracy that occlusion takes, on the mean; None where that is 0."""
        return (self.clean.accuracy - self.mean.accuracy) / self.clean.accuracy if self.clean.accuracy else None


def write_benchmark(folder: Path, result: BenchmarkResult) -> Path:
    """Writes benchmark.json into an existing folder, sealed; `worst` and `relative_drop` stand there for readers."""
    path = folder / FILE
    derived = {"relative_drop": result.relative_drop, "worst": result.worst.name}
    write_sealed(path, asdict(result) | derived)
    return path


def read_benchmark(path: Path) -> BenchmarkResult:
    """A result from its file, or from the folder that holds it.

    Raises:
        ReportError: there is none; it is damaged or of a later format; or its figures do not fit one another.
    """
    path = path / FILE if path.is_dir() else path
    try:
        content = read_sealed(path)
    except DamagedError as error:
        raise ReportError(f"{error}; make the result again with `occfer benchmark`") from error
    where = f"{path} is not the result of a benchmark"
    found = record_of(BenchmarkResult, content, where, ReportError)
    if wrong := next(_faults(found), ""):
        raise ReportError(f"{where}: {wrong}")
    return found


def _faults(result: BenchmarkResult) -> Iterator[str]:
    """What is impossible about a result."""
    if result.format != FORMAT:
        yield f"it has the format {result.format}, but this version reads {FORMAT}; update occsynth"
    if not 0 < len(result.columns) <= MOST_COLUMNS:
        yield f"it has {len(result.columns)} columns"
        return
    yield from _faults_of_words(result)
    every = [result.clean, *result.columns, *filter(None, [result.real])]
    kinds = ["clean", *["occluded"] * len(result.columns), *["real"] * (result.real is not None)]
    for column, kind in zip(every, kinds, strict=True):
        yield from _faults_of_column(column, kind, result.clean)
    names = [column.name for column in every]
    if len(set(names)) < len(names):
        yield "two columns have one name"
    yield from _faults_of_mean(result.mean, result.columns)
    for mean in result.groups:
        yield from _faults_of_mean(mean, [column for column in result.columns if mean.name in column.groups])


def _faults_of_words(result: BenchmarkResult) -> Iterator[str]:
    suite, contestant = result.suite, result.contestant
    every = [result.clean, *result.columns, *filter(None, [result.real])]
    words = [
        *(suite.name, suite.version, suite.digest, suite.database, suite.title),
        *(contestant.name, contestant.kind, contestant.sha256, *contestant.classes),
        *(result.provenance.trained_on),
        *(word for column in every for word in (column.name, *column.groups)),
        *(mean.name for mean in result.groups),
    ]
    long = [word for word in words if len(word) > LONGEST_WORD]
    hows = [interval.how for column in every for interval in (column.interval, column.drop_interval) if interval]
    texts = [
        contestant.about,
        result.provenance.selected_by,
        result.provenance.doubt,
        result.occsynth,
        *result.notes,
        *hows,
    ]
    if long or any(len(text) > LONGEST_NOTE for text in texts):
        yield f"{(long or ['a note'])[0][:80]!r} is too long"
    if not all((suite.name, suite.version, suite.digest, contestant.name, contestant.kind)):
        yield "the suite's name, version and digest and the contestant's name and kind must not be empty"
    if len(contestant.classes) > MOST_CLASSES or len(result.groups) > MOST_COLUMNS or len(result.notes) > MOST_COLUMNS:
        yield "it has more classes, groups or notes than any result"
    counts = (result.provenance.overlap, result.provenance.known_templates)
    if any(count is not None and count < 0 for count in counts):
        yield "a number of faces or rows is negative"


def _faults_of_column(column: ColumnResult, kind: str, clean: ColumnResult) -> Iterator[str]:
    where = f"column {column.name[:80]!r}"
    if kind == "occluded" and column.n != clean.n:
        yield f"{where} has {column.n} faces, but the clean one {clean.n}: all columns show the same faces"
    if column.kind != kind:
        yield f"{where} is of the kind {column.kind}, but stands where {kind} ones do"
    if not 0 <= column.correct <= column.n or not 0 < column.subjects <= column.n:
        yield f"{where} has {column.correct} right answers about {column.n} faces of {column.subjects} subjects"
        return
    if not _same(column.accuracy, column.correct / column.n):
        yield f"{where} says an accuracy of {column.accuracy:g} for {column.correct} of {column.n}"
    if not _holds(column.interval, column.accuracy):
        yield f"the interval of {where} does not hold its accuracy"
    if (column.drop is None) != (column.drop_interval is None) or (column.drop is not None) != (kind == "occluded"):
        yield f"{where} has a drop without an interval, or none, or one where there can be none"
    elif column.drop is not None and column.drop_interval is not None:
        if not _same(column.drop, clean.accuracy - column.accuracy):
            yield f"{where} says a drop of {column.drop:g}"
        if not _holds(column.drop_interval, column.drop):
            yield f"the interval of the drop of {where} does not hold it"


def _faults_of_mean(mean: MeanResult, columns: Sequence[ColumnResult]) -> Iterator[str]:
    where = f"the mean of {mean.name[:80]!r}"
    if mean.columns != len(columns) or not columns:
        yield f"{where} is over {mean.columns} columns, of which there are {len(columns)}"
    elif not _same(mean.accuracy, math.fsum(column.accuracy for column in columns) / len(columns)):
        yield f"{where} is given as {mean.accuracy:g}"
    elif not _holds(mean.interval, mean.accuracy):
        yield f"the interval of {where} does not hold it"


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= _ROUNDING  # false for NaN


def _holds(interval: Interval, value: float) -> bool:
    return interval.low - _ROUNDING <= value <= interval.high + _ROUNDING and -1 <= interval.low <= interval.high <= 1
