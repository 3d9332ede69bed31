"""The wheel carries what it needs and nothing else, and works in an empty environment in another folder."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("occsynth", "occfer")
STEMS = ("s001_anger", "s001_happiness", "s002_neutral")
NEEDS_TRAIN = "occfer needs its training dependencies: pip install 'occsynth[train]'"

pytestmark = pytest.mark.xdist_group("wheel")  # one process builds and installs for all of these


def run(*command: str | Path, cwd: Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(command, cwd=cwd, env=outside, capture_output=True, text=True, check=False)
    assert done.returncode == expect, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, as a package index's users get it where no wheel fits."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    assert len(list(folder.glob("*.tar.gz"))) == 1
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with nothing but an environment into which the wheel alone was installed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "venv", folder / "env", cwd=folder)
    run(folder / "env/bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    yield folder
    shutil.rmtree(folder / "env")  # over half a gigabyte


@pytest.mark.slow
def test_what_the_wheel_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        model = archive.read("occsynth/assets/face_landmarker.task")
    dist_info = next(name for name in names if ".dist-info/" in name).split("/")[0]
    assert {name.split("/")[0] for name in names} == {*PACKAGES, dist_info}
    modules = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    templates = sorted((ROOT / "templates").glob("*/*.png"))
    assert len(templates) == 106
    expected = {f"occsynth/assets/{path.relative_to(ROOT)}" for path in templates}
    expected |= {f"occsynth/assets/templates/{name}" for name in ("index.csv", "wear.csv", "README.md")}
    assert {name for name in names if "/assets/templates/" in name} == expected
    suites = sorted(path for path in (ROOT / "manifests/suites").rglob("*") if path.is_file())
    expected = {f"occsynth/assets/{path.relative_to(ROOT / 'manifests')}" for path in suites}
    assert {name for name in names if "/assets/suites/" in name} == expected and len(expected) == 46
    assert len([name for name in names if re.fullmatch(r"occsynth/assets/demo_faces/images/.*\.jpg", name)]) == 280
    assert {f"occfer/reports/report.{ending}" for ending in ("html.j2", "css", "js")} <= names
    assert {"occsynth/py.typed", "occfer/py.typed", "occsynth/assets/demo_faces/labels.csv"} <= names
    assert {f"{dist_info}/licenses/LICENSE", f"{dist_info}/licenses/NOTICE"} <= names
    assert "occsynth/assets/face_landmarker.md" in names
    assert hashlib.sha256(model).hexdigest() == "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
    assert wheel.stat().st_size < 12_000_000


@pytest.mark.slow
def test_the_base_install_has_no_torch(elsewhere: Path) -> None:
    python = elsewhere / "env/bin/python"
    assert "No module named 'torch'" in run(python, "-c", "import torch", cwd=elsewhere, expect=1).stderr
    run(python, "-m", "pip", "check", cwd=elsewhere)
    place = run(python, "-c", "import occsynth; print(occsynth.__file__)", cwd=elsewhere).stdout
    assert place.startswith(str(elsewhere))


@pytest.mark.slow
def test_occsynth_works_elsewhere(elsewhere: Path) -> None:
    occsynth = elsewhere / "env/bin/occsynth"
    assert "build" in run(occsynth, "--help", cwd=elsewhere).stdout
    assert "pip install 'occsynth[train]'" in run(occsynth, "doctor", cwd=elsewhere).stdout
    assert "hand" in run(occsynth, "templates", cwd=elsewhere).stdout
    assert "demo 1: 22 columns of 28 faces" in run(occsynth, "suite", "check", "demo", cwd=elsewhere).stdout
    (elsewhere / "three.txt").write_text("\n".join(STEMS) + "\n")
    run(occsynth, "build", "--db", "demo", "--mode", "r16", "--subset", "three.txt", cwd=elsewhere)
    manifest = elsewhere / "builds/manifests/demo-r16-three.csv"
    assert len(manifest.read_text().splitlines()) == 1 + len(STEMS)
    run(occsynth, "verify", manifest, cwd=elsewhere)
    run(occsynth, "replay", manifest, "--out", "again", cwd=elsewhere)
    run(occsynth, "verify", "again/manifests/demo-r16-three.csv", cwd=elsewhere)


@pytest.mark.slow
def test_occfer_says_what_to_install(elsewhere: Path) -> None:
    occfer = elsewhere / "env/bin/occfer"
    assert "train" in run(occfer, "--help", cwd=elsewhere).stdout
    done = run(occfer, "train", "--manifest", "a.csv", cwd=elsewhere, expect=1)
    assert (done.stdout + done.stderr).strip() == f"error: {NEEDS_TRAIN}"
