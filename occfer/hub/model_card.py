"""The card of a model: what it is, what it must not be used for, what it was trained on, and how it was tested."""

from collections.abc import Iterator, Mapping
from typing import Any

from occfer.benchmark.result import BenchmarkResult, ColumnResult
from occfer.hub.card_head import Licence, with_head
from occfer.hub.model_files import ModelFiles
from occfer.hub.repository import LIST, MODEL, SETTINGS, Address
from occfer.hub.terms import terms_of, title_of
from occfer.intended_use import NOTICE
from occfer.method_table import shown_name
from occfer.metrics.intervals import Interval
from occfer.metrics.summary import accuracy_line
from occfer.runs.model_info import ManifestFacts, ModelInfo, data_facts
from occsynth.escapes import for_markdown

TASK = {"type": "image-classification", "name": "Facial expression recognition under occlusion"}
"""As the Hub names tasks; it has none for expressions."""


def model_card(address: Address, model: ModelFiles, licence: Licence, tested: Mapping[str, Any] | None) -> bytes:
    """The README.md of a repository.

    Args:
        address: of the repository.
        model: what is uploaded.
        licence: as the user states it.
        tested: the content of the run's metrics.json; None where there is none.
    """
    info = model.info
    head: dict[str, Any] = licence.head() | {
        "library_name": "occfer",
        "pipeline_tag": TASK["type"],
        "tags": ["facial-expression-recognition", "occlusion", "occfer", info.method],
        "metrics": ["accuracy"],
    }
    name = address.name.partition("/")[2]
    results = [*(_test_entries(info, tested) if tested else ()), *_benchmark_entries(model.results)]
    if results:
        head["model-index"] = [{"name": name, "results": results}]
    parts = [
        f"# {for_markdown(name)}",
        "A classifier of facial expressions on partly hidden faces, trained with occfer.",
        _facts(info),
        "## What it must not be used for",
        *NOTICE,
        "## Use it",
        _use(address),
        "## What it was trained on",
        _training(info),
        "## How it was tested",
        *(_tests(model, tested) or ["No result was uploaded with it."]),
    ]
    return with_head(head, "\n\n".join(parts))


def _facts(info: ModelInfo) -> str:
    size = f"{info.size_px} px" + (f", enlarged to {info.network_px} px by the network" if info.network_px else "")
    lines = {
        "method": shown_name(info.method),
        "network": info.backbone + (", small stem" if info.stem == "small" else ""),
        "classes": ", ".join(info.classes),
        "input": f"aligned faces of {size}, alignment {info.align or 'unknown'}",
        "chosen": f"epoch {info.epoch} by held-out training faces" if info.epoch else "initial weights",
        "settings": SETTINGS,
    }
    return _table(("what", "value"), lines.items())


def _use(address: Address) -> str:
    return (
        "```console\n"
        f"$ pip install 'occsynth[train,hub]'\n"
        f"$ occfer predict photos/ --checkpoint hf://{address.name}\n"
        f"$ occfer pull {address.name}\n"
        "```\n\n"
        f"`{MODEL}` holds tensors and text: loading it runs no code. `occfer pull` compares every file with its digest "
        f"in `{LIST}`."
    )


def _training(info: ModelInfo) -> str:
    manifests = data_facts(info.data, "data").manifests
    if not manifests:
        return "The model file does not say."
    rows = [
        (each.name + (" (tested only)" if each.test_only else ""), title_of(each.database), each.sha256)
        for each in manifests
    ]
    terms = [
        f"- {for_markdown(f'{title_of(each)}: {terms_of(each)}')}" for each in dict.fromkeys(_databases(manifests))
    ]
    return (
        _table(("manifest of occsynth", "database", "SHA-256"), rows)
        + "\n\nNo image comes with the model. The terms of the databases may limit what may be done with models that "
        "were trained on them:\n\n" + "\n".join(terms)
    )


def _databases(manifests: tuple[ManifestFacts, ...]) -> list[str]:
    return [each.database for each in manifests]


def _tests(model: ModelFiles, tested: Mapping[str, Any] | None) -> Iterator[str] | list[str]:
    parts = []
    if tested:
        faces = "the faces of its own test part" + _fold(model.info)
        parts.append(f"On {faces}: {for_markdown(accuracy_line(dict(tested)))}.")
    for result in model.results:
        parts += _benchmark(result)
    return parts


def _fold(info: ModelInfo) -> str:
    fold = data_facts(info.data, "data").fold
    return "" if fold is None else f", fold {fold}"


def _benchmark(result: BenchmarkResult) -> list[str]:
    suite = result.suite
    rows = [
        (each.name, str(each.n), f"{each.accuracy:.3f}", _shown(each.interval), _drop(each))
        for each in (result.clean, *result.columns, *filter(None, [result.real]))
    ]
    mean = ("mean of the occluded columns", "", f"{result.mean.accuracy:.3f}", _shown(result.mean.interval), "")
    drop = (
        ""
        if result.relative_drop is None
        else f" Occlusion takes {100 * result.relative_drop:.1f} % of the clean accuracy on the mean."
    )
    marks = "".join(f" **{for_markdown(mark)}**." for mark in result.provenance.marks)
    return [
        f"### {for_markdown(suite.title or suite.name)}",
        f"{for_markdown(f'Suite {suite.name}, version {suite.version}, digest {suite.digest}')}: results of another "
        f"digest are results of another suite.{drop} The worst column is {for_markdown(result.worst.name)}.{marks}",
        _table(("column", "n", "accuracy", "95 % interval", "drop"), [*rows, mean]),
    ]


def _shown(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _drop(column: ColumnResult) -> str:
    return "" if column.drop is None else f"{column.drop:+.3f}"


def _table(header: tuple[str, ...], rows: Any) -> str:
    lines = [header, tuple("---" for _ in header), *(tuple(map(for_markdown, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _test_entries(info: ModelInfo, tested: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The run's own test in the form of the Hub's model-index."""
    manifests = data_facts(info.data, "data").manifests
    used = [each for each in manifests if each.test_only] or list(manifests)
    name = " and ".join(each.name for each in used) or "test part"
    digests = {"manifests_sha256": [each.sha256 for each in used]}
    yield _entry(
        {"type": name, "name": f"{name}{_fold(info)}", "split": "test", "args": digests},
        tested["accuracy"], tested["n"], tested["interval"]["low"], tested["interval"]["high"],
    )  # fmt: skip


def _benchmark_entries(results: tuple[BenchmarkResult, ...]) -> Iterator[dict[str, Any]]:
    """The columns of benchmarks, and their mean, in the form of the Hub's model-index."""
    for result in results:
        suite = result.suite
        args = {"version": suite.version, "digest": suite.digest, "database": suite.database}
        every = (result.clean, *result.columns, *filter(None, [result.real]))
        named = [(each.name, each.accuracy, each.n, each.interval) for each in every]
        for column, accuracy, n, interval in [*named, ("mean", result.mean.accuracy, None, result.mean.interval)]:
            data = {
                "type": suite.name,
                "name": f"{suite.title or suite.name}: {column}",
                "config": column,
                "split": "test",
            }
            yield _entry(data | {"args": args}, accuracy, n, interval.low, interval.high)


def _entry(data: dict[str, Any], accuracy: float, n: int | None, low: float, high: float) -> dict[str, Any]:
    about = f"Accuracy (95 % interval {low:.3f} to {high:.3f}" + (f", n = {n})" if n is not None else ")")
    return {
        "task": TASK,
        "dataset": data,
        "metrics": [{"type": "accuracy", "value": round(accuracy, 4), "name": about}],
    }
