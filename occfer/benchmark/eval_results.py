"""results.json: a result in the form of evaluation results of the Hugging Face Hub.

The Hub reads such lists from `.eval_results/NAME.yaml` of a model's repository (JSON is YAML), see
https://huggingface.co/docs/hub/eval-results. Each entry names the data set that holds the suite, and a task in it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from occfer.benchmark.result import BenchmarkResult
from occfer.files import write_text
from occfer.metrics.intervals import Interval

FILE = "results.json"


def eval_results(result: BenchmarkResult, dataset: str) -> list[dict[str, Any]]:
    """The entries of a result: clean, the means, the worst column, the relative drop, real occlusions.

    Args:
        dataset: the data set on the Hub that holds the suite, `ORG/NAME`.
    """
    return [
        {"dataset": {"id": dataset, "task_id": task}, "value": round(value, 6), "notes": f"{note}; {_about(result)}"}
        for task, value, note in _figures(result)
    ]


def write_eval_results(folder: Path, result: BenchmarkResult, dataset: str = "") -> Path:
    """Writes results.json; without a data set on the Hub, the suite's name stands in its place."""
    path = folder / FILE
    write_text(path, json.dumps(eval_results(result, dataset or result.suite.name), indent=2) + "\n")
    return path


def _figures(result: BenchmarkResult) -> Iterator[tuple[str, float, str]]:
    """Task, value and note."""
    worst, drop = result.worst, result.relative_drop
    yield "clean", result.clean.accuracy, f"accuracy, {_bounds(result.clean.interval)}, n = {result.clean.n}"
    for mean in (result.mean, *result.groups):
        task = "mean" if mean is result.mean else f"mean-{mean.name}"
        yield task, mean.accuracy, f"mean accuracy of {mean.columns} columns, {_bounds(mean.interval)}"
    yield "worst", worst.accuracy, f"accuracy on {worst.name}, {_bounds(worst.interval)}, n = {worst.n}"
    if drop is not None:
        yield "relative-drop", drop, "share of the clean accuracy that occlusion takes on the mean; lower is better"
    if result.real is not None:
        yield "real", result.real.accuracy, f"accuracy, {_bounds(result.real.interval)}, n = {result.real.n}"


def _bounds(interval: Interval) -> str:
    return f"{100 * interval.level:g} % interval {interval.low:.3f} to {interval.high:.3f}"


def _about(result: BenchmarkResult) -> str:
    suite = result.suite
    return "; ".join([f"suite {suite.name} {suite.version}, digest {suite.digest}", *result.provenance.marks])
