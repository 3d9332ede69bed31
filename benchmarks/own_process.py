"""Peak memory of a function, called in a process of its own that imports nothing but the function's module.

`python -m benchmarks.own_process MODULE FUNCTION JSON` calls the function with the arguments in the JSON list, and
prints the peak.
"""

import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Finding
from occfer.training.peak_memory import resident_peak_mb

FunctionCall = tuple[str, str, Sequence[Any]]
"""Module, function, and arguments that JSON can hold."""


def peaks(letter: str, what: str, ours: FunctionCall, reference: FunctionCall) -> Finding:
    """Compares the peak memory of two functions, in 10^6 bytes."""
    own, theirs = (_peak_mb(*call) for call in (ours, reference))
    return Finding(letter, f"peak memory: {what}", own, theirs, "MB", (own / theirs,))


def _peak_mb(module: str, function: str, arguments: Sequence[Any]) -> float:
    command = [sys.executable, "-m", "benchmarks.own_process", module, function, json.dumps(list(arguments))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1])
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    getattr(importlib.import_module(sys.argv[1]), sys.argv[2])(*json.loads(sys.argv[3]))
    sys.stdout.write(f"{resident_peak_mb()}\n")
