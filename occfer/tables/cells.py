"""A cell of a table: a method's predictions, pooled over folds, averaged over seeds, tested against another method."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from occfer.metrics.accuracy import accuracy_interval, persons_of, uar_interval
from occfer.metrics.averages import mean_and_sd
from occfer.metrics.clean_faces import CleanFaces, on_clean_faces
from occfer.metrics.measures import measure
from occfer.metrics.predictions import Predictions, pooled
from occfer.metrics.significance import over_seeds, paired_outcome
from occfer.tables.result_table import Cell, PairedTest, PartAccuracy, SeedAccuracies


@dataclass(frozen=True, slots=True, eq=False)
class MethodPredictions:
    """What a method predicted for one column.

    Attributes:
        parts: seed to fold to predictions; every seed has the same folds, at least one.
        runs: the folders that they came from.
        note: `8 of 10 folds` where some are missing, else empty.
        clean: as `parts`, for the clean faces of the same pairs; empty where they were not tested.
    """

    parts: Mapping[int, Mapping[int | None, Predictions]]
    runs: tuple[Path, ...]
    note: str = ""
    clean: Mapping[int, Mapping[int | None, Predictions]] = field(default_factory=dict)

    def pooled(self) -> dict[int, Predictions]:
        """Seed to the predictions of all folds."""
        return {seed: pooled(list(folds.values())) for seed, folds in self.parts.items()}


def make_cell(found: MethodPredictions, paper: float | None, relative_to: Path) -> Cell:
    """Everything that is reported of a method's predictions in a column, except the paired tests.

    Accuracy is pooled over folds, as the paper's is, and averaged over seeds. Its interval takes account of several
    answers about one person, and several seeds always answer about the same one.

    Args:
        found: the predictions.
        paper: the paper's accuracy in percent, or None.
        relative_to: the folder to which the cell's run folders are relative.
    """
    by_seed = found.pooled()
    measures = [measure(part.truth, part.probabilities) for part in by_seed.values()]
    accuracies = tuple(each.accuracy for each in measures)
    seeds = mean_and_sd(accuracies)
    folds = next(iter(found.parts.values()))
    return Cell(
        n=measures[0].n,
        correct=sum(each.correct for each in measures),
        accuracy=seeds.mean,
        interval=accuracy_interval(list(by_seed.values())),
        uar=mean_and_sd([each.uar for each in measures]).mean,
        macro_f1=mean_and_sd([each.macro_f1 for each in measures]).mean,
        ece=mean_and_sd([each.ece for each in measures]).mean,
        seeds=SeedAccuracies(accuracies, seeds.mean, seeds.sd),
        folds=None if list(folds) == [None] else mean_and_sd(_fold_accuracies(found)),
        paper=paper,
        runs=tuple(os.path.relpath(folder, relative_to) for folder in found.runs),
        note=found.note,
        uar_interval=uar_interval(list(by_seed.values())),
        clean=_on_clean_faces(found, by_seed),
        seen=_on_templates(list(by_seed.values()), seen=True),
        unseen=_on_templates(list(by_seed.values()), seen=False),
    )


def _on_clean_faces(found: MethodPredictions, by_seed: Mapping[int, Predictions]) -> CleanFaces | None:
    if not found.clean:
        return None
    clean = {seed: pooled(list(folds.values())) for seed, folds in found.clean.items()}
    return on_clean_faces([clean[seed] for seed in by_seed], list(by_seed.values()))


def _on_templates(seeds: Sequence[Predictions], *, seen: bool) -> PartAccuracy | None:
    """The accuracy on the images whose template was seen in training, or on those whose was not.

    None where every template was seen, which says nothing that the whole cell does not.
    """
    if not any(pair.template_seen is False for seed in seeds for pair in seed.pairs):
        return None
    parts = [seed.at([place for place, pair in enumerate(seed.pairs) if pair.template_seen is seen]) for seed in seeds]
    if not all(part.pairs for part in parts):
        return None
    accuracy = mean_and_sd([float(part.right.mean()) for part in parts]).mean
    return PartAccuracy(len(parts[0].pairs), accuracy, accuracy_interval(parts))


def _fold_accuracies(found: MethodPredictions) -> list[float]:
    """Each fold's accuracy, averaged over the seeds."""
    folds = next(iter(found.parts.values()))
    return [mean_and_sd([float(part[fold].right.mean()) for part in found.parts.values()]).mean for fold in folds]


def paired_test(this: MethodPredictions, other: MethodPredictions) -> PairedTest | None:
    """Tests a method against another one, seed by seed, on the images that both were tested on.

    The counts are summed over the seeds; the p-values are joined by `over_seeds` and not yet adjusted after Holm.

    Returns:
        None where the two share no seed or no image.
    """
    tests = []
    ours, theirs = this.pooled(), other.pooled()
    for seed in sorted(set(ours) & set(theirs)):
        common = _on_common_pairs(ours[seed], theirs[seed])
        if common is not None:
            this_part, other_part = common
            tests.append(paired_outcome(this_part.right, other_part.right, *persons_of(this_part.pairs)))
    if not tests:
        return None
    p = over_seeds([test.p_value for test in tests])
    counts = (sum(test.only_a for test in tests), sum(test.only_b for test in tests))
    return PairedTest(p, p, *counts, tests[0].how)


def _on_common_pairs(ours: Predictions, theirs: Predictions) -> tuple[Predictions, Predictions] | None:
    """Both cut to the pairs that both hold, in the same order; None where there are none."""
    places, others = ({pair.key: place for place, pair in enumerate(part.pairs)} for part in (ours, theirs))
    common = sorted(places.keys() & others.keys())
    if not common:
        return None
    return ours.at([places[key] for key in common]), theirs.at([others[key] for key in common])
