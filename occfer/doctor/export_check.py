"""The check of exported files: ONNX Runtime on the card answers what the network answers in torch."""

import numpy as np
import torch

from occfer.doctor.outcome import Bench, Figure, Outcome, judged, skipped
from occfer.inference.export import TOLERANCE, export
from occfer.runs.checkpoint import load_model
from occfer.training.train import train

CUDA_TOLERANCE = 0.02
"""ONNX Runtime computes convolutions in TF32 on a card, whose numbers have ten bits behind the point."""
FACES = 64
GET_GPU_VERSION = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"


def onnx_answers(bench: Bench) -> Outcome:
    """A model that was trained here, exported to ONNX, and asked in ONNX Runtime on the card."""
    try:
        import onnxruntime

        from occfer.inference.onnx_file import open_onnx
        from occfer.inference.onnx_graph import CUDA
    except ModuleNotFoundError as missing:
        return skipped(f"{missing.name} is not installed; type: pip install 'occsynth[export]'")
    run = train(bench.config("exported", method="resnet"))
    made = export(run.folder, bench.folder / "model.onnx", kind="onnx")
    if bench.device == "cuda" and CUDA not in onnxruntime.get_available_providers():
        return Outcome(
            "skipped",
            "the export itself is right on the CPU; this ONNX Runtime cannot use a card. Type: " + GET_GPU_VERSION,
            (Figure("largest difference of a logit on the CPU", made.largest_difference, ""),),
            f"{TOLERANCE:g} on the CPU",
        )
    images = np.random.default_rng(0).integers(0, 256, (FACES, bench.sizes.size_px, bench.sizes.size_px, 3), np.uint8)
    answered = open_onnx(made.path, device=bench.device).logits(images)
    with torch.no_grad():
        wanted = load_model(run.checkpoint).classifier(torch.from_numpy(images).permute(0, 3, 1, 2) / 255).numpy()
    apart = float(np.abs(answered - wanted).max())
    allowed = CUDA_TOLERANCE if bench.device == "cuda" else TOLERANCE
    return judged(
        apart <= allowed,
        f"{len(images)} random images through ONNX Runtime {onnxruntime.__version__} on "
        f"{'the card' if bench.device == 'cuda' else 'the CPU'}, against torch on the CPU",
        (
            Figure("largest difference of a logit", apart, ""),
            Figure("largest difference of a logit, file on the CPU", made.largest_difference, ""),
        ),
        f"{allowed:g} in a logit",
    )
