"""A table of results as data: lines, columns and cells, with what ran to make them; `table_file` stores it.

Accuracies are shares in [0, 1]. The paper's figures stay as printed (percent, or frames per second) in fields of their
own, so that nobody can take one for the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from occfer.metrics.averages import MeanAndSd
from occfer.metrics.clean_faces import CleanFaces
from occfer.metrics.intervals import Interval
from occfer.metrics.significance import MCNEMAR, TestName
from occfer.tables.published import PublishedFigure

CLEAN_LANDMARKS = "landmarks of clean faces"
# What the cells of a table hold.
Quantity = Literal["accuracy", "frames/s"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what is tested on."""

    key: str
    title: str


@dataclass(frozen=True, slots=True)
class PairedTest:
    """The exact test of a cell's method against another one on the same occluded images.

    With several seeds, `p` joins the p-values of the seeds (see `occfer.metrics.significance.over_seeds`), and the
    counts are summed over them.

    Attributes:
        p: two-sided p-value.
        p_holm: the same, adjusted over all tests of the table against that method (Holm 1979).
        only_this, only_other: number of answers that only this method, or only the other one, got right.
        how: which test it is, see `occfer.metrics.significance.PairedOutcome`; earlier versions did not say.
    """

    p: float
    p_holm: float
    only_this: int
    only_other: int
    how: TestName = MCNEMAR


@dataclass(frozen=True, slots=True)
class SeedAccuracies:
    """The accuracy of each seed, their mean and their deviation (None for a single seed)."""

    each: tuple[float, ...]
    mean: float
    sd: float | None


@dataclass(frozen=True, slots=True)
class PartAccuracy:
    """The accuracy on a part of a cell's images: their number, the mean over seeds, and its 95 % interval."""

    n: int
    accuracy: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Cell:
    """The accuracy of a method on what a column tests, with everything that is reported beside it.

    Attributes:
        n: number of images that each seed was tested on.
        correct: number of right answers over all seeds.
        accuracy: pooled over folds, the mean over seeds: `correct / (n * seeds)`.
        interval: the 95 % interval of the accuracy.
        uar_interval: the 95 % interval of UAR; tables of version 0.1 have none.
        uar, macro_f1, ece: the means over seeds of unweighted average recall, macro-F1, expected calibration error.
        seeds: the accuracy of each seed.
        folds: mean and deviation of the folds' accuracies; None without folds.
        tests: by the other method, `resnet` or `resnet-long`, where the two may be compared and both were run.
        paper: the paper's accuracy in percent, as printed; None where it has none.
        runs: the run folders, relative to the folder of table.json.
        note: what is missing, such as `8 of 10 folds`; empty if nothing is.
        clean: how the same method answers to the same faces without occlusion, and the drop from there; None where
            that was not tested: on really occluded faces, by methods that see clean faces anyway, by version 0.1.
        seen, unseen: on the images whose template was seen in training, and on those whose was not; None where there
            are no such images, or nobody knows.
    """

    n: int
    correct: int
    accuracy: float
    interval: Interval
    uar: float
    macro_f1: float
    ece: float
    seeds: SeedAccuracies
    folds: MeanAndSd | None = None
    tests: Mapping[str, PairedTest] = field(default_factory=dict)
    paper: float | None = None
    runs: tuple[str, ...] = ()
    note: str = ""
    uar_interval: Interval | None = None
    clean: CleanFaces | None = None
    seen: PartAccuracy | None = None
    unseen: PartAccuracy | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a method predicts.

    Attributes:
        median, low, high: frames per second over `repeats` timed repeats: the median, the lowest, the highest.
        batch_size: images per batch.
        parameters: number of parameters of the network that predicts.
        paper: the paper's frames per second, measured on another machine.
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
        reason: in a few words; may be empty.
        paper: as in `Cell`.
    """

    reason: str
    paper: float | None = None


AnyCell = Cell | Speed | Missing


@dataclass(frozen=True, slots=True)
class TableLine:
    """One method, or one run of it.

    Attributes:
        key: the method's key.
        title: as in the paper's table, without the word reconstruction.
        cells: by column key.
        reconstruction: the authors left too much open to call it theirs.
        not_trained: it ran on a handful of batches, to show that it runs; its accuracy means nothing.
        reference: it is not one of the paper's methods but stands beside them (`clean`, `resnet-long`).
        clean_landmarks: on occluded faces, too, it places itself by the landmarks of the clean ones.
    """

    key: str
    title: str
    cells: Mapping[str, AnyCell]
    reconstruction: bool = False
    not_trained: bool = False
    reference: bool = False
    clean_landmarks: bool = False

    @property
    def shown_title(self) -> str:
        """The title, with `reconstruction`, `not trained` and `landmarks of clean faces` in brackets as they apply."""
        remarks = (
            ("reconstruction", self.reconstruction),
            ("not trained", self.not_trained),
            (CLEAN_LANDMARKS, self.clean_landmarks),
        )
        added = [remark for remark, applies in remarks if applies]
        return f"{self.title} ({', '.join(added)})" if added else self.title


@dataclass(frozen=True, slots=True)
class RecordedManifest:
    """A manifest as table.json records it: its name, the digest of its CSV, and its number of rows and rejects."""

    name: str
    sha256: str
    rows: int
    rejects: int


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that failed, its error in one line, and the number of jobs that could not run because of it."""

    job: str
    error: str
    blocked: int = 0


@dataclass(frozen=True, slots=True)
class Provenance:
    """What ran, where, and on which data.

    Attributes:
        command: as typed.
        versions: of occfer, Python and the libraries that compute.
        device: in words.
        manifests: those that were trained or tested on.
        failed: the jobs that failed.
        settings: the training settings that are not at their defaults, fields of `TrainConfig`.
    """

    command: str
    versions: Mapping[str, str]
    device: str
    manifests: tuple[RecordedManifest, ...] = ()
    failed: tuple[FailedJob, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A table of the paper, reproduced; or the runs of a report.

    Attributes:
        key: `table1` to `table4`, or `runs`.
        title: which table it is, and on which data.
        database: keys, joined by commas; `demo` stands in for the real databases.
        quick: it was made to show that everything runs, not to be read as a result.
        quantity: what its cells hold.
        notes: what a reader must know.
        published: what others have published for the same test images.
    """

    key: str
    title: str
    database: str
    quick: bool
    quantity: Quantity
    columns: tuple[Column, ...]
    lines: tuple[TableLine, ...]
    notes: tuple[str, ...]
    provenance: Provenance
    published: tuple[PublishedFigure, ...] = ()
