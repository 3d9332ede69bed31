"""Fuzzers of occfer's readers: whatever a run folder or a model file holds, a value or one clear line comes of it."""

import io
import json
import shutil
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from occfer.benchmark.eval_results import eval_results
from occfer.benchmark.result import FILE as BENCHMARK
from occfer.benchmark.result import read_benchmark, write_benchmark
from occfer.cli.benchmark import print_result
from occfer.config import TrainConfig
from occfer.data.manifests import CorpusManifest, read_corpus, read_landmarks
from occfer.engine.engine import one_process
from occfer.errors import CheckpointError, ConfigError, DataError, OccFERError, WeightsError
from occfer.evaluation.compare import CompareOptions, compare
from occfer.evaluation.seen_faces import trained_on
from occfer.files import SEAL
from occfer.inference.exported import ExportedInfo, ExportedPredictor
from occfer.inference.onnx_file import open_onnx
from occfer.inference.pt2_file import open_pt2
from occfer.method_table import load_predictor
from occfer.models import BACKBONES
from occfer.models.weight_files import file_state
from occfer.reports.folder_contents import read_folders
from occfer.reports.heat_sections import heat_sections
from occfer.reports.provenance import manifests_of, shows_demo, what_ran
from occfer.reports.runs_table import runs_table
from occfer.reports.sections import comparison_section
from occfer.runs.checkpoint import HEADER, Model, load_model, read_model_info
from occfer.runs.model_info import ModelInfo
from occfer.settings_file import read_settings, save_settings
from tests.fuzzing import changed_bytes, changed_json, fuzzed, read_or_refused
from tests.occfer.benchmark.results import column, small_result
from tests.occfer.damage import unseal
from tests.occfer.inference.test_export import info_of, repacked, write_model
from tests.occfer.reports.report_folders import Folders, make_folders
from tests.occfer.toy_builds import Build, add_tiny_backbone, write_build

OCCFER = (OccFERError,)


