"""Several processes: one global batch, one run, one checkpoint; started by occfer or by torchrun."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch.multiprocessing.spawn import ProcessRaisedException

from occfer.config import TrainConfig
from occfer.engine.launch import _original, _relay, launch
from occfer.errors import DataError, TrainingError
from occfer.events import Event
from occsynth.ownership import LOCK, OWNER, owned_folder
from tests.builds import ROOT
from tests.occfer.engine.process_work import die, save_gradients
from tests.occfer.toy_builds import Build, write_build

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]


MODERN = {
    "schedule": "linear", "warmup_epochs": 2.0, "clip": 0.001, "ema": 0.9, "label_smoothing": 0.1, "balance": "weights",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, MODERN], ids=["as before", "modern"])
def test_two_processes_have_the_gradients_of_one_on_the_same_batch(
    make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path, more: dict[str, Any]
) -> None:
    manifest = make_build()
    # One batch per pass, so that one process and two meet the same samples; sgd, because Adam would enlarge differences
    # in the last digit.
    settings = {"method": "full", "val_fraction": 0.0, "batch_size": 28, "optimizer": "sgd", **more}
    said: list[str] = []
    for devices in (1, 2):
        config = make_config(manifest, devices=devices, **settings)
        launch(
            config, partial(save_gradients, config=config, folder=tmp_path), lambda event: said.append(event["text"])
        )
    one = load_file(tmp_path / "0of1.safetensors")
    two = [load_file(tmp_path / f"{rank}of2.safetensors") for rank in range(2)]
    assert said.count("process 0") == 2
    for name, expected in one.items():
        assert torch.equal(two[0][name], two[1][name]), f"{name}: the processes have parted"
        torch.testing.assert_close(two[0][name], expected, rtol=1e-4, atol=1e-6)
    gradients = {name: each for name, each in one.items() if not name.startswith(("indices", "after"))}
    assert {name.partition(".")[0] for name in gradients} == {"student", "discriminator", "branch"}
    assert all(each.abs().max() > 0 for each in gradients.values())
    assert any(name.startswith("after.average") for name in one) == bool(more)


@pytest.mark.slow
def test_a_killed_process_ends_the_run_with_an_error_that_says_how_to_continue(make_config: MakeConfig) -> None:
    said: list[object] = []
    with pytest.raises(TrainingError, match=r"one of the 2 processes was killed \(.*SIGKILL\); continue with --resume"):
        launch(make_config(Path("any.csv"), devices=2), die, said.append)
    assert {"event": "note", "text": "begun"} in said


LAUNCH = """
from pathlib import Path
from occfer.config import TrainConfig
from occfer.engine.launch import launch

def work(engine, on_step):
    on_step({"event": "note", "text": "begun"})

if __name__ == "__main__":
    launch(TrainConfig(manifests=(Path("any.csv"),), out=Path("run"), devices=2, device="cpu"), work, print)
"""


@pytest.mark.slow
def test_processes_import_nothing_from_the_current_folder(tmp_path: Path) -> None:
    script, here = tmp_path / "elsewhere" / "launch.py", tmp_path / "here"
    script.parent.mkdir()
    here.mkdir()
    script.write_text(LAUNCH)
    for name in ("random", "json", "numpy", "torch", "multiprocessing", "pickle", "occfer"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=here,
        env=environment,
    )
    assert "begun" in done.stdout, done.stderr
    assert not (tmp_path / "imported").exists()


def test_a_callback_that_fails_does_not_block_the_processes() -> None:
    """More events than a pipe holds, for a callback that fails at the first."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    done = threading.Event()
    failed: list[Exception] = []
    heard: list[Event] = []

    def on_step(event: Event) -> None:
        heard.append(event)
        raise BrokenPipeError("nobody reads")

    relay = threading.Thread(target=_relay, args=(reader, done, on_step, failed), daemon=True)
    relay.start()
    for number in range(3000):
        writer.send({"event": "note", "text": f"{number:0100d}"})
    done.set()
    relay.join(60)
    assert not relay.is_alive() and len(heard) == 1
    assert [type(error) for error in failed] == [BrokenPipeError]


@pytest.mark.parametrize(
    ("last_line", "kind", "message"),
    [
        ("occfer.errors.DataError: no rows: build again", DataError, "no rows: build again"),
        ("ValueError: 3 is not 4", TrainingError, "one of the processes failed: ValueError: 3 is not 4"),
    ],
)
def test_an_error_of_a_process_is_the_runs_error(last_line: str, kind: type[Exception], message: str) -> None:
    raised = ProcessRaisedException(f"-- Process 1 terminated\nTraceback:\n  ...\n{last_line}\n", 1, 4711)
    found = _original(raised)
    assert type(found) is kind and str(found) == message


