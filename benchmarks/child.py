"""One build in a process of its own: `python -m benchmarks.child ROOT OUT WORKERS SIZE` prints seconds and memory."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from occfer.training.peak_memory import resident_peak_mb


@dataclass(frozen=True, slots=True)
class BuildCost:
    """What a build took.

    Attributes:
        seconds: duration of the build, without the start of Python.
        peak_mb: largest resident memory of the leading process, 10^6 bytes; workers are not counted.
        rows: number of pairs made.
    """

    seconds: float
    peak_mb: float
    rows: int


def build_in_child(root: Path, out: Path, workers: int, size_px: int) -> BuildCost:
    """Builds mode r16 of a folder of faces in a new process, without cached landmarks."""
    command = [sys.executable, "-m", "benchmarks.child", str(root), str(out), str(workers), str(size_px)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    return BuildCost(**json.loads(done.stdout))


def _main(root: str, out: str, workers: str, size_px: str) -> None:
    from occsynth.build.build import build
    from occsynth.build.options import BuildOptions

    options = BuildOptions(
        db="folder", modes=("r16",), root=Path(root), out=Path(out), workers=int(workers), size_px=int(size_px)
    )
    report = build(options)
    sys.stdout.write(json.dumps(asdict(BuildCost(report.seconds, resident_peak_mb(), report.rows))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
