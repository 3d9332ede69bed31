"""A trained model of occfer as a contestant: a model file, a run folder, or the folder of a run over all folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occfer.benchmark.contestant import Answers, OnAsked, Question
from occfer.benchmark.result import Provenance, TestedContestant
from occfer.config import TrainConfig
from occfer.data.arrays import Indices
from occfer.data.image_store import ImageStore
from occfer.data.packs import open_packs
from occfer.data.vocabulary import LONGEST_WORD
from occfer.engine.engine import Engine, one_process
from occfer.errors import DataError, OccFERError
from occfer.evaluation.evaluate import model_files
from occfer.evaluation.seen_faces import TrainedOn, databases_of, trained_on
from occfer.files import digest, file_sha256
from occfer.inference.ask_samples import ask_samples
from occfer.method_table import load_predictor, shown_name
from occfer.metrics.intervals import counted
from occfer.runs.checkpoint import read_model_info
from occfer.runs.model_info import ModelInfo, data_facts


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A trained model, or one per fold, each of which answers for the fold that it was not trained on.

    Attributes:
        facts: see `Contestant`.
        files, models: one, or one per fold.
        engine: what computes.
        batch_size: images per call.
        cache_dir: folder of image packs; None takes `cache/packs` in the build root.
    """

    facts: TestedContestant
    files: tuple[Path, ...]
    models: tuple[ModelInfo, ...]
    engine: Engine
    batch_size: int = 64
    cache_dir: Path | None = None

    def provenance(self, questions: tuple[Question, ...]) -> Provenance:
        """See `Contestant`: worked out again from the training manifests, where these are still to be found."""
        trained = [trained_on(info, questions[0].corpus.manifests) for info in self.models]
        databases = {database for info in self.models for database in databases_of(info)}
        return Provenance(
            trained_on=tuple(sorted(databases)),
            selected_by=_selected_by(self.models[0]),
            overlap=self._overlap(trained, questions[0]),
            known_templates=self._known_templates(trained, questions),
            doubt=next((each.reason for each in trained if each.reason), ""),
        )

    def answer(self, question: Question, on_asked: OnAsked) -> Answers:
        """See `Contestant`."""
        samples = question.samples
        probabilities = np.zeros((len(samples), len(self.facts.classes)))
        notes: list[str] = []
        done = 0
        for file, info, indices in zip(self.files, self.models, self._shares(question), strict=True):
            packs = open_packs(question.corpus, info.size_px, self.cache_dir, say=notes.append)
            store = ImageStore(packs, samples, self.engine.device, indices, resident_fraction=0)
            asked, more = ask_samples(
                load_predictor(file, self.engine, self.batch_size),
                question.view,
                question.corpus,
                store,
                indices,
                batch_size=self.batch_size,
                on_asked=_after(done, on_asked),
            )
            probabilities[indices] = asked
            notes += more
            done += len(indices)
        return Answers(probabilities, tuple(dict.fromkeys(notes)))

    def _shares(self, question: Question) -> list[Indices]:
        """Which of a question's samples each model answers."""
        if len(self.models) == 1:
            return [np.arange(len(question.samples))]
        folds = np.array([-1 if sample.fold is None else sample.fold for sample in question.samples])
        own = [data_facts(info.data, "data").fold for info in self.models]
        tested = {sample.database for sample in question.samples}
        trained = set.intersection(*(databases_of(info) for info in self.models))
        if None in own or not tested <= trained or not set(folds.tolist()) <= set(own):
            raise DataError(
                f"{self.facts.name} is a run over the folds of {', '.join(sorted(trained)) or 'an unknown database'}, "
                f"which are not those of the suite's faces ({', '.join(sorted(tested))}): give one of its models, such "
                "as DIR/fold-0, or train one model that leaves out the suite's faces"
            )
        return [np.flatnonzero(folds == fold) for fold in own]

    def _overlap(self, trained: Sequence[TrainedOn], question: Question) -> int | None:
        if any(each.samples is None for each in trained):
            return None
        shares = self._shares(question)
        return sum(
            len(each.among([question.samples[index] for index in indices]))
            for each, indices in zip(trained, shares, strict=True)
        )

    def _known_templates(self, trained: Sequence[TrainedOn], questions: Sequence[Question]) -> int | None:
        templates = [each.templates for each in trained if each.templates is not None]
        if len(templates) < len(trained):
            return None
        known = 0
        for question in questions:
            if question.unseen:
                for each, indices in zip(templates, self._shares(question), strict=True):
                    known += each.seen(question.corpus, [question.samples[index] for index in indices]).count(True)
        return known


def _after(done: int, on_asked: OnAsked) -> OnAsked:
    return lambda count: on_asked(done + count)


def open_checkpoint(
    path: Path, *, device: str = "auto", batch_size: int = 64, cache_dir: Path | None = None
) -> Checkpoint:
    """A trained model as a contestant.

    Args:
        path: a model file, a run folder, or the folder of a run over all folds.
        device, batch_size, cache_dir: as for `occfer.evaluation.evaluate.EvaluateOptions`.

    Raises:
        DataError, CheckpointError: there is no such model, or the folds' models know different classes.
    """
    files = tuple(model_files(path))
    models = tuple(read_model_info(file) for file in files)
    if len({info.classes for info in models}) > 1:
        raise DataError(f"the models in {path} know different classes; give one of them")
    first = models[0]
    sums = [file_sha256(file) for file in files]
    folds = [f"{len(files)} folds"] if len(files) > 1 else []
    facts = TestedContestant(
        name=_name(path),
        kind="checkpoint",
        sha256=sums[0] if len(sums) == 1 else digest(sums),
        classes=first.classes,
        about=", ".join([shown_name(first.method), first.backbone, f"{first.size_px} px", *folds]),
    )
    return Checkpoint(facts, files, models, one_process(device), batch_size, cache_dir)


def _name(path: Path) -> str:
    """What tables call a model: the run's folder, for its model file too; else the file."""
    place = path.resolve()
    named = run_folder(place) if place.is_dir() or place.parent.name == "checkpoints" else place.with_suffix("")
    return named.name[:LONGEST_WORD]


def run_folder(path: Path) -> Path:
    """The folder of a run, or that of its model file; of another model file, the folder that it lies in."""
    if path.is_dir():
        return path
    return path.parent.parent if path.parent.name == "checkpoints" else path.parent


def _selected_by(info: ModelInfo) -> str:
    """What chose the epoch that was kept, in words; empty where the file does not say."""
    try:
        config = TrainConfig.from_stored(info.config)
    except OccFERError:
        return ""
    rows = data_facts(info.data, "data").rows
    if info.val_accuracy is None:
        return "nothing: the last epoch was kept"
    return f"{config.select} on {counted(rows.val, 'validation pairs') if rows else 'validation pairs'}"
