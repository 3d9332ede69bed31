"""The doctor finds nothing wrong here, and finds every fault that a test makes."""

import subprocess
import sys
from pathlib import Path

import pytest

from occsynth import doctor, system_libraries
from occsynth.doctor import Check, run_doctor

NAMES = [
    "python",
    "system libraries",
    "packages",
    "opencv",
    "landmark model",
    "templates",
    "demo database",
    "cache",
    "self-test: landmarks",
    "self-test: occlusion",
    "self-test: replay",
    "training",
]


def one(name: str) -> Check:
    return next(check for check in run_doctor() if check.name == name)


def test_a_sound_installation() -> None:
    checks = run_doctor()
    assert [check.name for check in checks] == NAMES
    assert not [check for check in checks if not check.ok]
    details = {check.name: check.detail for check in checks}
    assert details["landmark model"].endswith("64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff")
    assert "280 faces" in details["demo database"]
    assert "106 templates" in details["templates"]


def test_missing_system_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_libraries, "_loads", lambda soname: soname != "libEGL.so.1")
    check = one("system libraries")
    assert not check.ok
    assert "libEGL.so.1" in check.detail
    assert "apt-get install -y libegl1" in check.detail


def test_two_opencv_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"opencv-contrib-python": "5.0.0", "opencv-python": "4.9.0"}
    monkeypatch.setattr(doctor, "_version", lambda name: found.get(name, ""))
    check = one("opencv")
    assert not check.ok
    assert check.detail.startswith(
        "opencv-contrib-python 5.0.0, opencv-python 4.9.0 installed, but exactly one is needed."
    )
    assert "pip uninstall -y" in check.detail


def test_packages_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "")
    check = one("packages")
    assert not check.ok
    assert "Type: pip install numpy mediapipe" in check.detail
    training = one("training")
    assert training.ok  # occsynth alone is a sound installation
    assert "pip install 'occsynth[train]'" in training.detail


def test_changed_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TEMPLATES_SHA256", "0" * 64)
    check = one("templates")
    assert not check.ok
    assert "files were changed" in check.detail


def test_lost_demo_faces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text((doctor.DEMO_FACES / "labels.csv").read_text())
    monkeypatch.setattr(doctor, "DEMO_FACES", tmp_path)
    failed = {check.name: check.detail for check in run_doctor() if not check.ok}
    assert list(failed) == ["demo database", "self-test: landmarks", "self-test: occlusion", "self-test: replay"]
    assert failed["demo database"].startswith(f"280 of 280 faces are missing in {tmp_path}")


def test_other_pixels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = tmp_path / "row.json"
    changed.write_text(doctor.REFERENCE_ROW.read_text().replace('"gain_rgb": [\n   176', '"gain_rgb": [\n   177'))
    monkeypatch.setattr(doctor, "REFERENCE_ROW", changed)
    check = one("self-test: replay")
    assert not check.ok
    assert "manifests made elsewhere will not replay here" in check.detail


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    check = one("cache")
    assert not check.ok
    assert "set XDG_CACHE_HOME" in check.detail


def test_it_runs_where_opencv_does_not_load() -> None:
    code = (
        "import sys\nsys.modules['cv2'] = None\nfrom occsynth.doctor import run_doctor\n"
        "print([check.name for check in run_doctor() if not check.ok])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "'opencv'" in done.stdout, done.stderr
