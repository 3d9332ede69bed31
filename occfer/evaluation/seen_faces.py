"""What a model was trained on, worked out again from its file, and which samples show the same people or pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from occfer.config import TrainConfig
from occfer.data.manifests import Corpus, CorpusManifest, Sample, read_corpus
from occfer.data.seen_templates import TrainedTemplates
from occfer.data.splits import KnownPixels, person, split_corpus
from occfer.errors import OccFERError
from occfer.runs.model_info import ModelInfo, data_facts
from occsynth.files import is_file


@dataclass(frozen=True, slots=True, eq=False)
class TrainedOn:
    """The faces that trained or selected a model.

    Attributes:
        samples: of the training manifests; None where these could not be found.
        reason: why not.
        templates: the templates that it has seen; None where these are not known.
    """

    samples: tuple[Sample, ...] | None
    reason: str = ""
    templates: TrainedTemplates | None = None

    def among(self, tested: Sequence[Sample]) -> list[Sample]:
        """The tested samples that show a person or a picture of the training samples; none where these are unknown."""
        if self.samples is None:
            return []
        persons = {person(sample) for sample in self.samples if sample.subject}
        pixels = KnownPixels(self.samples)
        return [sample for sample in tested if sample in pixels or (sample.subject and person(sample) in persons)]


def trained_on(info: ModelInfo, near: Sequence[CorpusManifest]) -> TrainedOn:
    """The samples that trained and selected a model.

    Its manifests are looked for where the run found them, and beside those given here; a manifest whose content has
    changed does not count.

    Args:
        info: of the model.
        near: manifests of which the training manifests may be neighbours.
    """
    if not info.config or "manifests" not in info.data:
        return TrainedOn(None, "the model file does not name its training data")
    try:
        config = TrainConfig.from_stored(info.config)
        found = [_find(path, info, near) for path in (*config.manifests, *config.test_manifests)]
        corpus = read_corpus(found[: len(config.manifests)], found[len(config.manifests) :])
        split = split_corpus(
            corpus, fold=config.fold, val_fraction=config.val_fraction, seed=config.seed, class_count=config.classes
        )
    except OccFERError as error:
        return TrainedOn(None, str(error))
    changed = _changed(corpus, info)
    if changed:
        return TrainedOn(None, f"{', '.join(changed)} has changed since the training")
    return TrainedOn(
        tuple(corpus.samples[index] for index in (*split.train, *split.val)),
        templates=TrainedTemplates.of(corpus, split.train, live=bool(config.live_occlusion)),
    )


def _find(path: Path, info: ModelInfo, near: Sequence[CorpusManifest]) -> Path:
    """Where a training manifest is now; the recorded path where it is not found."""
    places = [path, *(manifest.path.parent / path.name for manifest in near)]
    return next(filter(is_file, places), path)


def _changed(corpus: Corpus, info: ModelInfo) -> list[str]:
    known = {entry.sha256 for entry in data_facts(info.data, "data").manifests}
    return [manifest.name for manifest in corpus.manifests if manifest.sha256 not in known]


def databases_of(info: ModelInfo) -> set[str]:
    """The databases that a model was trained on, as far as its file names them."""
    return {entry.database for entry in data_facts(info.data, "data").manifests if not entry.test_only}
