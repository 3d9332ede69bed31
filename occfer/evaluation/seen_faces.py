"""What a model was trained on, worked out again from its facts, and whether rows show the same people or pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from occfer.config import TrainConfig
from occfer.data.manifests import Corpus, Sample, Source, read_corpus
from occfer.data.splits import Pixels, person, split_corpus
from occfer.errors import OccFERError
from occfer.runs.model_facts import ModelFacts


@dataclass(frozen=True, slots=True, eq=False)
class TrainedOn:
    """The faces that a model has seen, in training or for its selection.

    Attributes:
        samples: rows of the training manifests; None where they could not be found.
        reason: why not.
    """

    samples: tuple[Sample, ...] | None
    reason: str = ""

    def among(self, rows: Sequence[Sample]) -> list[Sample]:
        """Those of the rows that show a person or a picture that the model has seen; none where that is not known."""
        if self.samples is None:
            return []
        persons = {person(sample) for sample in self.samples if sample.subject}
        pixels = Pixels(self.samples)
        return [row for row in rows if row in pixels or (row.subject and person(row) in persons)]


def trained_on(facts: ModelFacts, near: Sequence[Source]) -> TrainedOn:
    """The rows that trained and selected a model.

    Its manifests are looked for where the run found them, and beside those at hand; one with other content does not
    count.

    Args:
        facts: of the model.
        near: manifests at hand.
    """
    if not facts.config or "manifests" not in facts.data:
        return TrainedOn(None, "the model does not say what it was trained on")
    try:
        config = TrainConfig.from_json(facts.config)
        found = [_find(path, facts, near) for path in (*config.manifests, *config.test_manifests)]
        corpus = read_corpus(found[: len(config.manifests)], found[len(config.manifests) :])
        split = split_corpus(corpus, fold=config.fold, val_fraction=config.val_fraction, seed=config.seed)
    except OccFERError as error:
        return TrainedOn(None, str(error))
    changed = _changed(corpus, facts)
    if changed:
        return TrainedOn(None, f"{', '.join(changed)} is another file than the one it was trained on")
    return TrainedOn(tuple(corpus.samples[index] for index in (*split.train, *split.val)))


def _find(path: Path, facts: ModelFacts, near: Sequence[Source]) -> Path:
    """Where a training manifest is now; the recorded path if nowhere."""
    places = [path, *(source.path.parent / path.name for source in near)]
    return next((place for place in places if place.is_file()), path)


def _changed(corpus: Corpus, facts: ModelFacts) -> list[str]:
    known = {entry["sha256"] for entry in facts.data["manifests"]}
    return [source.name for source in corpus.sources if source.sha256 not in known]


def databases_of(facts: ModelFacts) -> set[str]:
    """The databases that a model was trained on, as far as its facts say."""
    entries: Iterable[dict[str, object]] = facts.data.get("manifests", [])
    return {str(entry.get("database", "")) for entry in entries if not entry.get("test_only")}
