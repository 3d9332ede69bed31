"""What a run trains and tests on, made ready: samples, labels, images, and what data.json says of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import cpu_count

from occfer.config import TrainConfig
from occfer.data.arrays import Float32Array, Indices, Int64Array, View
from occfer.data.augmentation import Augmentation
from occfer.data.batch_maker import BatchMaker, LiveOcclusion
from occfer.data.batches import Batches
from occfer.data.image_store import ImageStore
from occfer.data.manifests import Corpus, Sample, label_shares, read_corpus
from occfer.data.packs import open_packs
from occfer.data.passes import Pairing, Passes
from occfer.data.seen_templates import TrainedTemplates
from occfer.data.splits import Split, split_corpus
from occfer.engine.engine import Engine
from occfer.errors import DataError
from occfer.events import OnProgress
from occfer.files import digest

MOST_WORKERS = 4
"""Worker processes of a stream unless `--workers` says otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class RunData:
    """The data of a run in one process.

    Attributes:
        corpus, split: the samples and their parts.
        store: the images.
        labels: `(samples of the corpus,)` int64, indices into `split.classes`; -1 for an expression that is not there.
        augmentation: what training does to pairs.
        live_occlusion: draws new occlusions in each epoch; None takes the manifest's.
        resized: how many images had another size than `size_px`.
        votes: `(samples of the corpus, classes)` float32, see `label_shares`; None with hard labels.
    """

    corpus: Corpus
    split: Split
    store: ImageStore
    labels: Int64Array
    augmentation: Augmentation
    live_occlusion: LiveOcclusion | None
    resized: int
    votes: Float32Array | None = None

    @property
    def train(self) -> Indices:
        """The samples that train."""
        return np.array(self.split.train, dtype=np.int64)

    @property
    def val(self) -> Indices:
        """The samples that select the model; possibly none."""
        return np.array(self.split.val, dtype=np.int64)

    @property
    def test(self) -> Indices:
        """The samples that are tested once, at the end."""
        return np.array(self.split.test, dtype=np.int64)

    @property
    def templates_seen(self) -> list[bool | None]:
        """Whether the template of each test sample is seen in training; None where none hides it."""
        trained = TrainedTemplates.of(self.corpus, self.split.train, live=self.live_occlusion is not None)
        return trained.seen(self.corpus, [self.corpus.samples[index] for index in self.split.test])

    @property
    def class_counts(self) -> list[int]:
        """The number of training samples of each class of `split.classes`."""
        counts: list[int] = np.bincount(self.labels[self.train], minlength=len(self.split.classes)).tolist()
        return counts

    @property
    def size_px(self) -> int:
        """Side of the images."""
        return self.store.size_px

    def batches(
        self,
        config: TrainConfig,
        engine: Engine,
        stream: str,
        *,
        with_clean: bool,
        stage2: bool,
        live: bool = True,
        mixed: bool = True,
    ) -> Batches:
        """The batches of one stream of training samples.

        Args:
            config: batch size, seed, pairing.
            engine: whose processes share each batch.
            stream: the stream's name, which its random numbers follow from.
            with_clean: whether clean images are wanted.
            stage2: whether `config.pairing` applies, and live occlusions go on after those of stage 1.
            live: whether live occlusions are drawn at all; False where occluded images are not used.
            mixed: whether `config.clean_share` applies: a network that tells clean faces from occluded ones must not
                be told that clean ones are occluded.
        """
        how = config.pairing if stage2 else "paired"
        balanced = self.labels if config.balance == "sampler" else None
        live_occlusion = self.live_occlusion if live else None
        make = BatchMaker(
            images=self.store.on_host,
            on_device=self.store.resident,
            passes=Passes(self.train, config.batch_size, config.seed, stream, engine.world_size, balanced=balanced),
            pairing=Pairing(how, self.train, self.labels),
            augmentation=self.augmentation,
            with_clean=with_clean,
            rank=engine.rank,
            live_occlusion=live_occlusion,
            first_epoch=config.pretrain_epochs if stage2 else 0,
            clean_share=config.clean_share if live and mixed else 0.0,
        )
        workers = _workers(config, engine, self.store, live_occlusion)
        return Batches(self.store, make, self.labels, workers, config.channels_last, self.votes)

    def to_json(self, config: TrainConfig) -> dict[str, Any]:
        """The content of data.json: what was read, how it was divided, what was left out."""
        return {
            "manifests": [
                {
                    "name": manifest.name,
                    "database": manifest.database,
                    "sha256": manifest.sha256,
                    "rows": manifest.rows,
                    "test_only": index >= self.corpus.training,
                }
                for index, manifest in enumerate(self.corpus.manifests)
            ],
            "classes": list(self.split.classes),
            "size_px": self.size_px,
            "resized": self.resized,
            "fold": config.fold,
            "rows": {"train": len(self.split.train), "val": len(self.split.val), "test": len(self.split.test)},
            "without_clean": len(self.split.without_clean),
            "duplicates": [_name(self.corpus.samples[index]) for index in self.split.duplicates],
        }

    def images_digest(self, view: View) -> str:
        """A digest of the training and validation images of one view with their labels, in order.

        Two runs with the same digest, settings and seed pre-train the same branch, even from different manifests: that
        of another mode holds the same clean images.
        """

        def identity(index: int) -> list[str]:
            sample = self.corpus.samples[index]
            manifest = self.corpus.manifests[sample.manifest]
            pixels = sample.clean_sha256 if view == "clean" else sample.occluded_sha256
            # JPEG files do not hold the pixels that were hashed, so the format counts too.
            label = sample.expression if self.votes is None else f"{sample.expression} {sample.votes}"
            return [label, manifest.format, pixels or f"{manifest.sha256} {_name(sample)}"]

        parts = {"train": self.split.train, "val": self.split.val}
        return digest({name: [identity(index) for index in indices] for name, indices in parts.items()})


