"""`occfer bench`: every measurement runs the engine; no test depends on how long that takes."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.engine.engine import Engine, one_process
from occfer.engine.launch import launch
from occfer.errors import ConfigError, UnknownNameError
from occfer.methods import METHODS
from occfer.training import benchmark as bench
from occfer.training.benchmark import REPEATS, WARM_UP, Measured, made_data, measure, prepared, timed
from tests.builds import ROOT

MakeConfig = Callable[..., TrainConfig]
STAGE2 = [name for name, method in METHODS.items() if method.stage2]
ANY = Path("any.csv")


@pytest.mark.parametrize("what", ["data path", "stage 1", *(f"stage 2, {name}" for name in STAGE2), "inference"])
def test_each_measurement_runs_the_engine(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(bench, "BLOCK_S", 0.0)
    config = make_config(ANY, size_px=24, batch_size=4)
    found = measure(what, config, 0.0)
    assert found is not None and (found.what, found.repeats) == (what, REPEATS)
    assert 0 < found.lowest <= found.images_per_s <= found.highest
    assert found.peak_mb > 50


def test_a_round_is_one_round_of_training(make_config: MakeConfig) -> None:
    config = make_config(ANY, size_px=24, batch_size=6, discriminator_updates=2, student_updates=3)

    def work(engine: Engine, _: Any) -> None:
        data = made_data(config, engine)
        updates: Any = prepared("stage 2, full", data, config, engine)(0)  # a call may return anything
        assert ["d" in update.terms for update in updates] == [True] * 2 + [False] * 3
        assert all(len(update.indices) == 6 for update in updates)
        first: Any = prepared("stage 1", data, config, engine)(0)
        assert [len(update.indices) for update in first] == [6]
        logits: Any = prepared("inference", data, config, engine)(0)
        assert logits.shape == (6, 7)

    launch(config, work, lambda _: None)


def test_warm_up_and_repeats_call_one_number_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BLOCK_S", 0.0)
    called: list[int] = []
    assert len(timed(called.append, one_process("cpu"), 0.0)) == REPEATS
    assert called == list(range(WARM_UP + 1 + REPEATS))


def test_unknown_names_and_missing_devices_are_errors(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def first(config: TrainConfig, *methods: str) -> Measured:
        return next(iter(bench.bench(config, methods, seconds=0, on_start=lambda _: None)))

    with pytest.raises(UnknownNameError, match="unknown method of stage 2 'resnet'; choose one of: sim, lir"):
        first(make_config(ANY), "resnet")
    with pytest.raises(UnknownNameError, match="unknown backbone 'vgg'"):
        first(make_config(ANY, backbone="vgg"), "full")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match=r"this machine has 0 CUDA device"):
        first(make_config(ANY, device="cuda"), "full")


@pytest.mark.slow
def test_the_command_of_the_docs_prints_a_line_for_each() -> None:
    """With a smaller network, image size and batch than on the page."""
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```console\n\$ occfer (.*?)^```$", page, re.MULTILINE | re.DOTALL)
    words = shlex.split(block)
    for flag, small in (("--backbone", "mobilenet_v2"), ("--size", "32"), ("--batch-size", "4")):
        words[words.index(flag) + 1] = small
    result = CliRunner().invoke(app, [*words, "--seconds", "0", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    names = ["data path", "stage 1", "stage 2, full", "stage 2, resnet-long", "inference"]
    assert [each["what"] for each in report["measured"]] == names
    assert report["settings"]["batch_size"] == 4 and report["device"].startswith(("CPU", "NVIDIA"))
    assert result.stderr.splitlines() == [f"measuring {name} ..." for name in names]


def test_a_table_names_settings_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "bench", lambda *_, **__: iter([Measured("stage 1", 1234.5, 1200.0, 1300.0, 5, 987.6)]))
    result = CliRunner().invoke(app, ["bench", "--size", "48", "--device", "cpu", "--precision", "bf16"])
    first, header, line = result.stdout.splitlines()
    assert re.fullmatch(r"resnet50, 48 px, batch 32, precision bf16, on CPU, \d+ cores \(.*\)", first)
    assert header.split("\t") == ["what", "images/s", "lowest to highest", "repeats", "peak memory"]
    assert line.split("\t") == ["stage 1", "1,234", "1,200 to 1,300", "5", "988 MB"]
