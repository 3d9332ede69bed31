"""Two processes and one folder: the second is told who works there, or waits where both want the same thing made."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from occfer.config import TrainConfig
from occfer.data.manifests import read_corpus
from occfer.data.packs import open_packs
from occfer.errors import ConfigError
from occfer.events import Event
from occfer.runs.run_folder import RunPaths
from occfer.training.folds import train_folds
from occfer.training.train import train
from occsynth.ownership import LOCK, OWNER, maker_of
from tests.builds import ROOT
from tests.occfer.toy_builds import Build, write_build

START = (sys.executable, "-m", "tests.occfer.engine.start_occfer")
TINY = (
    *("--backbone", "tiny", "--weights", "none", "--batch-size", "8", "--pretrain-epochs", "1", "--device", "cpu"),
    *("--size", "24"),
)


def begin(folder: Path, *words: object) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*START, *map(str, words)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(found: Path, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 300
    while not found.exists():
        assert time.monotonic() < until and process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_build(tmp_path / "builds", Build(name="demo-r16", database="demo"))


COMMANDS = {
    "train": (("train", "--method", "full", "--fold", "0", "--epochs", "2000", "--no-figures"), "metrics.csv"),
    "tune": (
        ("tune", "--method", "sim", "--grid", "lambda-sim=1", "--trials", "1", "--workers", "1", "--epochs", "2000"),
        "branches",
    ),
    "reproduce": (
        (
            *("reproduce", "table2", "--db", "demo", "--modes", "r16", "--rows", "resnet,full", "--folds", "0"),
            *("--epochs", "2000", "--workers", "1"),
        ),
        "branches",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_the_second_is_told_who_is_there_and_kill_9_frees_the_folder(
    command: str, manifest: Path, tmp_path: Path
) -> None:
    words, sign = COMMANDS[command]
    words = (*words, *TINY, *(() if command == "reproduce" else ("--manifest", str(manifest))), "--out", "out")
    first = begin(tmp_path, *words, "--seed", 1)
    wait_for(tmp_path / "out" / sign, first)
    since = json.loads((tmp_path / "out" / OWNER).read_text())["since"]
    second = begin(tmp_path, *words, "--seed", 2)
    _, stderr = second.communicate(timeout=300)
    told = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert second.returncode == 1 and len(told) == 1, stderr
    assert f"out is in use by `occfer {command}` (process {first.pid} on " in told[0] and f"since {since})" in told[0]
    first.send_signal(signal.SIGKILL)
    first.communicate()
    until = time.monotonic() + 60  # processes of the first one's pool may live a little longer
    lock = FileLock(tmp_path / "out" / LOCK)
    lock.acquire(timeout=max(0.0, until - time.monotonic()))
    lock.release()
    assert maker_of(tmp_path / "out") == f"occfer {command}"


@pytest.fixture
def config(manifest: Path, tmp_path: Path, tiny_backbone: None) -> TrainConfig:
    return TrainConfig(
        manifests=(manifest,), method="resnet", fold=0, backbone="tiny", weights="none", epochs=1, pretrain_epochs=1,
        batch_size=8, device="cpu", out=tmp_path / "run",
    )  # fmt: skip


def test_two_seeds_never_meet_in_one_folder(config: TrainConfig) -> None:
    """The first run is asked while it trains, as a second process would ask."""
    told: list[str] = []

    def second(event: Event) -> None:
        if event["event"] == "step" and not told:
            with pytest.raises(ConfigError) as refused:
                train(TrainConfig.from_json(config.to_json() | {"seed": 2, "resume": True}))
            told.append(str(refused.value))

    train(config, on_step=second)
    assert told[0].startswith(f"{config.out} is in use by `occfer train` (process {os.getpid()} on ")
    assert json.loads(RunPaths(config.out).config.read_text())["seed"] == config.seed


def test_a_run_and_a_run_over_all_folds_keep_apart(config: TrainConfig) -> None:
    train(config)
    every = TrainConfig.from_json(config.to_json() | {"fold": None, "resume": True})
    with pytest.raises(ConfigError, match=r"was made by `occfer train`\. Choose another folder with --out"):
        train_folds(every)
    folds = config.out.with_name("folds")
    train_folds(TrainConfig.from_json(every.to_json() | {"out": str(folds)}))
    with pytest.raises(ConfigError, match=r"was made by `occfer train --fold all`\. Choose another folder with --out"):
        train(TrainConfig.from_json(config.to_json() | {"out": str(folds), "resume": True}))


def test_a_run_that_could_not_begin_leaves_no_folder(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"gone\.csv not found"):
        train(TrainConfig.from_json(config.to_json() | {"manifests": [str(tmp_path / "gone.csv")]}))
    assert not config.out.exists()


HOLD = """
import sys, time
from contextlib import ExitStack
from pathlib import Path
from occsynth.ownership import take_turn
with ExitStack() as turn:
    assert not take_turn(turn, Path(sys.argv[1]), "occfer train")
    print("in", flush=True)
    time.sleep(600)
