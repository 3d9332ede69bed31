"""The manifests in this repository replay, those of schema 1 too, here and as on a processor without AVX."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from occsynth.manifest import open_manifest
from tests.builds import ROOT

MANIFESTS = sorted((ROOT / "manifests").glob("*.csv"))
FORMER = sorted((Path(__file__).parent / "schema_1" / "plain").glob("*.csv"))

REPLAY = """
import sys
from pathlib import Path
from occsynth.manifest import open_manifest
from occsynth.sharing.replay import replay
if __name__ == "__main__":
    for path in sys.argv[2:]:
        replay(open_manifest(Path(path)), out=Path(sys.argv[1]), workers=1)
    loaded = [name for name in sys.modules if name.split(".")[0] == "mediapipe"]
    sys.exit(f"MediaPipe was loaded: {loaded[:3]}" if loaded else 0)
"""

SETTINGS: list[dict[str, str]] = [
    {},
    {"OPENCV_CPU_DISABLE": "AVX2,AVX,FP16,FMA3", "OPENCV_IPP": "disabled"},
]


def test_every_mode_is_there() -> None:
    infos = [open_manifest(path).info for path in MANIFESTS]
    assert {info.mode for info in infos} == {"random", "eyes", "mouth", "r8", "r16", "r24"}
    assert {info.schema for info in infos} == {2}


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS, ids=["here", "without AVX and IPP"])
def test_they_replay_without_mediapipe(tmp_path: Path, setting: dict[str, str]) -> None:
    command = [sys.executable, "-c", REPLAY, str(tmp_path), *map(str, MANIFESTS + FORMER)]
    ended = subprocess.run(command, env=os.environ | setting, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    for path in MANIFESTS + FORMER:
        assert (tmp_path / "manifests" / path.name).read_bytes() == path.read_bytes()
