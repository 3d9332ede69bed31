"""`occfer reconstruct`: parse, call, print."""

from pathlib import Path
from typing import Annotated

import typer

from occfer.cli.options import CacheDir, Checkpoint, Device, Fold, Manifests, OverwriteFile, Rows
from occfer.cli.progress import progress
from occsynth.cli.output import say, shown


def reconstruct(
    checkpoint: Checkpoint,
    manifest: Manifests,
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Figure to write: .png, .pdf or .svg.")
    ] = Path("reconstruction.png"),
    faces: Annotated[
        int, typer.Option("--faces", metavar="N", min=1, help="Number of faces; the classes take turns.")
    ] = 7,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the choice of faces.")] = 0,
    rows: Rows = "test",
    fold: Fold = None,
    device: Device = "auto",
    cache_dir: CacheDir = None,
    overwrite: OverwriteFile = False,
) -> None:
    """Draw faces clean, occluded, and as restored by the decoder of a method with the reconstruction loss."""
    from occfer.evaluation.reconstruct import ReconstructOptions
    from occfer.evaluation.reconstruct import reconstruct as run_reconstruction

    options = ReconstructOptions(
        checkpoint=checkpoint,
        manifests=tuple(manifest),
        part=rows,
        fold=fold,
        faces=faces,
        seed=seed,
        device=device,
        cache_dir=cache_dir,
        out=out,
        overwrite=overwrite,
    )
    with progress() as on_step:
        found = run_reconstruction(options, lambda done, pairs: on_step({"event": "pack", "done": done, "rows": pairs}))
    for note in found.notes:
        say(note, err=True)
    say(f"{len(found.pair_ids)} faces, mean squared error {found.error:.4f} (pixels from 0 to 1)")
    say("figure", shown(found.figure))