WORDS = (
    *("train", "--method", "full", "--fold", "0", "--backbone", "tiny", "--weights", "none", "--batch-size", "8"),
    *("--pretrain-epochs", "1", "--epochs", "3", "--log-every", "1", "--checkpoint-every", "1", "--no-figures"),
    *("--schedule", "cosine", "--clip", "1", "--ema", "0.9", "--label-smoothing", "0.1", "--balance", "sampler"),
    *("--device", "cpu", "--out", "run"),
)
SPAWN = (sys.executable, "-m", "tests.occfer.engine.start_occfer")
TORCHRUN = (
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    *("-m", "tests.occfer.engine.start_occfer"),
)


def begin(folder: Path, manifest: Path, program: tuple[str, ...], *more: str) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*program, *WORDS, "--manifest", str(manifest), *more],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


# These say how many processes there were, and how they were started.
PER_START = ("config.json", "environment.json")


@pytest.mark.slow
@pytest.mark.parametrize("fold", ["0", "all"])
@pytest.mark.parametrize("program", [SPAWN, TORCHRUN], ids=["started by occfer", "torchrun"])
def test_two_processes_that_are_refused_end_with_one_line(tmp_path: Path, program: tuple[str, ...], fold: str) -> None:
    """The folder is in use: none of the processes may wait for the others, and one of them says so."""
    manifest = write_build(tmp_path / "builds", Build())
    with owned_folder(tmp_path / "run", "occfer train", RuntimeError):
        devices = ("--devices", "2") if program is SPAWN else ()
        process = begin(tmp_path, manifest, program, "--fold", fold, *devices)
        said, stderr = process.communicate(timeout=300)
    assert process.returncode == 1, stderr
    told = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == 1 and told[0].startswith(f"error: run is in use by `occfer train` (process {os.getpid()} on ")
    assert said == "" and f'File "{ROOT}/occ' not in stderr, "a traceback; torchrun's own is of another package"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {OWNER, LOCK}


def files_of(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name not in PER_START}


@pytest.mark.slow
def test_two_processes_train_the_same_model_however_they_are_started_or_killed(tmp_path: Path) -> None:
    """Once under torchrun without interruption; once started by occfer, killed in stage 2 and resumed."""
    manifest = write_build(tmp_path / "builds", Build())
    process = begin(tmp_path / "torchrun", manifest, TORCHRUN)
    said, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    assert said.startswith("full on toy-r16, fold 0: accuracy ") and said.count("run folder") == 1
    for stage in ("occluded-branch", "clean-branch", "guidance"):
        assert len(re.findall(rf"^{stage} epoch 1/\d: total .* val accuracy", stderr, re.MULTILINE)) == 1, stderr
    assert "Initializing distributed" not in stderr, "that is Lightning's"
    undisturbed = files_of(tmp_path / "torchrun" / "run")
    models = {f"checkpoints/{name}.safetensors" for name in ("best", "clean-branch", "occluded-branch")}
    results = {f"{folder}{name}" for folder in ("", "clean-faces/") for name in ("metrics.json", "predictions.csv")}
    assert undisturbed.keys() == models | results | {"data.json", "metrics.csv", OWNER, LOCK}

    process = begin(tmp_path / "killed", manifest, SPAWN, "--devices", "2")
    log = tmp_path / "killed/run/metrics.csv"
    until = time.monotonic() + 600
    while not (log.is_file() and "guidance,1," in log.read_text()):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (tmp_path / "killed/run/metrics.json").exists()
    assert psutil.wait_procs(children, timeout=60)[1] == [], "processes of a killed run must end"
    process = begin(tmp_path / "killed", manifest, SPAWN, "--devices", "2", "--resume")
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    assert stdout == said
    assert len(re.findall(r"^guidance epoch 3/3: total .* val accuracy", stderr, re.MULTILINE)) == 1, stderr
    resumed = files_of(tmp_path / "killed" / "run")
    assert resumed.keys() == undisturbed.keys()
    # the header of a model file says how many processes there were
    assert all(resumed[name] == undisturbed[name] for name in resumed if name not in models)
    for name in models:
        one, two = (load_file(tmp_path / run / "run" / name) for run in ("torchrun", "killed"))
        assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one), name
