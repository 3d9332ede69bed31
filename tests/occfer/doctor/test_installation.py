"""`occfer doctor` says what it finds, and finds every fault that a test makes."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.doctor import installation
from occfer.doctor.installation import Finding, run_doctor

NAMES = ["packages", "devices", "precision", "weights", "folders", "export", "search"]


def one(name: str) -> Finding:
    return next(each for each in run_doctor() if each.name == name)


def test_a_sound_installation() -> None:
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[:2] for line in lines] == [["ok", name] for name in NAMES]
    details = {name: detail for _, name, detail in lines}
    assert "torch 2." in details["packages"] and details["precision"].startswith("32")
    assert "ImageNet weights in " in details["weights"] and "--weights none" in details["weights"]
    assert details["folders"].startswith("can be written: the current folder (")


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "installed", lambda _names: {})
    assert one("packages").detail.startswith("not installed: torch, torchvision, ") and not one("packages").ok
    for name, extra in (("export", "export"), ("search", "tune")):
        assert one(name).ok and f"pip install 'occsynth[{extra}]'" in one(name).detail


def test_weights_that_are_there_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert ": none yet; resnet50, " in one("weights").detail
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    (tmp_path / "hub/checkpoints/resnet18-f37072fd.pth").touch()
    assert ": resnet18; resnet50, " in one("weights").detail


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "LEAST_FREE_MB", 10**12)
    found = one("folders")
    assert not found.ok and "(the current folder) has " in found.detail and "free 1,000,000,000,000 MB" in found.detail
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1 and result.stderr == "error: 1 of 7 checks failed: folders\n"


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    found = one("folders")
    assert not found.ok and "file/hub (ImageNet weights) cannot be written; fix its permissions" in found.detail


def test_it_runs_without_torch() -> None:
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom occfer.doctor.installation import run_doctor\n"
        "print([each.name for each in run_doctor() if not each.ok])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "['devices', 'precision', 'weights', 'folders']\n", done.stderr
