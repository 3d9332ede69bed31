"""Which tested samples are hidden by a template that training samples show too: an occluder that the model knows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from occfer.data.manifests import Corpus, Sample

TEST_TEMPLATES = "test"
"""Of a manifest that was built with `--template-split test`: templates that no build with `train` holds."""


@dataclass(frozen=True, slots=True)
class TrainedTemplates:
    """The templates that a model has seen in training.

    Attributes:
        shown: digests of those that hide training samples.
        drawn: whether training drew new occlusions in each epoch, so that a template may have been seen that hides
            no training sample: any, but those that were held out.
        held_out: whether training kept to `--template-split train`.
    """

    shown: frozenset[str]
    drawn: bool = False
    held_out: bool = False

    @classmethod
    def of(cls, corpus: Corpus, train: Iterable[int], *, live: bool) -> "TrainedTemplates":
        """Those of some training samples of a corpus, with or without live occlusions."""
        samples = [corpus.samples[index] for index in train]
        splits = {corpus.manifests[sample.manifest].template_split for sample in samples}
        return cls(frozenset(sample.template for sample in samples if sample.template), live, splits == {"train"})

    def seen(self, corpus: Corpus, samples: Sequence[Sample]) -> list[bool | None]:
        """Whether each sample's template was seen; None where no template hides it, or nobody knows which."""
        return [self._seen(sample, corpus.manifests[sample.manifest].template_split) for sample in samples]

    def _seen(self, sample: Sample, split: str) -> bool | None:
        if not sample.template:
            return None
        if self.drawn:
            return not (self.held_out and split == TEST_TEMPLATES)
        return sample.template in self.shown