def _name(sample: Sample) -> str:
    return "/".join(sample.key)


def augmentation_of(config: TrainConfig) -> Augmentation:
    """What a configuration says may be done to pairs."""
    return Augmentation(
        flip=config.flip,
        crop_px=config.crop_px,
        colour=config.colour,
        rotate_deg=config.rotate_deg,
        scale=config.scale,
        grey_share=config.grey_share,
        erase_share=config.erase_share,
    )


def _workers(config: TrainConfig, engine: Engine, store: ImageStore, live_occlusion: LiveOcclusion | None) -> int:
    """The number of processes that make the batches of one stream."""
    if store.resident and live_occlusion is None:
        return 0  # the device has all that a batch needs
    if config.workers is not None:
        return config.workers
    if store.device.type == "cpu" and live_occlusion is None:
        return 0  # a copy from memory costs less than to hand it over
    cores = int(cpu_count()) * config.num_nodes // engine.world_size
    return min(MOST_WORKERS, max(1, cores - 1))


def prepare(
    config: TrainConfig,
    engine: Engine,
    live_occlusion: LiveOcclusion | None,
    on_progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> RunData:
    """Reads the manifests of a run, divides their samples, and opens their image packs.

    Args:
        config: of the run.
        engine: whose device the images are for.
        live_occlusion: see `RunData`.
        on_progress, say: see `open_packs`.

    Raises:
        DataError: see `read_corpus`, `split_corpus` and `open_packs`.
    """
    corpus = read_corpus(config.manifests, config.test_manifests)
    split = split_corpus(
        corpus, fold=config.fold, val_fraction=config.val_fraction, seed=config.seed, class_count=config.classes
    )
    size_px = config.size_px or corpus.manifests[0].size_px
    packs = open_packs(corpus, size_px, config.cache_dir, on_progress, say)
    words = {word: index for index, word in enumerate(split.classes)}
    labels = np.array([words.get(sample.expression, -1) for sample in corpus.samples], dtype=np.int64)
    # Test images are read once, at the end: they do not have to lie on the device.
    often = np.array(sorted({*split.train, *split.val}), dtype=np.int64)
    return RunData(
        corpus=corpus,
        split=split,
        store=ImageStore(packs, corpus.samples, engine.device, often, config.resident_fraction),
        labels=labels,
        augmentation=augmentation_of(config),
        live_occlusion=live_occlusion,
        resized=sum(pack.resized for pack in packs),
        votes=_votes(corpus, split) if config.labels == "votes" else None,
    )


def _votes(corpus: Corpus, split: Split) -> Float32Array:
    if not any(corpus.samples[index].votes for index in split.train):
        raise DataError(
            f"--labels votes: {corpus.names} has no votes for its training samples; take a database with votes, such "
            "as ferplus (`occsynth build --overwrite` adds them to an older build), or --labels hard"
        )
    return label_shares(corpus.samples, split.classes)
