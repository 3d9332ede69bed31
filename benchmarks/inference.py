"""(i) An exported ResNet-50 in ONNX Runtime, and PyTorch's own faster ways, against eager torchvision.

Batch 8, one core. The reference gets floats that are already normalised; the exported model takes uint8 pictures, as
`occfer predict` hands them over, and normalises them itself.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.measure import Finding, rates
from benchmarks.onnx_passes import BATCH_SIZE, in_onnx_runtime
from benchmarks.own_process import peaks
from benchmarks.train_step import taking_turns
from occfer.data.manifests import EXPRESSIONS
from occfer.inference.export import export
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.seeding import weight_seed
from occfer.runs.checkpoint import save_model
from occfer.runs.model_info import ModelInfo
from occfer.training.benchmark import Call

GOAL = 1.5


def network(backbone: str, side_px: int) -> Classifier:
    """A branch with random weights, and batch-norm statistics that fit them as those of a trained branch would."""
    with weight_seed(0, "inference"):
        made = build_classifier(backbone, len(EXPRESSIONS))
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # statistics become the plain mean over all batches
    with torch.no_grad():
        made.train()(torch.rand(BATCH_SIZE, 3, side_px, side_px, generator=torch.Generator().manual_seed(0)))
    return made.eval().requires_grad_(False)


def export_onnx(backbone: str, side_px: int, folder: Path) -> Path:
    """Writes the file that `occfer export --format onnx` makes of `network`."""
    info = ModelInfo("resnet", "occluded", "occluded", backbone, EXPRESSIONS, side_px)
    save_model(folder / "model.safetensors", network(backbone, side_px).state_dict(), None, info)
    return export(folder / "model.safetensors", folder / "model.onnx", kind="onnx").path


def in_torch(backbone: str, side_px: int, *, channels_last: bool = False, compiled: bool = False) -> Call:
    """A function that passes a batch through the torchvision network; plain eager mode by default."""
    torch.set_num_threads(1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    plain = network(backbone, side_px).network.to(memory_format=layout)
    module: Any = torch.compile(plain) if compiled else plain
    batch = torch.rand(BATCH_SIZE, 3, side_px, side_px).contiguous(memory_format=layout)

    def call(_: int) -> object:
        with torch.inference_mode():
            return module(batch)

    return call


def two_passes(backbone: str, side_px: int) -> None:
    """Two passes of eager torchvision, for a process whose memory is measured."""
    call = in_torch(backbone, side_px)
    for number in range(2):
        call(number)


def measure(
    repeats: int = 9, backbone: str = "resnet50", side_px: int = 224, *, compiled: bool = True
) -> list[Finding]:
    """The goal is for ONNX Runtime; the other lines are for information."""
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(backbone, side_px, Path(folder))
        sides = {
            "eager": in_torch(backbone, side_px),
            "exported, in ONNX Runtime": in_onnx_runtime(str(path), side_px),
            "torch, channels_last": in_torch(backbone, side_px, channels_last=True),
        }
        if compiled:
            sides["torch.compile"] = in_torch(backbone, side_px, compiled=True)
            sides["torch.compile, channels_last"] = in_torch(backbone, side_px, channels_last=True, compiled=True)
        found = taking_turns(sides, repeats)
        what = f"{backbone}, {side_px} px, batch {BATCH_SIZE}"
        findings = [
            rates("i", f"{what}: {name}, against eager torchvision", seconds, found["eager"], BATCH_SIZE,
                  GOAL if "ONNX" in name else None)
            for name, seconds in found.items() if name != "eager"
        ]  # fmt: skip
        memory = peaks(
            "i", f"{what}: exported, in ONNX Runtime without torch, against eager torchvision",
            ("benchmarks.onnx_passes", "two_passes", (str(path), side_px)),
            (__name__, "two_passes", (backbone, side_px)),
        )  # fmt: skip
    return [*findings, memory]
