"""A protocol: which methods are trained on which pairs, and on which images they are tested."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from occfer.data.manifests import REAL
from occfer.files import digest
from occfer.protocols.manifests import ProtocolManifest
from occfer.tables.paper_methods import CLEAN
from occfer.tables.result_table import Column


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Pairs that every method is trained on, once per fold and seed.

    Attributes:
        key: for names.
        manifests: whose pairs are merged.
        test_manifests: what a run tests at its end, instead of a part of `manifests`.
        folds: each is tested once; (None,) where there is an official split.
        size_px: side of the images; None for the first manifest's.
    """

    key: str
    manifests: tuple[ProtocolManifest, ...]
    test_manifests: tuple[ProtocolManifest, ...] = ()
    folds: tuple[int | None, ...] = (None,)
    size_px: int | None = None

    @property
    def tests_clean(self) -> bool:
        """Whether the test samples have clean images, which the reference `clean` is tested on."""
        return all(each.mode != REAL for each in self.test_manifests)

    @property
    def clean_sha256(self) -> str:
        """Digest of the clean images: training sets with the same digest lead to the same clean branches."""
        return digest([each.clean_sha256 for each in (*self.manifests, *self.test_manifests)])

    @property
    def pair_count(self) -> int:
        """The number of pairs, those that are tested among them."""
        return sum(each.rows for each in self.manifests)


@dataclass(frozen=True, slots=True)
class TestedOn:
    """What one column of the table tests.

    Attributes:
        column: its key and title.
        training: key of the training set.
        evaluate_on: manifests that the trained models are tested on afterwards; empty where the column shows the test
            at the end of the runs themselves.
    """

    column: Column
    training: str
    evaluate_on: tuple[ProtocolManifest, ...] = ()

    def takes(self, method: str, training_set: TrainingSet) -> bool:
        """Whether a method can be tested here: `clean` needs clean images of the test samples."""
        if self.evaluate_on:
            has_clean = all(each.mode != REAL for each in self.evaluate_on)
        else:
            has_clean = training_set.tests_clean
        return method != CLEAN or has_clean


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a table needs.

    Attributes:
        sets: training sets by key.
        columns: of the table.
        methods: keys of `METHOD_TABLE`, in the order of the table's lines.
        notes: for the reader of the table.
        absent: column to the reason why it cannot be tested, such as a database that is not there.
        published: column to the test set that it shows, a member of `occfer.tables.published.TEST_SETS`.
    """

    sets: Mapping[str, TrainingSet]
    columns: tuple[TestedOn, ...]
    methods: tuple[str, ...]
    notes: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)

    @property
    def present(self) -> tuple[TestedOn, ...]:
        """The columns that can be tested."""
        return tuple(tested for tested in self.columns if tested.column.key not in self.absent)

    @property
    def manifests(self) -> tuple[ProtocolManifest, ...]:
        """All manifests that are trained or tested on, each once."""
        sets = [each for known in self.sets.values() for each in (*known.manifests, *known.test_manifests)]
        return tuple(dict.fromkeys([*sets, *(each for tested in self.columns for each in tested.evaluate_on)]))
