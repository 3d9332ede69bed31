"""The checks on a CPU, on a tiny network, and the whole command; no test depends on how long anything takes."""

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from docs import gpu_figures
from occfer.cli.app import app
from occfer.doctor import speed_checks, training_checks
from occfer.doctor.export_check import onnx_answers
from occfer.doctor.gpu_check import CHECKS, Check, check_gpu
from occfer.doctor.outcome import Bench, Figure, Outcome, Sizes, judged
from occfer.doctor.report import Card, CheckResult, Machine, Report, cells, read_report
from occfer.errors import ReportError
from occfer.training import benchmark
from tests.builds import ROOT
from tests.occfer.toy_builds import Build, write_build

TINY = Sizes(
    backbone="tiny", size_px=24, batch_size=8, fast_backbone="tiny", fast_size_px=24, fast_batch_size=8,
    stage_1_epochs=6, seconds=0.0, table4=("full",),
)  # fmt: skip
SMALL = replace(TINY, backbone="resnet18", fast_backbone="resnet18", stage_1_epochs=4)
"""For checks that start processes, in which there is no tiny network."""


@pytest.fixture
def bench(tmp_path: Path, tiny_backbone: None, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(benchmark, "BLOCK_S", 0.0)
    monkeypatch.setattr(speed_checks, "BLOCK_S", 0.0)
    manifest = write_build(tmp_path / "builds", Build(landmarks=True))
    folder = tmp_path / "check"
    folder.mkdir()
    return Bench(device="cpu", manifest=manifest, folder=folder, sizes=TINY)


def figures(outcome: Outcome) -> dict[str, float]:
    assert len({each.name for each in outcome.figures}) == len(outcome.figures)
    assert all(math.isfinite(each.value) for each in outcome.figures)
    return {each.name: each.value for each in outcome.figures}


@pytest.mark.slow
def test_a_run_equals_the_cpus(bench: Bench) -> None:
    """Of a network without dropout, whose draws follow the memory layout that stands in for a card."""
    outcome = training_checks.like_the_cpu(replace(bench, sizes=SMALL))
    assert outcome.status == "passed", outcome
    loss, branch, final = figures(outcome).values()
    assert 0 <= loss <= 1e-3 and 0 <= branch <= 0.2 and 0 <= final <= 0.2
    assert "stage 2 of full, resnet18, 24 px, float32 without TF32" in outcome.detail
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32


def test_another_run_does_not_equal_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that computes something else is found: here it has another first network and other batches."""
    original = Bench.config

    def other(self: Bench, name: str, **changes: object) -> object:
        return original(self, name, **changes, **({"seed": 1} if name == "other" else {}))

    monkeypatch.setattr(Bench, "config", other)
    outcome = training_checks.like_the_cpu(bench)
    assert outcome.status == "failed" and min(figures(outcome).values()) > 1e-3


def test_bf16_trains(bench: Bench) -> None:
    outcome = training_checks.trains_in_bf16(bench)
    assert outcome.status == "passed" and outcome.detail.startswith("bf16: "), outcome
    began, ended = figures(outcome).values()
    assert ended <= 0.9 * began


def test_a_loss_that_does_not_fall_fails(bench: Bench) -> None:
    config = bench.config("still", pretrain_rate=1e-12)
    assert training_checks._falls(config).status == "failed"


@pytest.mark.slow
def test_live_occlusions_are_measured(bench: Bench) -> None:
    outcome = speed_checks.live_occlusion_feeds(bench)
    drawn, used, live, share = figures(outcome).values()
    assert min(drawn, used, live) > 0 and share == pytest.approx(live / used)
    assert outcome.status == ("passed" if share >= 0.9 else "failed")
    # 28 faces train, in four batches, though eight could be in one
    assert "batches of 7 faces" in outcome.detail


def test_faces_are_counted_by_the_batches_that_there_are(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_checks, "timed", lambda *_: [0.5])
    config = bench.fast_config(live_occlusion="random", workers=1)
    rates = speed_checks._in_launched(config, partial(speed_checks._live_rates, config=config, seconds=0.0))
    assert rates == {"batch": 7.0, "stored": 28.0, "live": 28.0, "drawn": 14.0}


def test_the_bare_loop_is_measured(bench: Bench) -> None:
    outcome = speed_checks.against_a_bare_loop(bench)
    ours, bare, share = figures(outcome).values()
    assert min(ours, bare) > 0 and share == pytest.approx(ours / bare)
    assert outcome.status == ("passed" if share >= 0.9 else "failed")


@pytest.mark.slow
def test_an_exported_model_answers(bench: Bench) -> None:
    outcome = onnx_answers(bench)
    assert outcome.status == "passed", outcome
    assert max(figures(outcome).values()) <= 1e-4
    assert " on the CPU, against torch" in outcome.detail


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_ddp_over_all_there_is(bench: Bench, processes: int) -> None:
    """With one, under torchrun, as on a machine with a single card."""
    outcome = training_checks.on_all_cards(replace(bench, sizes=replace(SMALL, cpu_processes=processes)))
    assert outcome.status == "passed", outcome
    assert figures(outcome)["process(es) on the CPU"] == processes
    assert ("one card was there" in outcome.detail) == (processes == 1)


@pytest.mark.slow
def test_killed_and_resumed(bench: Bench) -> None:
    outcome = training_checks.killed_and_resumed(replace(bench, sizes=SMALL))
    assert outcome.status == "passed", outcome
    assert figures(outcome) == {"largest difference of a weight": 0.0}
    assert (
        outcome.detail
        == "a run of full, killed (SIGKILL) after 5 of 8 rounds of stage 2, and resumed: equal to the bit"
    )


def test_table4_is_measured(bench: Bench) -> None:
    outcome = speed_checks.table4(replace(bench, sizes=replace(TINY, fast_size_px=48)))
    assert outcome.status == "passed" and list(figures(outcome)) == ["full"]
    assert figures(outcome)["full"] > 0


def works(bench: Bench) -> Outcome:
    return judged(True, f"on {bench.device}", (Figure("found", 2.5, "MB"),), "none")


def breaks(bench: Bench) -> Outcome:
    raise RuntimeError(f"CUDA out of memory on {bench.device}")


MADE = {
    "breaks": Check("one that breaks", breaks, needs_faces=False),
    "works": Check("one that works", works, needs_faces=False),
    "no-cpu": Check("one for cards", works, not_on_cpu="it needs a card"),
}


@pytest.mark.slow
def test_one_broken_check_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occfer.doctor.gpu_check.CHECKS", MADE)
    monkeypatch.chdir(tmp_path)
    seen: list[CheckResult] = []
    report = check_gpu("cpu", Path("made/report.json"), on_result=seen.append)
    assert [(each.check, each.status) for each in report.checks] == [
        ("breaks", "failed"), ("works", "passed"), ("no-cpu", "skipped"),
    ]  # fmt: skip
    assert report.checks == tuple(seen)
    broken, sound, skipped = report.checks
    assert broken.detail == "RuntimeError: CUDA out of memory on cpu" and "Traceback" in broken.log
    assert sound.detail == "on cpu" and sound.log == "" and skipped.detail == "it needs a card"
    assert cells(sound)[:4] == ["one that works", "passed", "found 2.5 MB", "none"]
    assert report.checked == "cpu" and report.machine.device.startswith("CPU") and report.machine.cards == ()
    assert read_report(tmp_path / "made/report.json") == report
    content = json.loads((tmp_path / "made/report.json").read_text())
    assert content["made_by"] == "made by occfer doctor"
    assert content["versions"].keys() >= {"python", "torch", "occsynth"}


def test_a_file_that_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"n": 3}')
    with pytest.raises(
        ReportError, match=r"is not a report of `occfer doctor --gpu` is incomplete: made_by is missing"
    ):
        read_report(path)
    with pytest.raises(ReportError, match=r"cannot be read: No such file.*; write it with `occfer doctor --gpu`"):
        read_report(tmp_path / "none.json")


def call(*words: str, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, ["doctor", *words])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.stdout, result.stderr


def test_the_command_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "go with --gpu" in call("--device", "cpu", code=1)[1]
    _, said = call("--gpu", "--device", "cpu", "--only", "speed", code=1)
    assert said == f"error: unknown check 'speed'; choose one of: {', '.join(CHECKS)}\n"
    Path("gpu-check.json").write_text("mine")
    assert "gpu-check.json already exists and was not made by `occfer doctor`" in call("--gpu", code=1)[1]
    assert Path("gpu-check.json").read_text() == "mine"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = call("--gpu", code=1)[1]
    assert said.startswith("error: no card to check: ") and said.endswith("--device cpu tries the checks on the CPU\n")
    assert not list(tmp_path.iterdir())


def test_the_command_prints_a_table_and_writes_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stdout, stderr = call("--gpu", "--device", "cpu", "--only", "fp16")
    header, line, summary, last = stdout.splitlines()
    assert header.split("\t")[:2] == ["check", "status"] and line.split("\t")[:2] == ["fp16 trains", "skipped"]
    assert ", in place of a card: no figure says anything about one" in summary and last == "report\tgpu-check.json"
    assert stderr.splitlines() == ["checking: fp16 trains ...", "skipped after 0 s"]
    assert [each.check for each in read_report(Path("gpu-check.json")).checks] == ["fp16"]


@pytest.mark.slow
def test_the_whole_command_on_the_demo_faces(tmp_path: Path) -> None:
    """What does not depend on the time that it takes must pass."""
    sizes = replace(SMALL, stage_1_epochs=5, batch_size=16)
    report = check_gpu("cpu", tmp_path / "report.json", sizes=sizes)
    found = {each.check: each for each in report.checks}
    assert list(found) == list(CHECKS)
    assert found["fp16"].status == "skipped"
    judged_by_speed = {"live-occlusion", "bare-loop"}
    wrong = [each for name, each in found.items() if name not in judged_by_speed | {"fp16"} and each.status != "passed"]
    assert not wrong, wrong
    assert all(found[name].figures and found[name].status in ("passed", "failed") for name in judged_by_speed)


def test_the_docs_name_every_check() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert {name for name in CHECKS if f"| `{name}` |" not in page} == set()
    assert "$ make gpu-check" in page


REPORT = Report(
    made_by="made by occfer doctor",
    date="2026-01-02T03:04:05+00:00",
    command="occfer doctor --gpu",
    checked="cuda",
    machine=Machine("A card", (Card("A card", 80_000.0, "9.0"),), 16, "a system", "12.8", "91000"),
    seconds=271.0,
    versions={"torch": "2.9.0"},
    checks=(
        CheckResult("bf16", "bf16 trains", "passed", "bf16: it did", (Figure("loss | end", 1.25, ""),), "less", 20.0),
        CheckResult("onnx", "export", "failed", "it broke", (), "", 30.0, "Traceback"),
    ),
)


def test_a_report_counts_its_checks() -> None:
    assert [each.check for each in REPORT.of("failed")] == ["onnx"] and REPORT.of("skipped") == []


def test_figures_of_a_card_go_into_the_docs() -> None:
    page = gpu_figures.PAGE.read_text(encoding="utf-8")
    made = gpu_figures.put(gpu_figures.markdown(REPORT), page)
    assert "A card, 16 cores, CUDA 12.8, torch 2.9.0, on 2026-01-02, in 271 s:\n" in made
    assert "\n| bf16 trains | passed | loss / end 1.25 |\n| export | failed |  |\n" in made
    assert gpu_figures.put(gpu_figures.markdown(REPORT), made) == made
    assert made.partition("## What a GPU run")[2] == page.partition("## What a GPU run")[2] != ""
    with pytest.raises(ReportError, match="of a CPU in place of a card"):
        gpu_figures.markdown(replace(REPORT, checked="cpu"))
