"""One build in a process of its own: `python -m benchmarks.child ROOT OUT WORKERS SIZE` prints seconds and memory."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from occfer.training.benchmark import resident_peak_mb


@dataclass(frozen=True, slots=True)
class Built:
    """What the process used.

    Attributes:
        seconds: of the build, without starting Python.
        peak_mb: largest resident memory of the leading process, 10^6 bytes; workers have their own.
        rows: pairs made.
    """

    seconds: float
    peak_mb: float
    rows: int


def build_in_child(root: Path, out: Path, workers: int, size_px: int) -> Built:
    """Builds mode r16 of a folder of faces, landmarks not cached, in another process."""
    command = [sys.executable, "-m", "benchmarks.child", str(root), str(out), str(workers), str(size_px)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    return Built(**json.loads(done.stdout))


def _main(root: str, out: str, workers: str, size_px: str) -> None:
    from occsynth.build.build import build
    from occsynth.build.options import BuildOptions

    options = BuildOptions(
        db="folder", modes=("r16",), root=Path(root), out=Path(out), workers=int(workers), size_px=int(size_px)
    )
    report = build(options)
    sys.stdout.write(json.dumps(asdict(Built(report.seconds, resident_peak_mb(), report.rows))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
