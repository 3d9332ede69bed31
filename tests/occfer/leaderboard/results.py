"""Results of benchmarks, made without any model."""

from pathlib import Path
from typing import Any

from occfer.benchmark.result import (
    BenchmarkResult,
    ColumnResult,
    MeanResult,
    Provenance,
    TestedContestant,
    TestedSuite,
    write_benchmark,
)
from occfer.metrics.intervals import Interval, wilson
from tests.occfer.toy_builds import WORDS

SUITE = TestedSuite("demo", "1", "a1" * 32, "demo", "Demo faces")
COLUMNS = ("eyes", "mouth", "upper-40")
FACES, PEOPLE = 70, 10
OURS = Provenance(("demo",), "accuracy on 30 validation pairs", 0, 0)


def column(
    name: str, correct: int, clean: int | None = None, groups: tuple[str, ...] = (), n: int = FACES
) -> ColumnResult:
    drop = None if clean is None else (clean - correct) / n
    bounds = None if drop is None else Interval(drop - 0.05, drop + 0.05, "Newcombe")
    kind: Any = "occluded" if clean is not None else "clean" if name == "clean" else "real"
    return ColumnResult(name, kind, groups, n, correct, correct / n, wilson(correct, n), PEOPLE, drop, bounds)


def mean(name: str, columns: list[ColumnResult]) -> MeanResult:
    accuracy = sum(each.accuracy for each in columns) / len(columns)
    return MeanResult(name, len(columns), accuracy, Interval(max(0, accuracy - 0.04), min(1, accuracy + 0.04)))


def result(
    name: str,
    clean: int,
    *correct: int,
    suite: TestedSuite = SUITE,
    known: Provenance = OURS,
    real: int | None = None,
    notes: tuple[str, ...] = (),
    about: str = "full, resnet18",
) -> BenchmarkResult:
    columns = [
        column(each, right, clean, ("paper",) if each in ("eyes", "mouth") else ())
        for each, right in zip(COLUMNS, correct, strict=True)
    ]
    return BenchmarkResult(
        suite=suite,
        contestant=TestedContestant(name, "checkpoint", f"{len(name):064x}", WORDS, about),
        provenance=known,
        clean=column("clean", clean),
        columns=tuple(columns),
        mean=mean("all", columns),
        groups=(mean("paper", columns[:2]),),
        real=None if real is None else column("real", real, n=40),
        notes=notes,
        occsynth="1.0",
    )


def written(folder: Path, *results: BenchmarkResult) -> Path:
    for number, each in enumerate(results):
        place = folder / f"{number}-result"
        place.mkdir(parents=True)
        write_benchmark(place, each)
    return folder
