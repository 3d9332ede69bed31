"""The device of a process, and environment.json: what ran, with which versions, on which device.

metrics.json holds none of that, so that the same results are the same file.
"""

import os
import platform
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from occfer.errors import CheckpointError, ConfigError
from occfer.files import read_json, write_json
from occsynth.reading import record_of

FILE = "environment.json"
LIBRARIES = ("occsynth", "torch", "torchvision", "lightning-fabric", "numpy", "scipy", "scikit-learn")
EXTRAS = ("captum", "timm")


def write_environment(folder: Path, device: str) -> None:
    """Writes `environment.json`.

    It describes the process that ends a run, so a resumed run's file equals an uninterrupted run's.

    Args:
        folder: of the results.
        device: `auto`, `cpu`, `cuda` or `mps`, as asked for or as found.
    """
    write_json(folder / FILE, environment(device))


def environment(device: str) -> dict[str, Any]:
    """`command`, `versions` and `device`, JSON values; see `write_environment`."""
    return {"command": command_line(), "versions": versions(), "device": device_in_words(device)}


def command_line() -> str:
    """This process's command as it was typed, without the folder of the program and without `--resume`."""
    program, *words = sys.argv
    return shlex.join([Path(program).name, *(word for word in words if word != "--resume")])


def versions() -> dict[str, str]:
    """The versions of Python, of this project, and of the libraries that results depend on, extras where installed."""
    found = {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
    for name in EXTRAS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def device_in_words(device: str) -> str:
    """`NVIDIA H100 80GB HBM3`, `2 x ...`, `GPU of a Mac (arm64)`, or `CPU, 2 cores (x86_64)`."""
    if device == "mps":
        return f"GPU of a Mac ({platform.machine()})"
    if device != "cpu" and torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return names[0] if len(names) == 1 else f"{len(names)} x {names[0]}"
    return f"CPU, {len(os.sched_getaffinity(0))} cores ({platform.machine()})"


def torch_device(device: str) -> torch.device:
    """The device of one process.

    Args:
        device: `auto` (a CUDA device where there is one, else the CPU), `cpu`, `cuda` or `mps` (the GPU of a Mac).

    Raises:
        ConfigError: there is no such device.
    """
    if device == "mps":
        if not torch.backends.mps.is_available():
            raise ConfigError(
                "--device mps: PyTorch finds no GPU of a Mac on this machine; choose --device cpu, cuda or auto"
            )
        return torch.device("mps")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError("--device cuda: this machine has no CUDA device that PyTorch can use; choose --device cpu")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


@dataclass(frozen=True, slots=True)
class Environment:
    """What environment.json says; a field is empty where the file or the fact is missing."""

    command: str = ""
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)


def read_environment(folder: Path) -> Environment:
    """The content of a folder's `environment.json`; raises CheckpointError if it is damaged."""
    path = folder / FILE
    return record_of(Environment, read_json(path), str(path), CheckpointError) if path.is_file() else Environment()
