"""results.json, as the Hugging Face Hub reads it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from occfer.benchmark.eval_results import eval_results, write_eval_results
from tests.occfer.benchmark.results import column, small_result

hub = pytest.importorskip("huggingface_hub")


def test_the_hub_reads_every_figure(tmp_path: Path) -> None:
    result = replace(small_result(), real=column("real", 11, kind="real"))
    path = write_eval_results(tmp_path, result, "org/occfer-bench")
    assert yaml.safe_load(path.read_text()) == json.loads(path.read_text())
    entries = hub.parse_eval_result_entries(json.loads(path.read_text()))
    assert {entry.dataset_id for entry in entries} == {"org/occfer-bench"}
    assert {entry.task_id: entry.value for entry in entries} == {
        "clean": 0.8, "mean": 0.5, "mean-paper": 0.5, "mean-seen": 0.6, "mean-unseen": 0.4, "worst": 0.4,
        "relative-drop": 0.375, "real": 0.55,
    }  # fmt: skip
    assert all(f"digest {result.suite.digest}" in entry.notes for entry in entries)
    assert hub.eval_result_entries_to_yaml(entries) == json.loads(path.read_text())


def test_without_a_data_set_the_suite_is_named(tmp_path: Path) -> None:
    written = json.loads(write_eval_results(tmp_path, small_result()).read_text())
    assert written == eval_results(small_result(), "small")
    assert [entry["dataset"]["task_id"] for entry in written][-1] == "relative-drop"
