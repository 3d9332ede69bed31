"""What a run trains and tests on, made ready: rows, labels, packs, and the facts about them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from occfer.config import TrainConfig, digest
from occfer.data.arrays import View
from occfer.data.augmentation import Augmentation
from occfer.data.batches import Batches, LiveOcclusion, Pairing, Passes
from occfer.data.image_store import ImageStore
from occfer.data.manifests import Corpus, Sample, read_corpus
from occfer.data.packs import open_packs
from occfer.data.splits import Split, split_corpus
from occfer.engine.engine import Engine
from occfer.events import OnProgress

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """The data of a run in one process.

    Attributes:
        corpus, split: rows and their parts.
        store: the images.
        labels: `(rows of the corpus,)` int64, index into `split.classes`; -1 for a word that is not in it.
        augmentation: what training does to pairs.
        live_occlusion: draws occlusions afresh, or None.
        resized: how many images of the manifests had another size.
    """

    corpus: Corpus
    split: Split
    store: ImageStore
    labels: npt.NDArray[np.int64]
    augmentation: Augmentation
    live_occlusion: LiveOcclusion | None
    resized: int

    @property
    def train(self) -> Rows:
        """Rows that train."""
        return np.array(self.split.train, dtype=np.int64)

    @property
    def val(self) -> Rows:
        """Rows that select the model; possibly none."""
        return np.array(self.split.val, dtype=np.int64)

    @property
    def test(self) -> Rows:
        """Rows that are tested once, at the end."""
        return np.array(self.split.test, dtype=np.int64)

    @property
    def size_px(self) -> int:
        """Side of the images."""
        return self.store.size_px

    def batches(
        self, config: TrainConfig, engine: Engine, stream: str, *, with_clean: bool, stage2: bool, live: bool = True
    ) -> Batches:
        """The batches of one stream of training rows.

        Args:
            config: batch size, seed, pairing.
            engine: whose processes share each batch.
            stream: its name, which seeds it.
            with_clean: whether clean images are wanted.
            stage2: whether `config.pairing` applies, and stage 1 has used up passes of live occlusions.
            live: whether occluded images matter, so that fresh ones are worth drawing.
        """
        how = config.pairing if stage2 else "paired"
        return Batches(
            store=self.store,
            passes=Passes(self.train, config.batch_size, config.seed, stream, engine.world_size),
            labels=self.labels,
            pairing=Pairing(how, self.train, self.labels),
            augmentation=self.augmentation,
            with_clean=with_clean,
            rank=engine.rank,
            live_occlusion=self.live_occlusion if live else None,
            first_epoch=config.pretrain_epochs if stage2 else 0,
            channels_last=config.channels_last,
        )

    def facts(self, config: TrainConfig) -> dict[str, Any]:
        """The content of data.json: what was read, how it was divided, what was left out."""
        return {
            "manifests": [
                {
                    "name": source.name,
                    "database": source.database,
                    "sha256": source.sha256,
                    "rows": source.rows,
                    "test_only": index >= self.corpus.training,
                }
                for index, source in enumerate(self.corpus.sources)
            ],
            "classes": list(self.split.classes),
            "size_px": self.size_px,
            "resized": self.resized,
            "fold": config.fold,
            "rows": {"train": len(self.split.train), "val": len(self.split.val), "test": len(self.split.test)},
            "without_clean": len(self.split.without_clean),
            "duplicates": [_name(self.corpus.samples[index]) for index in self.split.duplicates],
        }

    def rows_digest(self, view: View) -> str:
        """A digest of the training and validation pictures of one view with their labels, in order.

        Two runs with the same digest, settings and seed pre-train the same branch, whatever their manifests are called.
        """

        def identity(index: int) -> list[str]:
            sample = self.corpus.samples[index]
            source = self.corpus.sources[sample.source]
            pixels = sample.clean_sha256 if view == "clean" else sample.occluded_sha256
            return [sample.expression, source.format, pixels or f"{source.sha256} {_name(sample)}"]

        parts = {"train": self.split.train, "val": self.split.val}
        return digest({name: [identity(index) for index in rows] for name, rows in parts.items()})


def _name(sample: Sample) -> str:
    return "/".join(sample.key)


def prepare(
    config: TrainConfig, engine: Engine, live_occlusion: LiveOcclusion | None, on_progress: OnProgress | None = None
) -> Task:
    """Reads, divides and packs the data of a run.

    Raises:
        DataError: see `read_corpus`, `split_corpus` and `open_packs`.
    """
    corpus = read_corpus(config.manifests, config.test_manifests)
    split = split_corpus(corpus, fold=config.fold, val_fraction=config.val_fraction, seed=config.seed)
    size_px = config.size_px or corpus.sources[0].size_px
    packs = open_packs(corpus, size_px, config.cache_dir, on_progress)
    words = {word: index for index, word in enumerate(split.classes)}
    labels = np.array([words.get(sample.expression, -1) for sample in corpus.samples], dtype=np.int64)
    often = np.array(sorted({*split.train, *split.val}), dtype=np.int64)
    return Task(
        corpus=corpus,
        split=split,
        store=ImageStore(packs, corpus.samples, engine.device, often, config.resident_fraction),
        labels=labels,
        augmentation=Augmentation(config.flip, config.crop_px, config.colour),
        live_occlusion=live_occlusion,
        resized=sum(pack.resized for pack in packs),
    )
