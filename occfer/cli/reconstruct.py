"""occfer.cli.app.reconstruct: docstring to write."""

from pathlib import Path
from typing import Annotated

import typer

from occfer.cli.options import CacheDir, Checkpoint, Device, DeviceName, Fold, Manifests, Rows, RowsName
from occfer.cli.progress import progress
from occsynth.cli.output import shown


def reconstruct(
    checkpoint: Checkpoint,
    manifest: Manifests,
    out: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The figure: .png, .pdf or .svg.")] = Path(
        "reconstruction.png"
    ),
    faces: Annotated[int, typer.Option("--faces", metavar="N", min=1, help="How many; the classes take turns.")] = 7,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another number takes other faces.")] = 0,
    rows: Rows = RowsName.test,
    fold: Fold = None,
    device: Device = DeviceName.auto,
    cache_dir: CacheDir = None,
) -> None:
    """Draw faces clean, occluded and as the decoder of a method with the reconstruction loss restores them."""
    from occfer.evaluation.reconstruct import ReconstructOptions
    from occfer.evaluation.reconstruct import reconstruct as run_reconstruction

    options = ReconstructOptions(
        checkpoint=checkpoint,
        manifests=tuple(manifest),
        part=rows.value,
        fold=fold,
        faces=faces,
        seed=seed,
        device=device.value,
        cache_dir=cache_dir,
        out=out,
    )
    with progress() as on_step:
        found = run_reconstruction(options, lambda done, total: on_step({"event": "pack", "done": done, "rows": total}))
    for note in found.notes:
        typer.echo(note, err=True)
    typer.echo(f"{len(found.pair_ids)} faces, mean squared error {found.error:.4f} (pixels from 0 to 1)")
    typer.echo(f"figure\t{shown(found.figure)}")
