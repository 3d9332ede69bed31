"""The peak memory of this process. A module of its own, so that processes that must not load torch can measure it."""

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")


def resident_peak_mb() -> float:
    """The largest resident memory of this process so far, 10^6 bytes."""
    if STATUS.is_file():  # the peak that getrusage reports starts with that of the parent process
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
