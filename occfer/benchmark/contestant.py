"""What a benchmark asks: whatever gives probabilities for some faces; `occfer.benchmark.checkpoint` is the first."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from occfer.benchmark.result import Provenance, TestedContestant
from occfer.data.arrays import Float64Array, View
from occfer.data.manifests import Corpus, Sample
from occsynth.files import inside

OnAsked = Callable[[int], object]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """All faces of one column of a suite, shown in one way.

    Attributes:
        column: the column's name; `clean` where its clean faces are shown.
        view: `clean` or `occluded`.
        corpus: of one manifest; each of its samples is to be answered, in their order.
        unseen: whether the templates that hide the faces are held out, see `occsynth build --template-split`.
    """

    column: str
    view: View
    corpus: Corpus
    unseen: bool = False

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The N samples. Nobody who answers may look at `expression`, `votes` or `subject`."""
        return self.corpus.samples

    @property
    def files(self) -> list[Path]:
        """The N stored pictures: RGB, square, aligned as the manifest says.

        Raises:
            ManifestError: a path leads out of the build root.
        """
        roots = [manifest.root for manifest in self.corpus.manifests]
        return [
            inside(roots[sample.manifest], sample.clean if self.view == "clean" else sample.occluded)
            for sample in self.samples
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a contestant says to a question.

    Attributes:
        probabilities: `(N, len(classes))` float64; each face's sum to 1, in the order of the contestant's classes.
        notes: what the user should know, such as faces without landmarks.
    """

    probabilities: Float64Array
    notes: tuple[str, ...] = ()


class Contestant(Protocol):
    """Whatever a benchmark asks.

    A class that it does not know is never answered right; `occfer.benchmark.run` says so. It must give the same
    answers to the same question at any time: results are kept by `facts.sha256`, and a column that was answered is not
    asked again.
    """

    @property
    def facts(self) -> TestedContestant:
        """Its name, kind, digest and classes."""
        ...

    def provenance(self, questions: tuple[Question, ...]) -> Provenance:
        """What is known of its training, compared with the suite's faces and with the templates of unseen columns.

        Args:
            questions: of all columns, without the clean faces and without real occlusions.
        """
        ...

    def answer(self, question: Question, on_asked: OnAsked) -> Answers:
        """Its probabilities for every face of a question.

        Args:
            on_asked: called with the number of faces that have been answered.

        Raises:
            OccFERError: it cannot answer, such as for a picture that is missing.
        """
        ...
