"""A reproduced table as data: `table.json`, which reports and renderers read.

Accuracies and rates are shares in [0, 1]; the paper's figures stay as printed (percent, or frames per second) in their
own field, so that nobody can take one for the other.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from occfer.errors import ReportError
from occfer.files import write_json
from occfer.metrics.averages import MeanAndSd
from occfer.metrics.intervals import Interval

SCHEMA = 1
FILE = "table.json"

Measure = Literal["accuracy", "frames/s"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what is tested on."""

    key: str
    title: str


@dataclass(frozen=True, slots=True)
class PairedTest:
    """A row against another one on the same occluded images: the exact McNemar test.

    With several seeds, `p` is min(1, 2 x the median of the seeds' p-values), which holds however they depend on each
    other (Rueger 1978) [decided], and the counts are summed over the seeds.

    Attributes:
        p: two-sided p-value.
        p_holm: the same, adjusted over the rows of the column (Holm 1979).
        only_row, only_other: answers that one of the two alone got right.
    """

    p: float
    p_holm: float
    only_row: int
    only_other: int


@dataclass(frozen=True, slots=True)
class Seeds:
    """The accuracy of each seed, and over them."""

    each: tuple[float, ...]
    mean: float
    sd: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """What a method does on what a column tests.

    Attributes:
        n: images tested, by each seed.
        correct: right answers over all seeds.
        accuracy: pooled over folds, the mean over seeds: `correct / (n * seeds)`.
        interval: 95 %, of the accuracy.
        uar, macro_f1, ece: the mean over seeds of unweighted average recall, macro-F1, expected calibration error.
        seeds: the accuracy of each.
        folds: mean and deviation of the folds' accuracies; None without folds.
        tests: `resnet` and `resnet-long`, where this row may be compared with them and they were run.
        paper: its accuracy in percent, as printed; None where the paper has no such figure.
        runs: the run folders, relative to the folder of table.json.
        note: what is missing, such as `8 of 10 folds`; empty if nothing is.
    """

    n: int
    correct: int
    accuracy: float
    interval: Interval
    uar: float
    macro_f1: float
    ece: float
    seeds: Seeds
    folds: MeanAndSd | None = None
    tests: Mapping[str, PairedTest] = field(default_factory=dict)
    paper: float | None = None
    runs: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a method predicts.

    Attributes:
        median, low, high: frames per second over `repeats` timed repeats: the middle one, the lowest, the highest.
        batch_size: images at once.
        parameters: of the network that predicts.
        paper: its frames per second, measured on another machine.
    """

    median: float
    low: float
    high: float
    repeats: int
    batch_size: int
    parameters: int
    paper: float | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """A cell without a result.

    Attributes:
        reason: in a few words.
        paper: as in `Cell`.
    """

    reason: str
    paper: float | None = None


AnyCell = Cell | Speed | Missing
_KINDS: dict[str, type[AnyCell]] = {"accuracy": Cell, "speed": Speed, "missing": Missing}


@dataclass(frozen=True, slots=True)
class TableRow:
    """One method.

    Attributes:
        key: what `--method` takes.
        title: as in the paper's table, without the word reconstruction.
        reconstruction: the authors left too much open to call it theirs.
        not_trained: it ran on a handful of batches, to show that it runs; its accuracy says nothing.
        reference: beside the paper's rows (`clean`, `resnet-long`).
        cells: by column key.
    """

    key: str
    title: str
    cells: Mapping[str, AnyCell]
    reconstruction: bool = False
    not_trained: bool = False
    reference: bool = False

    @property
    def shown_title(self) -> str:
        """The title with the words that an honest table adds."""
        added = [
            word for word, told in (("reconstruction", self.reconstruction), ("not trained", self.not_trained)) if told
        ]
        return f"{self.title} ({', '.join(added)})" if added else self.title


@dataclass(frozen=True, slots=True)
class UsedManifest:
    """A manifest behind a table: its name, the digest of its CSV, and how many rows and rejects it has."""

    name: str
    sha256: str
    rows: int
    rejects: int


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that failed, its one-line error, and how many jobs could not run because of it."""

    job: str
    error: str
    blocked: int = 0


@dataclass(frozen=True, slots=True)
class Provenance:
    """What ran where on what.

    Attributes:
        command: as typed.
        versions: of occfer, Python and the libraries that compute.
        device: in words.
        manifests: that were trained or tested on.
        failed: jobs.
        settings: of training, the fields of `TrainConfig` that are not its defaults.
    """

    command: str
    versions: Mapping[str, str]
    device: str
    manifests: tuple[UsedManifest, ...] = ()
    failed: tuple[FailedJob, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A table of the paper, reproduced.

    Attributes:
        key: `table1` to `table4`.
        title: what it is, on which data.
        database: key; `demo` stands in for the real ones.
        quick: made to show that everything runs, not to be read as a result.
        measure: what its cells hold.
        notes: what a reader must know.
    """

    key: str
    title: str
    database: str
    quick: bool
    measure: Measure
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]
    provenance: Provenance

    def to_json(self) -> dict[str, Any]:
        """JSON values; each cell says its kind: `accuracy`, `speed` or `missing`."""
        content = asdict(self)
        for row, plain in zip(self.rows, content["rows"], strict=True):
            plain["cells"] = {key: {"kind": _kind(cell)} | plain["cells"][key] for key, cell in row.cells.items()}
        return {"schema": SCHEMA} | content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "ResultTable":
        """The inverse of `to_json`; raises ReportError for anything else."""
        try:
            return _table(dict(content))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ReportError(f"this is no table of results ({type(error).__name__}: {error})") from error


def write_table(folder: Path, table: ResultTable) -> Path:
    """Writes `table.json` atomically and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, table.to_json())
    return folder / FILE


def read_table(path: Path) -> ResultTable:
    """A table from its file, or from the folder that holds it.

    Raises:
        ReportError: missing, damaged, or of another version.
    """
    file = path / FILE if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(
            f"{file} cannot be read as a table of results ({error}); make it with occfer reproduce"
        ) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ReportError(f"{file} is no table of results of this version; make it again with occfer reproduce")
    return ResultTable.from_json(content)


def _kind(cell: AnyCell) -> str:
    return next(name for name, kind in _KINDS.items() if isinstance(cell, kind))


def _table(content: dict[str, Any]) -> ResultTable:
    content.pop("schema", None)
    known = content.pop("provenance")
    provenance = Provenance(
        **known
        | {
            "manifests": tuple(UsedManifest(**each) for each in known["manifests"]),
            "failed": tuple(FailedJob(**each) for each in known["failed"]),
        }
    )
    rows = tuple(
        TableRow(**row | {"cells": {key: _cell(cell) for key, cell in row["cells"].items()}})
        for row in content.pop("rows")
    )
    columns = tuple(Column(**column) for column in content.pop("columns"))
    notes = tuple(content.pop("notes"))
    return ResultTable(columns=columns, rows=rows, notes=notes, provenance=provenance, **content)


def _cell(plain: dict[str, Any]) -> AnyCell:
    values = dict(plain)
    kind = _KINDS[values.pop("kind")]
    if kind is Cell:
        values["interval"] = Interval(**values["interval"])
        values["seeds"] = Seeds(**values["seeds"] | {"each": tuple(values["seeds"]["each"])})
        values["folds"] = None if values["folds"] is None else MeanAndSd(**values["folds"])
        values["tests"] = {name: PairedTest(**test) for name, test in values["tests"].items()}
        values["runs"] = tuple(values["runs"])
    return kind(**values)
