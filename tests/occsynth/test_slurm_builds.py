"""Builds and replays by jobs of SLURM, through submitit's local executor: the same bytes, also after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from occsynth.build import build as build_module
from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.manifest import open_manifest
from occsynth.sharing import replay as replay_module
from occsynth.sharing.publish import publish
from occsynth.sharing.replay import replay
from tests.builds import ROOT, files_under

LOCAL = ("cluster=local", "time=10", "setup=export SLURM_CPUS_ON_NODE=1")
FACES = [f"s{person:03}_{expression}" for person in range(1, 13) for expression in ("anger", "fear", "neutral")]


@pytest.mark.slow
def test_a_killed_build_and_a_replay_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faces.txt").write_text("\n".join(FACES))  # two chunks
    here = BuildOptions(db="demo", modes=("eyes",), subset=tmp_path / "faces.txt", out=tmp_path / "here", workers=1)
    report = build(here)
    there = tmp_path / "there"
    command = [sys.executable, "-m", "occsynth", "build", "--db", "demo", "--mode", "eyes", "--out", str(there)]
    command += ["--subset", str(tmp_path / "faces.txt"), "--backend", "slurm"]
    command += [word for option in LOCAL for word in ("--slurm", option)]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as submitter:
        until = time.monotonic() + 120
        while not list(there.glob(".work/demo-*/00000000.json")):
            assert time.monotonic() < until and submitter.poll() is None
            time.sleep(0.02)
        submitter.send_signal(signal.SIGKILL)
    for module in (build_module, replay_module):
        monkeypatch.setattr(module, "CHUNKS_IN_A_JOB", 1)
    resumed = build(
        BuildOptions(db="demo", modes=("eyes",), subset=here.subset, out=there, backend="slurm", slurm=LOCAL)
    )
    assert not resumed.reused and resumed.rows == len(FACES)
    assert files_under(there) == files_under(here.out)
    assert not (there / "slurm").exists()
    published = publish(open_manifest(report.manifests[0]), tmp_path / "published.csv")
    replayed = replay(open_manifest(published), out=tmp_path / "again", backend="slurm", slurm=LOCAL)
    assert replayed.rows == len(FACES)
    images = {name: content for name, content in files_under(here.out).items() if name.endswith(".png")}
    again = files_under(tmp_path / "again")
    assert images and all(again[name] == content for name, content in images.items())