@pytest.fixture(scope="module", autouse=True)
def backbone() -> Iterator[None]:
    add_tiny_backbone()
    yield
    del BACKBONES["tiny"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every example writes over the files of the one before."""
    return tmp_path_factory.mktemp("fuzzed")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return write_model(folder / "plain.safetensors")


def parts(file: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and its tensors' bytes."""
    (length,) = struct.unpack("<Q", file[:8])
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def joined(header: bytes, body: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + body


@pytest.mark.parametrize("ending", [".toml", ".yaml"])
@given(data=st.data())
@fuzzed()
def test_fuzz_a_file_of_settings(folder: Path, ending: str, data: st.DataObject) -> None:
    """Bytes changed, or JSON, which is YAML too, and which TOML refuses."""
    path = folder / f"saved{ending}"
    path.unlink(missing_ok=True)
    save_settings(path, TrainConfig(manifests=(Path("a.csv"),)))
    values = {"rate": 1e-5, "epochs": 3, "backbone": "resnet18", "cache_dir": None, "more": [{"deep": [1, "&a *a"]}]}
    path.write_bytes(data.draw(changed_bytes(path.read_bytes()) | changed_json(values)))
    found = read_or_refused(lambda: read_settings(path, frozenset()), OCCFER)
    if found is not None:
        read_or_refused(lambda: TrainConfig.from_json({"manifests": ["a.csv"]} | found), OCCFER)


@given(st.data())
@fuzzed()
def test_fuzz_a_model_file(folder: Path, model: Path, data: st.DataObject) -> None:
    """Its bytes, its table of tensors, or what it says of its model."""
    plain = model.read_bytes()
    table, body = parts(plain)
    said = json.loads(table["__metadata__"][HEADER])
    said.pop("checksums", None)  # whoever forges a file can compute them
    said |= {
        "config": {"manifests": ["a/b.csv"], "landmarks_from": "clean"},
        "data": {"manifests": [{"name": "b", "sha256": "c", "database": "demo", "test_only": False}], "fold": 0},
        "versions": {"torch": "2"},
    }
    header = changed_json(said).map(
        lambda text: json.dumps(table | {"__metadata__": {HEADER: text.decode("utf-8", "replace")}}).encode()
    )
    content = data.draw(
        header.map(lambda text: joined(text, body))
        | changed_json(table).map(lambda text: joined(text, body))
        | changed_bytes(plain)
    )
    path = folder / "fuzzed.safetensors"
    path.write_bytes(content)
    info = read_or_refused(lambda: read_model_info(path), OCCFER)
    if info is not None:
        assert isinstance(info, ModelInfo) and isinstance(info.classes, tuple)
        trained_on(info, ())
    found = read_or_refused(lambda: load_model(path), OCCFER)
    assert found is None or isinstance(found, Model)
    read_or_refused(lambda: load_predictor(path, one_process("cpu")), OCCFER)


@given(st.data())
@fuzzed()
def test_fuzz_a_file_of_weights(folder: Path, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    tensors = {"conv.weight": torch.ones(3, 4), "fc.bias": torch.ones(2)}
    torch.save(tensors, buffer)
    ending = data.draw(st.sampled_from([".pth", ".safetensors"]))
    path = folder / f"weights{ending}"
    path.write_bytes(data.draw(changed_bytes(buffer.getvalue() if ending == ".pth" else save(tensors))))
    found = read_or_refused(lambda: file_state(path), WeightsError)
    assert found is None or all(isinstance(each, torch.Tensor) for each in found.values())


@pytest.fixture(scope="module")
def exported(folder: Path, model: Path) -> dict[str, Path]:
    from occfer.inference.export import FORMATS, export

    return {kind: export(model, folder / f"plain{form.ending}", kind=kind).path for kind, form in FORMATS.items()}


@given(st.data())
@fuzzed(0.25)
def test_fuzz_a_pt2_archive(folder: Path, exported: dict[str, Path], data: st.DataObject) -> None:
    """The JSON of its records, or its bytes."""
    with zipfile.ZipFile(exported["pt2"]) as archive:
        names = [name.partition("/")[2] for name in archive.namelist() if name.endswith(".json")]
        root = archive.namelist()[0].partition("/")[0]
        texts = {name: archive.read(f"{root}/{name}") for name in names}
    path = folder / "fuzzed.pt2"
    if data.draw(st.integers(0, 3)):
        name = data.draw(st.sampled_from(names))
        content = data.draw(changed_json(json.loads(texts[name])))
        repacked(exported["pt2"], path, lambda records: records.update({name: content}))
    else:
        path.write_bytes(data.draw(changed_bytes(exported["pt2"].read_bytes())))
    found = read_or_refused(lambda: open_pt2(path, "cpu"), OCCFER)
    assert found is None or isinstance(found, ExportedPredictor)


@given(st.data())
@fuzzed(0.5)
def test_fuzz_an_onnx_file(folder: Path, exported: dict[str, Path], data: st.DataObject) -> None:
    path = folder / "fuzzed.onnx"
    path.write_bytes(data.draw(changed_bytes(exported["onnx"].read_bytes())))
    found = read_or_refused(lambda: open_onnx(path, "cpu"), OCCFER)
    assert found is None or isinstance(found, ExportedPredictor)


@given(changed_json(json.loads(ExportedInfo(info_of(), "a" * 64).to_json())))
@fuzzed()
def test_fuzz_the_header_of_an_exported_file(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    found = read_or_refused(lambda: ExportedInfo.from_json(text, Path("m.onnx")), CheckpointError)
    assert found is None or ExportedInfo.from_json(found.to_json(), Path("m.onnx")).to_json() == found.to_json()


@given(changed_json(TrainConfig(manifests=(Path("a.csv"), Path("b.csv"))).to_json()))
@fuzzed()
def test_fuzz_a_configuration(content: bytes) -> None:
    try:
        values = json.loads(content)
    except ValueError:
        return
    if isinstance(values, dict):
        found = read_or_refused(lambda: TrainConfig.from_json(values), ConfigError)
        assert found is None or TrainConfig.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return make_folders(tmp_path_factory.mktemp("results"), "toy")


FILES = [
    *(("full", name) for name in ("metrics.json", "data.json", "config.json", "environment.json", "predictions.csv")),
    *(("tested", name) for name in ("metrics.json", "environment.json", "predictions.csv")),
    ("folds", "metrics.json"),
    ("profile", "profile.json"),
    ("comparison", "compare.json"),
    ("heat", "explain.json"),
    ("heat", "heat.csv"),
    ("table", "table.json"),
]


@pytest.mark.parametrize(("kind", "name"), FILES, ids=[f"{kind} {name}" for kind, name in FILES])
@given(data=st.data())
@fuzzed(0.4)
def test_fuzz_a_folder_of_results(folder: Path, results: Folders, kind: str, name: str, data: st.DataObject) -> None:
    """As `report` and `compare` read it, without the drawing of figures."""
    source: Path = getattr(results, kind)
    copy = folder / f"{kind}-{name}"
    if not copy.exists():
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("checkpoints", "*.png"))
        unseal(copy)
    plain = (source / name).read_bytes()
    if name.endswith(".json"):
        values = json.loads(plain)
        values.pop(SEAL, None)
        content = data.draw(changed_json(values))
    else:
        content = data.draw(changed_bytes(plain))
    (copy / name).write_bytes(content)
    read_or_refused(lambda: everything(copy, kind, results), OCCFER)


def everything(copy: Path, kind: str, results: Folders) -> None:
    contents = read_folders([copy])
    shows_demo(contents, manifests_of(contents))
    what_ran(contents)
    for path, compared in contents.comparisons:
        comparison_section(path, compared)
    list(heat_sections(contents.heat, contents.heat_notes))
    if contents.results:
        runs_table(contents.results, copy.parent)
        compare(CompareOptions(a=copy, b=results.long))


@given(st.data())
@fuzzed(0.5)
def test_fuzz_a_corpus(folder: Path, data: st.DataObject) -> None:
    """A manifest, its JSON or its landmarks, as training reads them."""
    manifest = folder / "corpus/builds/manifests/toy-r16.csv"
    if not manifest.exists():
        write_build(folder / "corpus/builds", Build(landmarks=True, subjects=2))
    names = [manifest, manifest.with_suffix(".json"), manifest.with_suffix(".landmarks.npz")]
    path = data.draw(st.sampled_from(names))
    plain = path.read_bytes()
    changed = changed_json(json.loads(plain)) if path.suffix == ".json" else changed_bytes(plain)
    path.write_bytes(data.draw(changed))
    try:
        corpus = read_or_refused(lambda: read_corpus([manifest]), DataError)
        if corpus is not None:
            (read,) = corpus.manifests
            assert isinstance(read, CorpusManifest)
            points = read_or_refused(lambda: read_landmarks(read, [each.pair_id for each in corpus.samples]), DataError)
            assert points is None or (points.shape == (len(corpus.samples), 68, 2) and points.dtype == np.float32)
    finally:
        path.write_bytes(plain)


RESULT = replace(small_result(), real=column("real", 11, kind="real"))


@given(changed_json(asdict(RESULT)))
@fuzzed()
def test_fuzz_a_benchmark_result(folder: Path, content: bytes) -> None:
    path = folder / BENCHMARK
    path.write_bytes(content)
    found = read_or_refused(lambda: read_benchmark(path), OCCFER)
    if found is not None:
        print_result(found)
        json.dumps(eval_results(found, "org/name"), allow_nan=False)
        assert read_benchmark(write_benchmark(folder, found)) == found
