"""`occfer export`: parse, call, print."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from occfer.cli.options import Checkpoint, OverwriteFile
from occsynth.cli.output import say, shown

FACES_COMPARED = 8


class ExportName(StrEnum):
    """What `--format` of export takes."""

    onnx = "onnx"
    pt2 = "pt2"


def export(
    checkpoint: Checkpoint,
    kind: Annotated[
        ExportName, typer.Option("--format", help="File format: onnx for ONNX Runtime and others, pt2 for torch.")
    ] = ExportName.onnx,
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write; default: model.onnx or model.pt2."),
    ] = None,
    overwrite: OverwriteFile = False,
) -> None:
    """Write a model as one file for other programs, after a comparison with torch on faces and random images."""
    import numpy as np

    from occfer.faces.align import FaceAligner, demo_faces
    from occfer.inference.export import TOLERANCE
    from occfer.inference.export import export as run_export
    from occfer.runs.checkpoint import read_model_info
    from occfer.runs.run_folder import refuse_folds

    refuse_folds(checkpoint)
    info = read_model_info(checkpoint)
    aligner = FaceAligner(info.size_px, info.align or "similarity", with_points=True)
    faces = np.stack([face.image for face in demo_faces(aligner, FACES_COMPARED)])
    path = out or Path(f"model.{kind.value}")
    made = run_export(checkpoint, path, kind=kind.value, faces=faces, overwrite=overwrite)
    say(
        f"largest difference from torch {made.largest_difference:.1e} in a logit, over {made.compared} images "
        f"(allowed {TOLERANCE:g})"
    )
    say("model", shown(made.path))
