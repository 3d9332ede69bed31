"""How much memory this process has held; nothing here needs torch."""

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")


def resident_peak_mb() -> float:
    """The largest resident memory of this process so far, 10^6 bytes."""
    if STATUS.is_file():  # getrusage's peak would begin with that of the process that started this one
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