"""


@contextmanager
def another_process_at(entry: Path) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen([sys.executable, "-c", HOLD, entry], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "in\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_run_waits_for_a_branch_that_another_trains(config: TrainConfig, tmp_path: Path) -> None:
    """The other one is killed before it has made the branch, so this run trains it."""
    shared = {"branch_cache": str(tmp_path / "branches")}
    train(TrainConfig.from_json(config.to_json() | shared))
    (branch,) = (tmp_path / "branches").glob("*.safetensors")
    branch.unlink()
    notes: list[str] = []
    with another_process_at(branch) as other:

        def on_step(event: Event) -> None:
            if event["event"] == "note":
                notes.append(event["text"])
                if "waiting for" in event["text"]:
                    other.kill()

        train(TrainConfig.from_json(config.to_json() | shared | {"out": str(tmp_path / "second")}), on_step=on_step)
    waited = [note for note in notes if "waiting" in note]
    assert len(waited) == 1
    assert waited[0].startswith(f"occluded branch: waiting for `occfer train` (process {other.pid} on ")
    assert waited[0].endswith("which trains the same one")
    assert branch.is_file(), "the run that waited trains the branch itself, and shares it"


def test_a_branch_that_came_while_a_run_waited_is_taken(config: TrainConfig, tmp_path: Path) -> None:
    shared = {"branch_cache": str(tmp_path / "branches")}
    train(TrainConfig.from_json(config.to_json() | shared))
    (branch,) = (tmp_path / "branches").glob("*.safetensors")
    content = branch.read_bytes()
    branch.unlink()
    notes: list[str] = []
    with another_process_at(branch) as other:

        def on_step(event: Event) -> None:
            if event["event"] == "note":
                notes.append(event["text"])
                if "waiting for" in event["text"]:
                    branch.write_bytes(content)
                    other.kill()

        train(TrainConfig.from_json(config.to_json() | shared | {"out": str(tmp_path / "second")}), on_step=on_step)
    assert f"occluded branch from {branch}" in notes


def test_whoever_wants_the_same_pack_waits(manifest: Path, tmp_path: Path) -> None:
    corpus = read_corpus([manifest])
    said: list[str] = []
    with another_process_at(tmp_path / "packs/demo-r16-24px") as other:

        def say(text: str) -> None:
            said.append(text)
            other.kill()

        (pack,) = open_packs(corpus, 24, tmp_path / "packs", say=say)
    assert pack.folder.is_dir() and len(said) == 1
    assert said[0].startswith(f"waiting for `occfer train` (process {other.pid} on ")
    assert said[0].endswith("which decodes the images of demo-r16")


def test_a_shared_folder_that_cannot_be_written_to_is_one_line(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = r"--branch-cache \S+file/branches cannot be written to \(Not a directory\); choose another"
    with pytest.raises(ConfigError, match=told):
        train(TrainConfig.from_json(config.to_json() | {"branch_cache": str(tmp_path / "file/branches")}))
