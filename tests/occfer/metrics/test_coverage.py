"""How often the printed intervals hold the truth, by simulation: with 10, 40 and 118 subjects, at 80, 97.8 and 99.5 %,
with and without a correlation within subjects.

`-s` prints every cell. `-m slow` draws more samples, and prints the table of docs/statistics.md.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.occfer.metrics.simulated_answers import (
    FEW_SUBJECTS,
    Covered,
    accuracies,
    bootstrap,
    differences,
    false_findings,
    mean_recalls,
    wilson_alone,
)

DOCS = Path(__file__).parents[3] / "docs" / "statistics.md"
LEAST, MOST_ON_AVERAGE = 0.93, 0.99
FOUND_BY_CHANCE = (("single", 0.0), ("unequal", 0.0), ("unequal", 0.1), ("many", 0.0), ("many", 0.1))
"""Pairs of each subject and their correlation, for which tests of equally good methods are counted."""


def check(found: Sequence[Covered]) -> None:
    """Every cell reaches the level, up to what score intervals lack there, and all together are not too wide."""
    print(*(each.line() for each in found), sep="\n")
    low = [each.line() for each in found if each.coverage < LEAST]
    assert not low, low
    assert np.mean([each.coverage for each in found]) <= MOST_ON_AVERAGE


@pytest.mark.parametrize("kind", ["unequal", "seven", "many", "skewed"])
def test_the_interval_of_an_accuracy_holds(kind: str) -> None:
    check(accuracies(kind, 1000))


@pytest.mark.parametrize("kind", ["single", "unequal", "seven", "many"])
def test_the_interval_of_a_difference_holds(kind: str) -> None:
    check(differences(kind, 600))


@pytest.mark.parametrize("kind", ["ck+", "each"])
def test_the_interval_of_uar_holds(kind: str) -> None:
    check(mean_recalls(kind, 600))


@pytest.mark.parametrize("kind", ["unequal", "many"])
def test_with_very_few_subjects_they_are_wide_and_hold(kind: str) -> None:
    """Without Student's t they would be too narrow."""
    found = accuracies(kind, 1000, subject_counts=FEW_SUBJECTS) + differences(kind, 600, FEW_SUBJECTS)
    assert min(each.coverage for each in found) >= LEAST, [each.line() for each in found]


def test_the_simulation_tells_a_bad_interval_from_a_good_one() -> None:
    """As if answers were independent: fine where they are, and far too narrow where they are not."""
    found = accuracies("many", 300, wilson_alone)
    assert min(each.coverage for each in found if not each.correlation) > 0.9
    assert min(each.coverage for each in found if each.correlation) < 0.75


@pytest.mark.parametrize("subjects", [6, 40])
@pytest.mark.parametrize("correlation", [0.0, 0.3])
def test_sign_flips_keep_their_level_whatever_answers_about_one_person_have_in_common(
    subjects: int, correlation: float
) -> None:
    samples = 1000
    _, flipped = false_findings("many", samples, correlation, subjects)
    assert flipped <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / samples)


def test_mcnemar_finds_too_much_in_many_answers_about_one_person_and_sign_flips_do_not_lose_what_is_there() -> None:
    alone, flipped = false_findings("many", 2000, 0.1)
    assert alone > 0.25 and 0.03 < flipped < 0.065
    alone, flipped = false_findings("single", 2000, 0.0)
    assert alone == flipped < 0.05


@pytest.mark.slow
def test_the_documented_coverage() -> None:
    """The table of docs/statistics.md, with more samples; 100 % right collapsed the bootstrap of version 0.1."""
    before = accuracies("unequal", 400, bootstrap)
    alone = accuracies("unequal", 10_000, wilson_alone)
    now = [accuracies(kind, 10_000) for kind in ("unequal", "many")]
    cells = [
        (one.subjects, one.truth.removeprefix("accuracy "), one.correlation, *(each.coverage for each in (one, *rest)))
        for one, *rest in zip(before, alone, *now, strict=True)
    ]
    lines = [f"| {' | '.join([*map(str, cell[:3]), *(f'{each:.2f}' for each in cell[3:])])} |" for cell in cells]
    others = {
        "accuracy": [each for kind in ("unequal", "seven", "many", "skewed") for each in accuracies(kind, 10_000)],
        "difference": [each for kind in ("unequal", "seven", "many") for each in differences(kind, 5000)],
        "UAR": [each for kind in ("ck+", "each") for each in mean_recalls(kind, 3000)],
    }
    for found in others.values():
        check(found)
    kinds = ("unequal", "seven", "many", "skewed")
    others["accuracy, correlation 0.3"] = [
        each for kind in kinds for each in accuracies(kind, 10_000, correlations=(0.3,))
    ]
    others["accuracy, 3 to 6 subjects"] = [
        each for kind in kinds for each in accuracies(kind, 10_000, subject_counts=FEW_SUBJECTS)
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("occfer.metrics.bounds.LEAST_CORRELATION", 0)
        others["accuracy, design effect as estimated"] = [each for kind in kinds for each in accuracies(kind, 10_000)]
    for what, found in others.items():
        coverage = [each.coverage for each in found]
        lines.append(f"| {what} | {len(found)} | {min(coverage):.3f} | {np.mean(coverage):.3f} |")
    for kind, correlation in FOUND_BY_CHANCE:
        levels = false_findings(kind, 10_000, correlation)
        lines.append(f"| {kind} | {correlation} | {levels[0]:.3f} | {levels[1]:.3f} |")
    print(*lines, sep="\n")
    told = [line.split(" | ") for line in DOCS.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        key, figures = _parted(line)
        known = [_parted(" | ".join(each))[1] for each in told if _parted(" | ".join(each))[0] == key]
        assert len(known) == 1, f"docs/statistics.md lacks the line {line}"
        # samples differ a little between machines and versions of numpy
        assert figures == pytest.approx(known[0], abs=0.03), line


def _parted(line: str) -> tuple[tuple[str, ...], list[float]]:
    """What a line is about, and its figures."""
    cells = [each.strip() for each in line.strip("| ").split("|")]
    about = 3 if cells[0].isdecimal() else 2
    try:
        return tuple(cells[:about]), [float(each) for each in cells[about:]]
    except ValueError:
        return (), []
