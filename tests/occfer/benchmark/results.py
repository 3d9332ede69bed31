"""A small result that fits itself, for tests of those who read results."""

from occfer.benchmark.result import (
    BenchmarkResult,
    ColumnKind,
    ColumnResult,
    MeanResult,
    Provenance,
    TestedContestant,
    TestedSuite,
)
from occfer.metrics.intervals import Interval, wilson


def column(name: str, correct: int, *, kind: ColumnKind = "occluded", groups: tuple[str, ...] = ()) -> ColumnResult:
    """A column of 20 faces of 10 subjects; of the clean ones, 16 are answered right."""
    drop = None if kind != "occluded" else 16 / 20 - correct / 20
    between = None if drop is None else Interval(max(-1.0, drop - 0.2), min(1.0, drop + 0.2), "Newcombe")
    return ColumnResult(name, kind, groups, 20, correct, correct / 20, wilson(correct, 20), 10, drop, between)


def small_result(name: str = "mine", correct: tuple[int, int] = (12, 8)) -> BenchmarkResult:
    columns = (
        column("r16-seen", correct[0], groups=("paper", "seen")),
        column("eyes-unseen", correct[1], groups=("paper", "unseen")),
    )
    mean = sum(correct) / 40
    around = Interval(max(0.0, mean - 0.2), min(1.0, mean + 0.2), "Wilson, design effect 1.49 over 10 subjects")
    return BenchmarkResult(
        suite=TestedSuite("small", "1", "ab" * 32, "demo", "Two columns"),
        contestant=TestedContestant(name, "checkpoint", "cd" * 32, ("anger", "fear"), "full, resnet18, 48 px"),
        provenance=Provenance(("demo",), "accuracy on 28 validation pairs", 0, 0),
        clean=column("clean", 16, kind="clean"),
        columns=columns,
        mean=MeanResult("all", 2, mean, around),
        groups=(
            MeanResult("paper", 2, mean, around),
            MeanResult("seen", 1, columns[0].accuracy, columns[0].interval),
            MeanResult("unseen", 1, columns[1].accuracy, columns[1].interval),
        ),
        notes=("a note",),
        occsynth="0.1.0",
    )
