"""occfer.tables.cells: docstring to write."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occfer.metrics.accuracy import accuracy_interval
from occfer.metrics.averages import mean_and_sd
from occfer.metrics.measures import RightOrWrong, measure
from occfer.metrics.predictions import Predictions, pooled
from occfer.metrics.significance import mcnemar, over_seeds
from occfer.tables.paper_rows import CONTROL
from occfer.tables.result_table import Cell, PairedTest, Seeds

AGAINST = ("resnet", CONTROL)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a row answered in one column.

    Attributes:
        parts: seed to fold to predictions; every seed has the same folds, of which there is at least one.
        runs: the folders that they came from.
        note: `8 of 10 folds` where some are missing, else empty.
    """

    parts: Mapping[int, Mapping[int | None, Predictions]]
    runs: tuple[Path, ...]
    note: str = ""

    def pooled(self) -> dict[int, Predictions]:
        """Seed to the answers of all folds."""
        return {seed: pooled(list(folds.values())) for seed, folds in self.parts.items()}


def make_cell(answers: Answers, paper: float | None, relative_to: Path) -> Cell:
    """Everything that is reported of a row's answers in a column, but for the paired tests.

    Accuracy is pooled over folds and averaged over seeds. The interval is drawn by person where several answers are of
    one, those of the seeds among them, else it is Wilson's.
    """
    by_seed = answers.pooled()
    measures = [measure(part.truth, part.probabilities) for part in by_seed.values()]
    accuracies = tuple(found.accuracy for found in measures)
    over_seeds = mean_and_sd(accuracies)
    first = next(iter(answers.parts.values()))
    return Cell(
        n=measures[0].n,
        correct=sum(found.correct for found in measures),
        accuracy=over_seeds.mean,
        interval=accuracy_interval(list(by_seed.values())),
        uar=mean_and_sd([found.uar for found in measures]).mean,
        macro_f1=mean_and_sd([found.macro_f1 for found in measures]).mean,
        ece=mean_and_sd([found.ece for found in measures]).mean,
        seeds=Seeds(accuracies, over_seeds.mean, over_seeds.sd),
        folds=None if list(first) == [None] else mean_and_sd(_fold_accuracies(answers)),
        paper=paper,
        runs=tuple(os.path.relpath(folder, relative_to) for folder in answers.runs),
        note=answers.note,
    )


def _fold_accuracies(answers: Answers) -> list[float]:
    """Each fold's accuracy, the mean over the seeds."""
    folds = next(iter(answers.parts.values()))
    return [mean_and_sd([float(part[fold].right.mean()) for part in answers.parts.values()]).mean for fold in folds]


def paired_test(row: Answers, other: Answers) -> PairedTest | None:
    """Two rows on the images that both were tested on, seed by seed; None where they share none. Holm comes later.

    Over the seeds: p = min(1, 2 x the median of their p-values), the counts summed.
    """
    found = []
    ours, theirs = row.pooled(), other.pooled()
    for seed in sorted(set(ours) & set(theirs)):
        a, b = _on_common(ours[seed], theirs[seed])
        if len(a):
            found.append(mcnemar(a, b))
    if not found:
        return None
    p_values = [test.p_value for test in found]
    p = over_seeds(p_values)
    return PairedTest(p, p, sum(test.only_a for test in found), sum(test.only_b for test in found))


def _on_common(ours: Predictions, theirs: Predictions) -> tuple[RightOrWrong, RightOrWrong]:
    a, b = (
        {pair.key: bool(right) for pair, right in zip(part.pairs, part.right, strict=True)} for part in (ours, theirs)
    )
    common = sorted(set(a) & set(b))
    return np.array([a[key] for key in common], dtype=bool), np.array([b[key] for key in common], dtype=bool)
