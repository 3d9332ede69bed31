"""Checks of an installation: packages, devices and precisions, initial weights, folders.

Nothing heavy is imported at the top, so that the checks also run where a package is missing or broken, and say so.
"""

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path

from occfer.errors import OccFERError
from occsynth.reading import one_line

PACKAGES = ("torch", "torchvision", "lightning-fabric", "safetensors", "scikit-learn", "scipy")
EXTRAS = {"export": ("onnx", "onnxscript"), "tune": ("optuna",)}
RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
"""Either package is the module `onnxruntime`."""
LEAST_FREE_MB = 1000
"""What a short run writes: checkpoints of three networks, and decoded images."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check of the installation has found.

    Attributes:
        name: what was checked.
        ok: whether occfer can train and test with it.
        detail: what is there and, unless `ok`, what to do.
    """

    name: str
    ok: bool
    detail: str


def run_doctor() -> list[Finding]:
    """Runs every check; never raises, however broken the installation is."""
    checks: dict[str, Callable[[], str]] = {
        "packages": _packages,
        "devices": _devices,
        "precision": _precision,
        "weights": _weights,
        "folders": _folders,
        "export": _export,
        "search": _search,
    }
    return [_found(name, check) for name, check in checks.items()]


def _found(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except OccFERError as error:
        return Finding(name, False, str(error))
    except Exception as error:  # a broken package may raise anything, and the other checks must still run
        return Finding(name, False, f"{type(error).__name__}: {one_line(error)}")


def installed(names: Iterable[str]) -> dict[str, str]:
    """The version of each package that is installed."""
    found = {}
    for name in names:
        try:
            found[name] = str(version_of(name))
        except PackageNotFoundError:
            continue
    return found


def _in_words(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _packages() -> str:
    found = installed(PACKAGES)
    if missing := [name for name in PACKAGES if name not in found]:
        raise OccFERError(f"not installed: {', '.join(missing)}. Type: pip install 'occsynth[train]'")
    return _in_words(found)


def _devices() -> str:
    import torch

    from occfer.runs.environment import device_in_words

    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        shown = ", ".join(f"{each.name} ({each.total_memory / 1e9:.0f} GB)" for each in cards)
        return f"{shown}; CUDA {torch.version.cuda}. `occfer doctor --gpu` checks them"
    made_for = (
        f"this PyTorch is made for CUDA {torch.version.cuda}" if torch.version.cuda else "this PyTorch has no CUDA"
    )
    return f"{device_in_words('cpu')}; no card that PyTorch can use ({made_for})"


def _precision() -> str:
    import torch

    if not torch.cuda.is_available():
        return "32 and bf16; fp16 needs a card"
    # an older card computes bf16 in float32, which is slower than float32 itself
    own = torch.cuda.is_bf16_supported(including_emulation=False)
    return "32, bf16 and fp16" if own else "32 and fp16; this card has no bf16 of its own"


def _weights() -> str:
    import torch
    from torchvision.models import get_weight

    from occfer.models import BACKBONES

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = {name: Path(get_weight(each.weights).url).name for name, each in BACKBONES.items() if each.weights}
    there = [name for name, file in files.items() if (folder / file).is_file()]
    lacking = [name for name in files if name not in there]
    words = [f"ImageNet weights in {folder}: {', '.join(there) or 'none yet'}"]
    if lacking:
        words.append(f"{', '.join(lacking)} are downloaded when they are first used, or do without: --weights none")
    return "; ".join(words)


def _folders() -> str:
    import torch

    needed = {"the current folder": Path(), "temporary files": Path(tempfile.gettempdir())}
    needed["ImageNet weights"] = Path(torch.hub.get_dir())
    words = []
    for use, folder in needed.items():
        there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise OccFERError(f"{folder.absolute()} ({use}) cannot be written; fix its permissions or use another one")
        free_mb = _free_mb(there)
        if free_mb < LEAST_FREE_MB:
            raise OccFERError(f"{folder.absolute()} ({use}) has {free_mb:,.0f} MB left; free {LEAST_FREE_MB:,} MB")
        words.append(f"{use} ({free_mb / 1000:,.0f} GB free)")
    return f"can be written: {', '.join(words)}"


def _free_mb(folder: Path) -> float:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize / 1e6


def _export() -> str:
    found = installed((*EXTRAS["export"], *RUNTIMES))
    if len(found) <= len(EXTRAS["export"]):
        return "not installed; `occfer export` needs it: pip install 'occsynth[export]'"
    import onnxruntime

    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return f"{_in_words(found)}, {'with' if cuda else 'without'} CUDA"


def _search() -> str:
    found = installed(EXTRAS["tune"])
    return _in_words(found) or "not installed; `occfer tune` needs it: pip install 'occsynth[tune]'"
