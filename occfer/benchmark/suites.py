"""A suite made ready for a benchmark: its pictures are there, and its labels are those that it was frozen with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from occfer.benchmark.contestant import Question
from occfer.benchmark.result import TestedSuite
from occfer.data.manifests import Corpus, read_corpus
from occfer.errors import DataError
from occsynth.suites.replay import build_real, replay_suite
from occsynth.suites.suite import read_suite, truth_sha256

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class AskedColumn:
    """A column of a suite: the means that it counts in, the digest of its manifest, and what is asked."""

    groups: tuple[str, ...]
    sha256: str
    question: Question


@dataclass(frozen=True, slots=True, eq=False)
class ReadySuite:
    """A suite that can be put to a contestant.

    Attributes:
        facts: its name, version and digest.
        columns: all show the same faces in the same order.
        real: faces that were occluded before; None where the user has none.
        hub: the data set on the Hugging Face Hub that holds the suite; empty where none does.
        made: how many columns were replayed now.
        warnings: of the replay.
    """

    facts: TestedSuite
    columns: tuple[AskedColumn, ...]
    real: AskedColumn | None = None
    hub: str = ""
    made: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def clean(self) -> AskedColumn:
        """The clean faces, which are those of every column."""
        first = self.columns[0]
        return AskedColumn((), first.sha256, Question("clean", "clean", first.question.corpus))


def folder_name(folder: Path) -> str:
    """What folders of a suite's pictures and results are called: two suites of one name do not share them."""
    suite = read_suite(folder)
    return f"{suite.name}-{suite.version}-{suite.digest[:8] or 'unfrozen'}"


def ready_suite(
    folder: Path,
    builds: Path,
    *,
    root: Path | None = None,
    real: Path | None = None,
    workers: int | None = None,
    progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> ReadySuite:
    """Replays what is missing of a frozen suite, and reads it.

    Args:
        folder: of the suite, see `occsynth.suites.shipped.find_suite`.
        builds: the build root to replay into.
        root: the user's copy of the database; default the remembered one.
        real: the list of real occlusions that the suite points to, if the user has it.
        workers: number of processes of the replay; default one per core.
        progress: see `occsynth.sharing.replay.replay`.
        say: tells the user whom this process waits for, in one line.

    Raises:
        DataError: the labels or the faces are not those that the suite was frozen with.
        OccSynthError: it is not a frozen suite, or cannot be replayed.
    """
    found = replay_suite(folder, builds, root=root, workers=workers, progress=progress, say=say)
    suite = found.suite
    corpora = [read_corpus([manifest]) for manifest in found.manifests]
    for column, corpus in zip(suite.columns, corpora, strict=True):
        if _faces(corpus) != _faces(corpora[0]):
            raise DataError(f"column {column.name} of {suite.name} shows other faces than {suite.columns[0].name}")
    samples = corpora[0].samples
    if truth_sha256((each.source_sha256, each.expression, each.subject) for each in samples) != suite.truth_sha256:
        raise DataError(
            f"the labels or subjects in this copy of {suite.database} are not those that {suite.name} {suite.version} "
            "was frozen with, so its figures could not be compared with anyone's: get the database's official labels"
        )
    columns = tuple(
        AskedColumn(
            column.groups,
            column.sha256,
            Question(column.name, "occluded", corpus, unseen=column.templates == "test"),
        )
        for column, corpus in zip(suite.columns, corpora, strict=True)
    )
    return ReadySuite(
        facts=TestedSuite(suite.name, suite.version, suite.digest, suite.database, suite.title),
        columns=columns,
        real=None
        if real is None
        else _real(read_corpus([build_real(suite, real, builds, root=root, workers=workers)])),
        hub=suite.hub,
        made=found.made,
        warnings=found.warnings,
    )


def _faces(corpus: Corpus) -> Sequence[tuple[str, str]]:
    return [(sample.pair_id, sample.clean_sha256) for sample in corpus.samples]


def _real(corpus: Corpus) -> AskedColumn:
    return AskedColumn((), corpus.manifests[0].sha256, Question("real", "occluded", corpus))
