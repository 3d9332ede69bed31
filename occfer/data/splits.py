"""Which samples train, which select the model, and which are tested; pure logic over `Sample`s.

Nothing here depends on the order of the samples, and every draw comes from the seed and the name of what is drawn.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from occfer.config import TrainConfig
from occfer.data.manifests import CONTEMPT, EXPRESSIONS, REAL, Corpus, Sample, read_corpus
from occfer.errors import ConfigError, DataError

# Two keys for releases of one database: they show the same people.
SAME_PEOPLE = {"ck+48": "ck+"}


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into `Corpus.samples`, sorted.

    Attributes:
        train, val, test: samples that train, select the model, are tested.
        duplicates: training samples that are left out because their pixels are among those of the test samples.
        without_clean: training samples that are left out because they have no clean image.
        contempt: samples that are left out because seven classes do not have their expression.
        classes: the vocabulary: the expressions of the training data, in canonical order. A class index is a position
            in it.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    duplicates: tuple[int, ...]
    without_clean: tuple[int, ...]
    classes: tuple[str, ...]
    contempt: tuple[int, ...] = ()


def split_corpus(corpus: Corpus, *, fold: int | None, val_fraction: float, seed: int, class_count: int = 7) -> Split:
    """Divides the samples of a run.

    Tested are the samples of the test manifests, else those of the official test part, else those of the fold (see
    `Division`), and always those of mode `real`. The official validation part of a database that has a test part too
    selects the model; elsewhere, training samples are held out: whole subjects where they are known, else by class.

    Args:
        corpus: the samples.
        fold: to test on, for manifests with folds.
        val_fraction: share of the training samples that is held out.
        seed: of that choice.
        class_count: 7 leaves out contempt, 8 needs it.

    Raises:
        DataError: no samples to train or test on, folds but no fold chosen, or a subject or a class in the wrong part.
    """
    samples = corpus.samples
    contempt = tuple(index for index, sample in enumerate(samples) if sample.expression == CONTEMPT)
    left_out = frozenset(contempt if class_count == len(EXPRESSIONS) else ())
    rough_train, official_val, test = (
        [index for index in part if index not in left_out] for part in _divide(corpus, fold)
    )
    _refuse_empty_parts(corpus, rough_train, test, fold)
    without_clean = [index for index in rough_train if not samples[index].clean]
    paired = [index for index in rough_train if samples[index].clean]
    official_val = [index for index in official_val if samples[index].clean]
    if not paired:
        raise DataError("every training sample lacks a clean image; real occlusions can only be tested on")
    _refuse_shared_subjects(samples, [*paired, *official_val], test)
    tested = KnownPixels(samples[index] for index in test)
    duplicates = [index for index in [*paired, *official_val] if samples[index] in tested]
    out = set(duplicates)
    paired = [index for index in paired if index not in out]
    official_val = [index for index in official_val if index not in out]
    val = official_val or _hold_out(samples, paired, val_fraction, seed)
    train = sorted(set(paired) - set(val))
    classes = _vocabulary(samples, train, val, test)
    if class_count > len(EXPRESSIONS) and CONTEMPT not in classes:
        raise DataError(
            f"--classes {class_count}: no training sample of {corpus.names} shows {CONTEMPT}; build a database that "
            f"has it with `occsynth build --classes {class_count}`, or train with --classes {len(EXPRESSIONS)}"
        )
    return Split(
        tuple(train), tuple(sorted(val)), tuple(test), tuple(duplicates), tuple(without_clean), classes,
        tuple(sorted(left_out)),
    )  # fmt: skip


def _divide(corpus: Corpus, fold: int | None) -> tuple[list[int], list[int], list[int]]:
    """Training candidates, official validation samples, and test samples."""
    has_test_manifests = corpus.training < len(corpus.manifests)
    parts = divisions(corpus)
    _check_fold(parts, fold, needs_fold=not has_test_manifests)
    train: list[int] = []
    val: list[int] = []
    test: list[int] = []
    for index, sample in enumerate(corpus.samples):
        division = parts[sample.database]
        is_tested = division.tests(sample, fold)
        if sample.manifest >= corpus.training:
            # A test manifest of a divided database is tested on that part alone, or people would be in both parts.
            if is_tested or not division.divides(fold):
                test.append(index)
        elif is_tested and not has_test_manifests:
            test.append(index)
        elif is_tested and sample.mode != REAL:
            continue
        elif division.tested_split == "test" and sample.split == "val":
            val.append(index)
        else:
            train.append(index)
    return train, val, test


@dataclass(frozen=True, slots=True)
class Division:
    """How a database is divided into what is trained on and what is tested.

    An official split counts before folds: the column `fold` of such a database is not looked at.

    Attributes:
        tested_split: name of the official part that is tested: `test`, or `val` where there is no test part; empty
            where the column `split` names no such part.
        folds: of the training manifests, sorted; empty for a database with an official split.
    """

    tested_split: str
    folds: tuple[int, ...]

    def divides(self, fold: int | None) -> bool:
        """Whether there is a part to test on when that fold is chosen."""
        return bool(self.tested_split) or (fold is not None and bool(self.folds))

    def tests(self, sample: Sample, fold: int | None) -> bool:
        """Whether a sample of the database is in the tested part; one of mode `real` always is."""
        if sample.mode == REAL:
            return True
        if self.tested_split:
            return sample.split == self.tested_split
        return self.divides(fold) and sample.fold == fold


def divisions(corpus: Corpus) -> dict[str, Division]:
    """How each database of a corpus is divided, by its key: the one place that reads the columns `split` and `fold`."""
    splits: dict[str, set[str]] = defaultdict(set)
    folds: dict[str, set[int]] = defaultdict(set)
    for sample in corpus.samples:
        splits[sample.database].add(sample.split)
        if sample.fold is not None and sample.manifest < corpus.training:
            folds[sample.database].add(sample.fold)
    return {database: Division(_tested(names), _folds(names, folds[database])) for database, names in splits.items()}


def _tested(splits: set[str]) -> str:
    if splits <= {"", "train"}:
        return ""
    return "test" if "test" in splits else "val"


def _folds(splits: set[str], folds: set[int]) -> tuple[int, ...]:
    return tuple(sorted(folds)) if splits == {""} else ()


def fold_choices(corpus: Corpus) -> tuple[int | None, ...]:
    """The folds that a corpus can be tested on in turn; `(None,)` where there is nothing to choose.

    There is nothing to choose for a corpus without folds, or with an official split.
    """
    parts = divisions(corpus).values()
    folds = sorted({fold for part in parts for fold in part.folds})
    return (None,) if not folds or any(part.tested_split for part in parts) else tuple(folds)


def _check_fold(parts: Mapping[str, Division], fold: int | None, *, needs_fold: bool) -> None:
    """Raises DataError where a fold is missing, unknown or of no use."""
    with_folds = {database: part.folds for database, part in parts.items() if part.folds}
    for database, known in with_folds.items():
        listed = ", ".join(map(str, known))
        if fold is None and needs_fold:
            raise DataError(
                f"{database} comes with folds ({listed}): choose the one to test on with --fold, or --fold all"
            )
        if fold is not None and fold not in known:
            raise DataError(f"--fold {fold}: {database} has the folds {listed}")
    if fold is not None and not with_folds:
        raise DataError(f"--fold {fold}: no training manifest has folds; leave it out")


def _refuse_empty_parts(corpus: Corpus, train: Sequence[int], test: Sequence[int], fold: int | None) -> None:
    if not test:
        raise DataError(
            f"{corpus.names}: nothing to test on: no official split, no folds, no pairs of mode {REAL}; "
            "name a test set with --test-manifest"
        )
    if not train:
        subjects = {(sample.database, sample.subject) for sample in corpus.samples if sample.subject}
        one = "; all show one subject, so nothing is left to train on" if len(subjects) == 1 else ""
        raise DataError(f"{corpus.names}: every pair is tested{'' if fold is None else f' in fold {fold}'}{one}")


def person(sample: Sample) -> tuple[str, str]:
    """Whose face it is: (database, subject), with one key for all releases of a database."""
    return (SAME_PEOPLE.get(sample.database, sample.database), sample.subject)


def _refuse_shared_subjects(samples: Sequence[Sample], train: Iterable[int], test: Iterable[int]) -> None:
    trained = {person(samples[index]) for index in train if samples[index].subject}
    shared = sorted(trained & {person(samples[index]) for index in test if samples[index].subject})
    if shared:
        listed = ", ".join(f"{subject} of {database}" for database, subject in shared[:5])
        raise DataError(
            f"{len(shared)} subjects are in both the training and the test samples ({listed}): a test on people seen "
            "in training says nothing; choose a --fold, or use manifests with an official split"
        )


class KnownPixels:
    """The hashes of some samples' pixels; `sample in pixels` asks whether a sample shows one of the same pictures."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._sources: set[str] = set()
        self._faces: set[str] = set()
        for sample in samples:
            self._sources.add(sample.source_sha256)
            self._faces.update((sample.clean_sha256, sample.occluded_sha256))
        self._sources.discard("")
        self._faces.discard("")

    def __contains__(self, sample: Sample) -> bool:
        faces = (sample.clean_sha256, sample.occluded_sha256)
        return sample.source_sha256 in self._sources or any(each in self._faces for each in faces)


