"""`occfer evaluate`, `reconstruct` and `methods`: parse, call, print."""

from pathlib import Path
from typing import Annotated

import typer

from occfer.cli_frame import (
    CacheDir,
    Checkpoint,
    Device,
    DeviceName,
    Fold,
    Format,
    FormatName,
    Manifests,
    Rows,
    RowsName,
)
from occfer.cli_progress import progress
from occsynth.cli_output import shown, table


def evaluate(
    checkpoint: Checkpoint,
    manifest: Manifests,
    rows: Rows = RowsName.test,
    fold: Fold = None,
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Test on people or pictures that it was trained on, too.")
    ] = False,
    device: Device = DeviceName.auto,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="N", min=1, help="Images at once.")] = 64,
    cache_dir: CacheDir = None,
    figure_format: Format = FormatName.png,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Default evaluation/<manifests> in the run folder.")
    ] = None,
) -> None:
    """Test a trained model on the occluded images of manifests; without --rows all, on what it was not trained on."""
    from occfer.cli_points import find_points
    from occfer.evaluate import EvaluateOptions
    from occfer.evaluate import evaluate as run_evaluation
    from occfer.figures import draw_results
    from occfer.summary import accuracy_line

    options = EvaluateOptions(
        checkpoint=checkpoint,
        manifests=tuple(manifest),
        part=rows.value,
        fold=fold,
        allow_overlap=allow_overlap,
        device=device.value,
        batch_size=batch_size,
        cache_dir=cache_dir,
        out=out,
    )
    with progress() as on_step:
        found = run_evaluation(options, on_step, find_points=find_points)
    for note in found.notes:
        typer.echo(note, err=True)
    summary = found.summary
    typer.echo(f"{found.title}: {accuracy_line(summary)}")
    typer.echo(f"UAR {summary['uar']:.3f}, macro-F1 {summary['macro_f1']:.3f}, ECE {summary['ece']:.3f}")
    recall = {name: "-" if value is None else f"{value:.3f}" for name, value in summary["recall"].items()}
    counts = dict(zip(summary["classes"], map(sum, summary["confusion"]), strict=True))
    table(("class", "n", "recall"), [(name, str(counts[name]), recall[name]) for name in recall])
    table(
        ("mode", "n", "accuracy", "95 % interval"),
        [
            (mode, str(entry["n"]), f"{entry['accuracy']:.3f}", "{low:.3f} to {high:.3f}".format(**entry["interval"]))
            for mode, entry in summary["by_mode"].items()
        ],
    )
    drawn = draw_results(found.predictions, summary, found.title, found.folder, figure_format.value)
    typer.echo(f"results\t{shown(found.folder)}")
    typer.echo(f"figures\t{' '.join(path.name for path in drawn)}")


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
    from occfer.reconstruct import ReconstructOptions
    from occfer.reconstruct import reconstruct as run_reconstruction

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


def methods() -> None:
    """List the methods and baselines: what each is trained with, and what it is tested on."""
    from occfer.baselines import BASELINES
    from occfer.methods import METHODS

    def networks(name: str) -> str:
        method = METHODS[name]
        parts = {
            "clean branch": method.needs_teacher,
            "discriminator": method.needs_discriminator,
            "decoder": method.needs_decoder,
        }
        return ", ".join(part for part, needed in parts.items() if needed) or "-"

    table(
        (
            "method",
            "what it is",
            "losses of stage 2",
            "beside the tested branch",
            "tested branch",
            "on",
            "pairs",
            "in the paper",
        ),
        [
            (
                name,
                method.title,
                ", ".join(("sup", *method.losses)) if method.stage2 else "-",
                networks(name),
                method.branch,
                method.view,
                method.pairing if method.losses else "-",
                "yes" if method.in_paper else "no",
            )
            for name, method in METHODS.items()
        ]
        + [
            (name, baseline.shown_title, "-", "-", "-", baseline.view, "-", "yes" if baseline.in_paper else "no")
            for name, baseline in BASELINES.items()
        ],
    )
