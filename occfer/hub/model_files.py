"""The files of a model that go to the Hub: the network, the settings, benchmark results, and nothing else of a run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from occfer.benchmark.eval_results import FILE, eval_results
from occfer.benchmark.result import BenchmarkResult, read_benchmark, write_benchmark
from occfer.errors import HubError
from occfer.files import file_sha256
from occfer.hub.repository import BENCHMARKS, EVAL_RESULTS, MODEL, SETTINGS, parse_address
from occfer.models import FROM_TIMM
from occfer.models.hub import HUB
from occfer.runs.checkpoint import load, model_file, save
from occfer.runs.model_info import ModelInfo, info_of_header
from occfer.runs.run_folder import refuse_folds
from occsynth.files import is_file
from occsynth.reading import parse_json, read_bytes

_FOLDERS = re.compile(r"""(?:(?<=[\s'"(=:])|^)(?:~[^\s/'"]*)?/(?:[^\s/'"]+/)*""")
_TELLS_OF_PEOPLE = ("duplicates",)
"""Keys of a run's data.json with names of pairs, which are often those of people."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelFiles:
    """What is uploaded of a model, beside its card.

    Attributes:
        info: what the uploaded model file says of the model.
        files: name and content.
        results: of the benchmarks.
        trained_sha256: of the model file as it lies here.
        left: names of the run folder's files that are not uploaded; none for a model file alone.
    """

    info: ModelInfo
    files: dict[str, bytes]
    results: tuple[BenchmarkResult, ...]
    trained_sha256: str
    left: tuple[str, ...]


def model_files(checkpoint: Path, benchmarks: Sequence[Path]) -> ModelFiles:
    """The files of a run folder or a model file.

    Raises:
        CheckpointError: there is no such model, or it is damaged.
        HubError: the model file keeps parts of training faces, or a result is of another model or comes twice.
        ReportError: a result cannot be read.
    """
    refuse_folds(checkpoint)
    path = model_file(checkpoint)
    tensors, header = load(path)
    info = without_names(info_of_header(header, path))
    if not info.backbone:
        raise HubError(
            f"{path} is of the method {info.method}, whose model file keeps measurements of single training faces; "
            "occfer shares networks alone"
        )
    with TemporaryDirectory() as folder:
        save(Path(folder, MODEL), tensors, {"kind": "model"} | asdict(info))
        content = Path(folder, MODEL).read_bytes()
    trained_sha256 = file_sha256(path)
    results = [_result_of(each, trained_sha256) for each in benchmarks]
    files = {MODEL: content, SETTINGS: (dumps(info.config, indent=2, ensure_ascii=False) + "\n").encode()}
    for given, result in zip(benchmarks, results, strict=True):
        suite = f"{result.suite.name}-{result.suite.version}"
        if f"{BENCHMARKS}/{suite}.json" in files:
            raise HubError(f"--benchmark was given two results of {result.suite.name} {result.suite.version}; give one")
        files[f"{BENCHMARKS}/{suite}.json"] = _sealed(result)
        if data_set := _data_set_of(given):
            entries = eval_results(result, data_set)
            files[f"{EVAL_RESULTS}/{suite}.yaml"] = (dumps(entries, indent=2) + "\n").encode()  # JSON is YAML
    left = tuple(
        sorted(
            each.relative_to(checkpoint).as_posix()
            for each in (checkpoint.rglob("[!.]*") if checkpoint.is_dir() else ())
            if each.is_file() and each not in (path, checkpoint / SETTINGS)
        )
    )
    return ModelFiles(info, files, tuple(results), trained_sha256, left)


def without_names(info: ModelInfo) -> ModelInfo:
    """What a model file says, without names of people and without the folders of the machine that trained it."""
    data = {name: value for name, value in info.data.items() if name not in _TELLS_OF_PEOPLE}
    return replace(info, data=data, config=_without_folders(info.config))


def _without_folders(value: Any) -> Any:
    """A JSON value in which each path is only the name at its end."""
    if isinstance(value, Mapping):
        return {name: _without_folders(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(each) for each in value]
    if isinstance(value, str) and not value.startswith((HUB, FROM_TIMM)):
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    return value


def _without_folders_in(text: str) -> str:
    """A sentence in which each absolute path is only the name at its end."""
    return _FOLDERS.sub("", text)


def _result_of(path: Path, trained_sha256: str) -> BenchmarkResult:
    result = read_benchmark(path)
    if result.contestant.sha256 != trained_sha256:
        raise HubError(
            f"--benchmark {path} is the result of another model file ({result.contestant.name}, SHA-256 "
            f"{result.contestant.sha256[:16] or 'unknown'}...); test this one with `occfer benchmark`"
        )
    return _without_folders_of(result)


def _data_set_of(given: Path) -> str:
    """The data set on the Hub that holds the suite of a result, as results.json beside it names it; empty for none."""
    path = (given if given.is_dir() else given.parent) / FILE
    if not is_file(path):
        return ""
    entries = parse_json(read_bytes(path, HubError), str(path), HubError)
    first = entries[0] if isinstance(entries, list) and entries else {}
    data_set = first.get("dataset") if isinstance(first, dict) else None
    name = data_set.get("id") if isinstance(data_set, dict) else None
    return name if isinstance(name, str) and "/" in name and parse_address(name).kind == "model" else ""


def _sealed(result: BenchmarkResult) -> bytes:
    """The file of a result, written anew, so that it holds what was read of it and no more."""
    with TemporaryDirectory() as folder:
        return write_benchmark(Path(folder), result).read_bytes()


def _without_folders_of(result: BenchmarkResult) -> BenchmarkResult:
    """A result whose remarks name no folder of this machine."""
    known = result.provenance
    return replace(
        result,
        contestant=replace(result.contestant, name=_without_folders_in(result.contestant.name)),
        provenance=replace(
            known, selected_by=_without_folders_in(known.selected_by), doubt=_without_folders_in(known.doubt)
        ),
        notes=tuple(map(_without_folders_in, result.notes)),
    )
