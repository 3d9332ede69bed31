"""A file of `occfer export` as a contestant: it says itself what it takes, but not what it was trained on."""

from dataclasses import dataclass
from pathlib import Path

from occfer.benchmark.contestant import Answers, OnAsked, Question
from occfer.benchmark.result import Provenance, TestedContestant
from occfer.data.vocabulary import LONGEST_WORD
from occfer.errors import CheckpointError
from occfer.files import file_sha256
from occfer.load import load
from occfer.outside.description import Described
from occfer.outside.shown_faces import Asking
from occfer.runs.predictor import Predictor

KIND = "exported"
ENDINGS = (".onnx", ".pt2")


@dataclass(frozen=True, slots=True, eq=False)
class ExportedFile:
    """A model of occfer without its run folder.

    Attributes:
        facts: see `Contestant`.
        predictor: the model.
        asking: how the faces reach it.
    """

    facts: TestedContestant
    predictor: Predictor
    asking: Asking

    def provenance(self, questions: tuple[Question, ...]) -> Provenance:
        """See `Contestant`: an exported file names neither its training faces nor what selected it."""
        del questions
        return Provenance(doubt="an exported file does not say what it was trained on; give the run folder instead")

    def answer(self, question: Question, on_asked: OnAsked) -> Answers:
        """See `Contestant`."""
        return self.asking.answers(question, self.predictor.probabilities, on_asked)


def open_exported_file(
    path: Path, *, device: str = "auto", batch_size: int = 64, cache_dir: Path | None = None
) -> ExportedFile:
    """A file of `occfer export` as a contestant.

    Args:
        path: ends in .onnx or .pt2.
        device, batch_size: see `occfer.load.load`.
        cache_dir: see `Asking`.

    Raises:
        CheckpointError: it is no such file, or damaged or hostile.
        ConfigError: there is no such device.
    """
    if path.suffix not in ENDINGS:
        raise CheckpointError(
            f"--model {path}: an exported file ends in {' or '.join(ENDINGS)}; a run folder is given with --checkpoint"
        )
    try:
        predictor = load(path, device=device, batch_size=batch_size).predictor
    except CheckpointError as error:
        raise CheckpointError(f"{error}; an ONNX file of someone else needs a description, see --describe") from error
    info = predictor.info
    facts = TestedContestant(
        name=path.stem[:LONGEST_WORD],
        kind=KIND,
        sha256=file_sha256(path),
        classes=info.classes,
        about=f"{info.method}, {info.backbone}",
    )
    shown = Described(size_px=info.size_px, classes=info.classes)
    return ExportedFile(facts, predictor, Asking(shown, str(path), batch_size, cache_dir))
