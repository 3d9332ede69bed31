"""Which rows train, which select the model, and which are tested; pure logic over `Sample`s.

Nothing here depends on the order of the rows, and every draw comes from the seed and the name of what is drawn.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from occfer.config import TrainConfig
from occfer.data.manifests import REAL, Corpus, Sample, read_corpus
from occfer.errors import ConfigError, DataError

# Releases of one database under two keys show the same people.
SAME_PEOPLE = {"ck+48": "ck+"}


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into `Corpus.samples`.

    Attributes:
        train, val, test: rows that train, select the model, are tested.
        duplicates: training rows taken out because their pixels stand in the test rows as well.
        without_clean: training rows left out because they have no clean image.
        classes: the vocabulary: the expressions of the training data, in canonical order; a class index is a
            position in it.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    duplicates: tuple[int, ...]
    without_clean: tuple[int, ...]
    classes: tuple[str, ...]


def split_corpus(corpus: Corpus, *, fold: int | None, val_fraction: float, seed: int) -> Split:
    """Divides the rows of a run.

    Test rows are those of the test manifests, else the `split` column's (`test`; `val` where a database has no test
    part), else the fold's, and always rows of mode `real`. Validation rows are the official `val` rows of databases
    that have a test part as well, else held out: by subject where there are subjects, else by class.

    Raises:
        DataError: no rows to train or test on, folds but no fold chosen, a subject or a class in the wrong place.
    """
    samples = corpus.samples
    rough_train, official_val, test = _divide(corpus, fold)
    _need_rows(corpus, rough_train, test, fold)
    without_clean = [index for index in rough_train if not samples[index].clean]
    paired = [index for index in rough_train if samples[index].clean]
    official_val = [index for index in official_val if samples[index].clean]
    if not paired:
        raise DataError("every training row lacks a clean image; real occlusions can only be tested on")
    _refuse_shared_subjects(samples, [*paired, *official_val], test)
    tested = Pixels(samples[index] for index in test)
    duplicates = [index for index in [*paired, *official_val] if samples[index] in tested]
    out = set(duplicates)
    paired = [index for index in paired if index not in out]
    official_val = [index for index in official_val if index not in out]
    val = official_val or _hold_out(samples, paired, val_fraction, seed)
    train = sorted(set(paired) - set(val))
    classes = _vocabulary(samples, train, val, test)
    return Split(tuple(train), tuple(sorted(val)), tuple(test), tuple(duplicates), tuple(without_clean), classes)


def _divide(corpus: Corpus, fold: int | None) -> tuple[list[int], list[int], list[int]]:
    """Training candidates, official validation rows and test rows."""
    has_test_manifests = corpus.training < len(corpus.sources)
    fold_databases = _fold_databases(corpus, needs_fold=not has_test_manifests, fold=fold)
    tested_splits = tested_split(corpus.samples)
    train: list[int] = []
    val: list[int] = []
    test: list[int] = []
    for index, sample in enumerate(corpus.samples):
        split_name = tested_splits.get(sample.database, "")
        in_fold = sample.database in fold_databases and fold is not None
        is_tested = sample.mode == REAL or (
            sample.split == split_name if split_name else in_fold and sample.fold == fold
        )
        if sample.source >= corpus.training:
            if is_tested or not (split_name or in_fold):
                test.append(index)
        elif is_tested and not has_test_manifests:
            test.append(index)
        elif is_tested and sample.mode != REAL:
            continue
        elif split_name == "test" and sample.split == "val":
            val.append(index)
        else:
            train.append(index)
    return train, val, test


def tested_split(samples: Iterable[Sample]) -> dict[str, str]:
    """For each database with an official split, the name of the part that is tested."""
    names: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        if sample.split:
            names[sample.database].add(sample.split)
    return {database: "test" if "test" in found else "val" for database, found in names.items() if found != {"train"}}


def _fold_databases(corpus: Corpus, *, needs_fold: bool, fold: int | None) -> set[str]:
    """Databases without an official split that have folds in a training manifest."""
    official = {sample.database for sample in corpus.samples if sample.split}
    folds: dict[str, set[int]] = defaultdict(set)
    for sample in corpus.samples:
        if sample.source < corpus.training and sample.fold is not None and sample.database not in official:
            folds[sample.database].add(sample.fold)
    for database, known in folds.items():
        listed = ", ".join(map(str, sorted(known)))
        if fold is None and needs_fold:
            raise DataError(
                f"{database} comes with folds ({listed}): choose the one to test on with --fold, or --fold all"
            )
        if fold is not None and fold not in known:
            raise DataError(f"--fold {fold}: {database} has the folds {listed}")
    if fold is not None and not folds:
        raise DataError(f"--fold {fold}: no training manifest has folds; leave it out")
    return set(folds)


def _need_rows(corpus: Corpus, train: Sequence[int], test: Sequence[int], fold: int | None) -> None:
    names = ", ".join(source.name for source in corpus.sources)
    if not test:
        raise DataError(
            f"{names}: nothing to test on: no official split, no folds, no rows of mode {REAL}; "
            "name a test set with --test-manifest"
        )
    if not train:
        subjects = {(sample.database, sample.subject) for sample in corpus.samples if sample.subject}
        one = "; all rows are of one subject, so nothing is left to train on" if len(subjects) == 1 else ""
        raise DataError(f"{names}: every row is a test row{'' if fold is None else f' of fold {fold}'}{one}")


def person(sample: Sample) -> tuple[str, str]:
    """Whose face it is: (database, subject), one name for several releases of a database."""
    return (SAME_PEOPLE.get(sample.database, sample.database), sample.subject)


def _refuse_shared_subjects(samples: Sequence[Sample], train: Iterable[int], test: Iterable[int]) -> None:
    trained = {person(samples[index]) for index in train if samples[index].subject}
    shared = sorted(trained & {person(samples[index]) for index in test if samples[index].subject})
    if shared:
        listed = ", ".join(f"{subject} of {database}" for database, subject in shared[:5])
        raise DataError(
            f"{len(shared)} subjects are in the training and in the test rows ({listed}): a test on people seen in "
            "training says nothing; choose a --fold, or use manifests with an official split"
        )


class Pixels:
    """The pixels of some samples, to ask whether another one shows the same picture."""

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
    """A random-looking key that sorts names into an order which depends on the seed alone."""
    return hashlib.sha256(f"validation\x1f{seed}\x1f{name}".encode()).hexdigest()


def _hold_out(samples: Sequence[Sample], train: Sequence[int], fraction: float, seed: int) -> list[int]:
    if fraction <= 0:
        return []
    by_database: dict[str, list[int]] = defaultdict(list)
    for index in train:
        by_database[person(samples[index])[0]].append(index)
    held: list[int] = []
    for rows in by_database.values():
        if all(samples[index].subject for index in rows):
            held += _hold_out_subjects(samples, rows, fraction, seed)
        else:
            held += _hold_out_stratified(samples, rows, fraction, seed)
    return held


def _hold_out_subjects(samples: Sequence[Sample], rows: Sequence[int], fraction: float, seed: int) -> list[int]:
    by_subject: dict[str, list[int]] = defaultdict(list)
    for index in rows:
        by_subject[samples[index].subject].append(index)
    if len(by_subject) == 1:
        raise DataError(
            f"the training rows of {samples[rows[0]].database} are all of one subject ({next(iter(by_subject))}), so "
            "none can be held out for validation; --val-fraction 0 keeps the last epoch instead"
        )
    held: list[int] = []
    order = sorted(by_subject, key=lambda subject: _draw(seed, subject))
    for subject in order[:-1]:
        held += by_subject[subject]
        if len(held) >= fraction * len(rows):
            break
    return held


def _hold_out_stratified(samples: Sequence[Sample], rows: Sequence[int], fraction: float, seed: int) -> list[int]:
    # All pairs made from one source stay together: the modes of a merged run share their clean images.
    by_class: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index in rows:
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
    for part, rows in (("validation", val), ("test", test)):
        unknown = sorted({samples[index].expression for index in rows} - set(classes))
        if unknown:
            raise DataError(
                f"the {part} rows hold the expression{'s' * (len(unknown) > 1)} {', '.join(unknown)}, of which no "
                f"training row is left (training has {', '.join(classes)}); an empty class cannot be learnt: use other "
                "manifests, another --fold or a smaller --val-fraction"
            )
    if len(classes) < 2:
        raise DataError(f"all training rows show one expression ({classes[0]}): nothing to tell apart")
    return classes


def folds_of(config: TrainConfig) -> list[int]:
    """The folds of the training manifests.

    Raises:
        ConfigError: a fold was chosen, or there is a test manifest.
        DataError: the manifests have no folds, or databases with different ones.
    """
    if config.fold is not None:
        raise ConfigError("all folds are trained where none is chosen: leave the fold out of the configuration")
    if config.test_manifests:
        raise ConfigError("--fold all tests on every fold in turn: leave out --test-manifest")
    corpus = read_corpus(config.manifests)
    official = tested_split(corpus.samples)
    by_database: dict[str, set[int]] = {}
    for sample in corpus.samples:
        if sample.fold is not None and sample.database not in official:
            by_database.setdefault(sample.database, set()).add(sample.fold)
    if not by_database:
        names = ", ".join(source.name for source in corpus.sources)
        raise DataError(f"--fold all: {names} has no folds; leave out --fold")
    known = set.union(*by_database.values())
    odd = [database for database, folds in by_database.items() if folds != known]
    if odd:
        listed = ", ".join(map(str, sorted(by_database[odd[0]])))
        raise DataError(
            f"--fold all: the databases have different folds ({odd[0]} has {listed}); train one --fold at a time"
        )
    return sorted(known)
