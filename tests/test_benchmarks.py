"""The benchmarks run at tiny sizes; no test depends on how long anything takes."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.__main__ import BENCHMARKS
from benchmarks.faces import make_faces
from benchmarks.measure import Finding
from occsynth.pixels.images import pixels_sha256, read_rgb

ROOT = Path(__file__).parents[1]
WORKERS = Finding("d", "two workers against one", 72.0, 40.0, "images/s", (1.7, 1.8, 1.9), 1.7)


@pytest.mark.slow
@pytest.mark.parametrize("letter", BENCHMARKS)
def test_it_runs_and_prints_its_findings(letter: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", letter],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines
    assert all(line.startswith(f"({letter})\t") and line.count("\t") == 7 for line in lines)
    assert any(line.endswith("reached") for line in lines)


def test_an_unknown_letter_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "z"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 2
    assert "unknown benchmark z; choose from a, b, c, d, e, f, g, h, i, j" in done.stderr


@pytest.mark.parametrize("module", ["child", "own_process", "onnx_passes"])
def test_processes_whose_memory_is_measured_load_no_torch(module: str) -> None:
    code = f"import sys, benchmarks.{module}\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_every_made_face_differs(tmp_path: Path) -> None:
    make_faces(tmp_path, 300)
    assert len({pixels_sha256(read_rgb(path)) for path in tmp_path.glob("*/*.jpg")}) == 300


def test_goals_bind_from_below_or_from_above() -> None:
    assert WORKERS.ratio == 1.8
    assert WORKERS.verdict == "reached"
    assert Finding("b", "x", 1, 2, "images/s", (0.5,), 0.6).verdict == "not reached"
    assert Finding("e", "x", 1, 1, "MB", (1.2,), 1.15, at_most=True).verdict == "not reached"
    assert Finding("a", "x", 1, 1, "MB", (1.2,)).verdict == ""


def test_the_pages_show_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scale = tmp_path / "scale.md"
    scale.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(report, "SCALE_PAGE", scale)
    assert report.write([WORKERS], "2 cores of X") == [tmp_path / "benchmarks.md", scale]
    line = (
        "| (d) | two workers against one | 72 images/s | 40 images/s | **1.80** | 1.70 to 1.90, n = 3 | at least 1.7 |"
    )
    assert f"{line} reached |\n" in (tmp_path / "benchmarks.md").read_text()
    text = scale.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    # 40 images/s on one core; on 16 cores 16 times that, at an efficiency of 90 %
    assert "| one core | 40 images/s | 2.0 h |" in text
    assert "| one machine, 16 cores | 576 images/s | 8 min |" in text


def test_the_page_says_by_how_much_a_goal_is_missed_and_why() -> None:
    slow = Finding("a", "JPEG to JPEG", 1000.0, 2000.0, "images/s", (0.5,), 0.8)
    slower = Finding("b", "a whole build", 100.0, 250.0, "images/s", (0.4,), 0.5)
    large = Finding("e", "peak memory", 240.0, 120.0, "MB", (2.0,), 1.15, at_most=True)
    text = report.missed([WORKERS, slow, slower, large])
    assert "- (a) JPEG to JPEG: 0.50 instead of 0.8. It adds 500 µs to 500 µs; the goal leaves 125.\n" in text
    assert "- (b) a whole build: 0.40 instead of 0.5. It adds 6,000 µs to 4,000 µs; the goal leaves 4,000.\n" in text
    assert "- (e) peak memory: 2.00 instead of 1.15.\n" in text
    assert text.count("`cv2.warpAffine`") == 1
    assert "(d)" not in text
    assert text in report.page([WORKERS, slow, slower, large], "2 cores of X")
    assert report.missed([WORKERS]) == ""


def test_the_letters_are_explained() -> None:
    readme = (ROOT / "benchmarks/README.md").read_text()
    assert all(f"| ({letter}) |" in readme for letter in BENCHMARKS)