def _draw(seed: int, name: str) -> str:
    """A key that sorts names into a random-looking order, which depends on the seed and on nothing else."""
    return hashlib.sha256(f"validation\x1f{seed}\x1f{name}".encode()).hexdigest()


def _hold_out(samples: Sequence[Sample], train: Sequence[int], fraction: float, seed: int) -> list[int]:
    if fraction <= 0:
        return []
    by_database: dict[str, list[int]] = defaultdict(list)
    for index in train:
        by_database[person(samples[index])[0]].append(index)
    held: list[int] = []
    for indices in by_database.values():
        if all(samples[index].subject for index in indices):
            held += _hold_out_subjects(samples, indices, fraction, seed)
        else:
            held += _hold_out_stratified(samples, indices, fraction, seed)
    return held


def _hold_out_subjects(samples: Sequence[Sample], indices: Sequence[int], fraction: float, seed: int) -> list[int]:
    by_subject: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        by_subject[samples[index].subject].append(index)
    if len(by_subject) == 1:
        raise DataError(
            f"the training samples of {samples[indices[0]].database} are all of one subject "
            f"({next(iter(by_subject))}), so none can be held out for validation; --val-fraction 0 keeps the last "
            "epoch instead"
        )
    held: list[int] = []
    order = sorted(by_subject, key=lambda subject: _draw(seed, subject))
    for subject in order[:-1]:
        held += by_subject[subject]
        if len(held) >= fraction * len(indices):
            break
    return held


