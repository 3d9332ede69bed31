"""metrics.json: everything that is reported of a table of predictions, every accuracy with its n and interval."""

import math
from typing import Any

from occfer.metrics.accuracy import accuracy_interval, recall_intervals, uar_interval
from occfer.metrics.averages import mean_and_sd
from occfer.metrics.groups import MODE_ORDER, by_value, coverage_bins, templates_seen
from occfer.metrics.intervals import wilson
from occfer.metrics.measures import measure
from occfer.metrics.predictions import Predictions, pooled

REGIONS = ("eyes", "mouth")


def summarise(predictions: Predictions) -> dict[str, Any]:
    """The content of metrics.json, JSON values.

    `interval` is the one to show beside the accuracy (see `accuracy_interval`); `wilson` is that of independent
    answers. `recall` and its interval are null for a class that does not occur. `by_coverage` counts the pairs whose
    coverage the manifest states, so none of mode `real`.

    Args:
        predictions: of one model, or pooled over folds.

    Raises:
        ReportError: there are none.
    """
    found = measure(predictions.truth, predictions.probabilities)
    return {
        "n": found.n,
        "correct": found.correct,
        "accuracy": found.accuracy,
        "interval": accuracy_interval([predictions]).to_json(),
        "wilson": wilson(found.correct, found.n).to_json(),
        "uar": found.uar,
        "uar_interval": uar_interval([predictions]).to_json(),
        "macro_f1": found.macro_f1,
        "ece": found.ece,
        "loss": found.loss,
        "classes": list(predictions.classes),
        "recall": {
            name: None if math.isnan(value) else value
            for name, value in zip(predictions.classes, found.recall.tolist(), strict=True)
        },
        "recall_interval": {
            name: None if each is None else each.to_json() for name, each in recall_intervals(predictions).items()
        },
        "confusion": found.confusion.tolist(),
        "by_database": _by_field(predictions, "database"),
        "by_mode": _by_field(predictions, "mode"),
        "by_coverage": {region: _by_coverage(predictions, region) for region in REGIONS},
    } | _by_template(predictions)


def summarise_folds(parts: dict[int, Predictions]) -> dict[str, Any]:
    """`summarise` of the pooled predictions, and under `folds` each fold's accuracy and UAR, their mean and deviation.

    Args:
        parts: fold to its test predictions.
    """
    measured = {fold: measure(part.truth, part.probabilities) for fold, part in parts.items()}
    folds = {
        "each": {
            str(fold): {"n": found.n, "accuracy": found.accuracy, "uar": found.uar} for fold, found in measured.items()
        },
        "accuracy": mean_and_sd([found.accuracy for found in measured.values()]).to_json(),
        "uar": mean_and_sd([found.uar for found in measured.values()]).to_json(),
    }
    return summarise(pooled(list(parts.values()))) | {"folds": folds}


def accuracy_line(summary: dict[str, Any]) -> str:
    """`accuracy 0.750, 95 % interval 0.566 to 0.873, n = 28 (Wilson)`."""
    shown = summary["interval"]
    return (
        f"accuracy {summary['accuracy']:.3f}, {100 * shown['level']:g} % interval {shown['low']:.3f} to "
        f"{shown['high']:.3f}, n = {summary['n']} ({shown['how']})"
    )


def uar_line(summary: dict[str, Any]) -> str:
    """`UAR 0.750, 95 % interval 0.566 to 0.873, macro-F1 0.741, ECE 0.102`."""
    shown = summary["uar_interval"]
    return (
        f"UAR {summary['uar']:.3f}, {100 * shown['level']:g} % interval {shown['low']:.3f} to {shown['high']:.3f}, "
        f"macro-F1 {summary['macro_f1']:.3f}, ECE {summary['ece']:.3f}"
    )


def _by_field(predictions: Predictions, name: str) -> dict[str, Any]:
    return {
        value: _accuracy_entry(predictions.where(members))
        for value, members in by_value(predictions.pairs, name, MODE_ORDER)
    }


def _by_template(predictions: Predictions) -> dict[str, Any]:
    """`by_template`: the pairs whose template was seen in training, and the others; nothing where nobody knows."""
    entries = {
        name: _accuracy_entry(predictions.where(members))
        for name, members in templates_seen(predictions.pairs)
        if members.any()
    }
    return {"by_template": entries} if entries else {}


def _by_coverage(predictions: Predictions, region: str) -> list[dict[str, Any]]:
    """One entry per bin that has pairs: `above` is its open lower edge, or 0 where nothing is hidden."""
    return [
        {"above": each.above, "to": each.to} | _accuracy_entry(predictions.where(each.members))
        for each in coverage_bins(predictions.pairs, region)
    ]


def _accuracy_entry(part: Predictions) -> dict[str, Any]:
    correct, n = int(part.right.sum()), len(part.pairs)
    return {"n": n, "correct": correct, "accuracy": correct / n, "interval": accuracy_interval([part]).to_json()}
