"""Training with live occlusions from worker processes: they change no result, and end with the run however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from occfer.config import TrainConfig
from occfer.data.batch_maker import LiveOcclusion
from occfer.data.manifests import read_corpus
from occfer.data.packs import open_packs
from occfer.engine.engine import one_process
from occfer.engine.run_data import MOST_WORKERS, RunData, prepare
from tests.builds import ROOT
from tests.occfer.toy_builds import Build, write_build

WORDS = (
    *("train", "--method", "full", "--fold", "0", "--backbone", "tiny", "--weights", "none", "--batch-size", "8"),
    *("--pretrain-epochs", "1", "--epochs", "4", "--log-every", "1", "--device", "cpu", "--no-figures"),
    *("--live-occlusion", "random", "--clean-share", "0.2", "--crop", "2", "--erase", "0.3", "--rotate", "9"),
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_build(tmp_path_factory.mktemp("builds"), Build())
    open_packs(read_corpus([made]), Build().size_px)
    return made


def begin(folder: Path, manifest: Path, *more: str) -> "subprocess.Popen[str]":
    """A run in a session of its own, by which its processes are known."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.occfer.engine.start_occfer", *WORDS, "--manifest", str(manifest), *more],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finished(process: "subprocess.Popen[str]") -> None:
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr


def processes_of(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of_session) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="module")
def undisturbed(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose batches were made by the process that trains."""
    folder = tmp_path_factory.mktemp("undisturbed")
    finished(begin(folder, manifest, "--workers", "0", "--out", "run"))
    return folder / "run"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_a_run_that_is_ended_leaves_no_worker_and_goes_on_to_the_same_result(
    manifest: Path, undisturbed: Path, tmp_path: Path, how: signal.Signals
) -> None:
    process = begin(tmp_path, manifest, "--workers", "2", "--out", "run")
    log, until = tmp_path / "run" / "metrics.csv", time.monotonic() + 120
    while not (log.is_file() and "guidance,2," in log.read_text()):
        assert time.monotonic() < until and process.poll() is None, process.communicate()
        time.sleep(0.05)
    assert len(processes_of(process.pid)) >= 3
    if how == signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does: every process gets it
    else:
        process.send_signal(how)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -how), stderr
    assert "Traceback" not in stderr
    until = time.monotonic() + 30
    while left := processes_of(process.pid):
        assert time.monotonic() < until, left
        time.sleep(0.1)
    finished(begin(tmp_path, manifest, "--workers", "1", "--out", "run", "--resume"))
    for name in ("metrics.csv", "predictions.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (undisturbed / name).read_bytes(), name
    weights, expected = (load_file(run / "checkpoints" / "best.safetensors") for run in (tmp_path / "run", undisturbed))
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def data_of(config: TrainConfig, live: LiveOcclusion | None) -> RunData:
    return prepare(config, one_process("cpu"), live)


@pytest.mark.parametrize(
    ("live", "asked", "workers"), [(False, None, 0), (True, None, None), (True, 0, 0), (True, 3, 3), (False, 2, 2)]
)
def test_live_occlusions_get_workers_and_images_in_memory_do_not(
    manifest: Path, tmp_path: Path, live: bool, asked: int | None, workers: int | None
) -> None:
    config = TrainConfig(manifests=(manifest,), fold=0, device="cpu", workers=asked, out=tmp_path / "run")
    data = data_of(config, (lambda clean, *_: clean) if live else None)
    batches = data.batches(config, one_process("cpu"), "student", with_clean=True, stage2=True)
    if workers is None:
        assert 1 <= batches.workers <= MOST_WORKERS
    else:
        assert batches.workers == workers


def test_the_discriminator_and_the_clean_branch_get_no_share_of_clean_faces(manifest: Path, tmp_path: Path) -> None:
    config = TrainConfig(manifests=(manifest,), fold=0, device="cpu", clean_share=0.25, out=tmp_path / "run")
    data, engine = data_of(config, None), one_process("cpu")
    shares = [
        data.batches(config, engine, "any", with_clean=True, stage2=True, **which).make.clean_share
        for which in ({}, {"mixed": False}, {"live": False})
    ]
    assert shares == [0.25, 0.0, 0.0]