def _hold_out_stratified(samples: Sequence[Sample], indices: Sequence[int], fraction: float, seed: int) -> list[int]:
    # All pairs made from one source stay together: the modes of a merged run share their clean images.
    by_class: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index in indices:
        sample = samples[index]
        by_class[sample.expression][sample.source_sha256 or sample.pair_id].append(index)
    held: list[int] = []
    for groups in by_class.values():
        order = sorted(groups, key=lambda name: _draw(seed, name))
        for name in order[: min(max(1, round(fraction * len(order))), len(order) - 1)]:
            held += groups[name]
    return held


def _vocabulary(
    samples: Sequence[Sample], train: Sequence[int], val: Sequence[int], test: Sequence[int]
) -> tuple[str, ...]:
    trained = Counter(samples[index].expression for index in train)
    classes = tuple(sorted(trained))
    for part, indices in (("validation", val), ("test", test)):
        unknown = sorted({samples[index].expression for index in indices} - set(classes))
        if unknown:
            raise DataError(
                f"the {part} samples show the expression{'s' * (len(unknown) > 1)} {', '.join(unknown)}, of which no "
                f"training sample is left (training has {', '.join(classes)}); an empty class cannot be learnt: use "
                "other manifests, another --fold or a smaller --val-fraction"
            )
    if len(classes) < 2:
        raise DataError(f"all training samples show one expression ({classes[0]}): there is nothing to tell apart")
    return classes


def folds_of(config: TrainConfig) -> list[int]:
    """The folds of the training manifests, for a run over all of them.

    Raises:
        ConfigError: a fold was chosen, or there is a test manifest.
        DataError: the manifests have no folds, or their databases have different ones.
    """
    if config.fold is not None:
        raise ConfigError(f"a run over all folds chooses none: leave fold {config.fold} out of the configuration")
    if config.test_manifests:
        raise ConfigError("--fold all tests on every fold in turn: leave out --test-manifest")
    corpus = read_corpus(config.manifests)
    by_database = {database: part.folds for database, part in divisions(corpus).items() if part.folds}
    if not by_database:
        raise DataError(f"--fold all: {corpus.names} has no folds; leave out --fold")
    known = sorted({fold for folds in by_database.values() for fold in folds})
    odd = [database for database, folds in by_database.items() if list(folds) != known]
    if odd:
        listed = ", ".join(map(str, by_database[odd[0]]))
        raise DataError(
            f"--fold all: the databases have different folds ({odd[0]} has {listed}); train one --fold at a time"
        )
    return known
