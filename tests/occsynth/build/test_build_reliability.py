"""Builds that are killed, run out of disk space, or lack permission: finished work is kept, and the result is equal."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from occsynth.build.build import build
from occsynth.errors import BuildError
from tests.occsynth.build.test_build import DEMO_IMAGES, options, tree

BUILD = """
import sys
from pathlib import Path
from occsynth.build.build import build
from occsynth.build.options import BuildOptions
if __name__ == "__main__":
    subset, out, workers = sys.argv[1:4]
    build(BuildOptions(db="demo", modes=("r16", "mouth"), out=Path(out), subset=Path(subset), workers=int(workers)))
"""


def start(script: Path, subset: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(script), str(subset), str(out), str(workers)]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)


def parts(out: Path) -> int:
    return len(list((out / ".work").glob("*/*.json")))


def kill_after(process: subprocess.Popen[bytes], out: Path, count: int, pause_s: float) -> None:
    """Kills the whole process group a moment after that many part files have been written."""
    limit = time.monotonic() + 120
    while process.poll() is None and parts(out) < count and time.monotonic() < limit:
        time.sleep(0.005)
    time.sleep(pause_s)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_build_goes_on_to_the_same_bytes(tmp_path: Path, workers: int) -> None:
    subset = tmp_path / "faces.txt"
    subset.write_text("\n".join(path.stem for path in sorted(DEMO_IMAGES.rglob("*.jpg"))[:160]))
    script = tmp_path / "run_build.py"
    script.write_text(BUILD)
    build(options(tmp_path / "whole", "r16,mouth", subset=subset))
    out = tmp_path / "killed"
    kept = []
    for count, pause_s in ((0, 0.0), (0, 1.5), (1, 0.0), (2, 0.05), (3, 0.2), (4, 0.1)):
        process = start(script, subset, out, workers)
        kill_after(process, out, count, pause_s)
        kept.append(parts(out))
        assert not list((out / "data").rglob("*.tmp")), "an unfinished image under a made image's folder"
    assert kept == sorted(kept), "done work was lost"
    process = start(script, subset, out, workers)
    assert process.wait(timeout=120) == 0
    assert tree(out) == tree(tmp_path / "whole")
    assert not list((out / ".work").glob("*/")), "the work folder is left"


@pytest.mark.slow
def test_a_killed_replay_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    subset = tmp_path / "faces.txt"
    subset.write_text("\n".join(path.stem for path in sorted(DEMO_IMAGES.rglob("*.jpg"))[:160]))
    manifest = build(options(tmp_path / "whole", "mouth", subset=subset)).manifests[0]
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "occsynth", "replay", str(manifest), "--out", str(out), "--workers", "2"]
    for images in (0, 20, 100, 300, 400):
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        limit = time.monotonic() + 120
        while process.poll() is None and len(list(out.rglob("data/**/*.png"))) < images and time.monotonic() < limit:
            time.sleep(0.005)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run(command, check=False, timeout=120).returncode == 0
    assert tree(out) == tree(tmp_path / "whole")


def test_no_resume_starts_over(tmp_path: Path) -> None:
    subset = tmp_path / "faces.txt"
    subset.write_text("s001_anger\ns001_fear\n")
    report = build(options(tmp_path / "out", subset=subset, resume=False))
    assert report.rows == 2


FULL_DISK = """
import resource, sys
from pathlib import Path
from occsynth.build.build import build
from occsynth.errors import OccSynthError
from occsynth.build.options import BuildOptions
out, limit = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    build(BuildOptions(db="demo", modes=("r16",), out=out, workers=1))
except OccSynthError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("limit", [2_000, 9_000])
def test_a_disk_that_takes_no_more_is_a_clear_error(tmp_path: Path, limit: int) -> None:
    """No file may grow beyond the limit, as on a full disk: the index reaches the first limit, an image the second."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "out"), str(limit)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("cannot write ")
    assert "run the same command again" in line
    assert not list((tmp_path / "out").rglob("manifests/*.csv"))
    assert not list((tmp_path / "out").rglob("data/**/*.tmp"))


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match=r"cannot write .*Free some space .*, then run the same command"):
        build(options(tmp_path / "file" / "out"))


def test_a_read_only_folder_is_a_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    # root may write everywhere unless this one capability is taken away
    plain_user = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    command = [*plain_user, sys.executable, "-c", FULL_DISK, str(folder / "out"), str(10**9)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith(f"cannot write {folder}")
    assert "Permission denied" in line


def test_two_builds_of_one_name_at_once_are_refused(tmp_path: Path) -> None:
    from filelock import FileLock

    from occsynth.build.options import complete

    chosen = options(tmp_path)
    work = tmp_path / ".work" / f"demo-{complete(chosen).identity()[:16]}"
    work.parent.mkdir()
    with FileLock(f"{work}.lock"), pytest.raises(BuildError, match="another process is running this build"):
        build(chosen)
