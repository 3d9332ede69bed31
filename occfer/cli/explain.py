"""`occfer explain`: parse, call, print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from occfer.cli.options import CacheDir, Checkpoint, Device, Fold, Manifests, OverwriteFolder, Rows
from occfer.cli.progress import progress
from occsynth.cli.output import say, shown, table

if TYPE_CHECKING:
    from occfer.metrics.heat import HeatGroup

Of = Literal["answer", "truth"]


def explain(
    checkpoint: Checkpoint,
    manifest: Manifests,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the results; default: explain/<manifests> in the run folder.",
        ),
    ] = None,
    of: Annotated[
        Of,
        typer.Option(
            "--of", help="Whose heat it is: what speaks for the network's own answer, or for the true expression."
        ),
    ] = "answer",
    faces: Annotated[
        int, typer.Option("--faces", metavar="N", min=0, help="Number of faces on the sheet; the classes take turns.")
    ] = 14,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the choice of faces.")] = 0,
    rows: Rows = "test",
    fold: Fold = None,
    device: Device = "auto",
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, help="Images per call of the model.")
    ] = 64,
    cache_dir: CacheDir = None,
    overwrite: OverwriteFolder = False,
) -> None:
    """Show where a network looks on occluded faces (Grad-CAM), and measure how much of that lies on the occluder."""
    from occfer.explain.explain import ExplainOptions
    from occfer.explain.explain import explain as run_explanation
    from occfer.metrics.heat import share_lines

    options = ExplainOptions(
        checkpoint=checkpoint,
        manifests=tuple(manifest),
        explained=of,
        part=rows,
        fold=fold,
        faces=faces,
        seed=seed,
        device=device,
        batch_size=batch_size,
        cache_dir=cache_dir,
        out=out,
        overwrite=overwrite,
    )
    with progress() as on_step:
        found = run_explanation(options, on_step)
    result = found.result
    for note in result.facts.notes:
        say(note, err=True)
    cells = "{} x {}".format(*result.facts.map_hw)
    say(f"{result.title}: heat of its {'answers' if of == 'answer' else 'true expressions'}, maps of {cells} cells")
    for line in share_lines(result.groups[0], result.without_occluder):
        say(line)
    groups = [group for group in result.groups[1:] if group.difference is not None]
    if groups:
        table(("by", "group", "n", "heat", "face", "heat - face", "95 % interval"), map(_cells, groups))
    say("results", shown(result.folder))
    if found.sheet is not None:
        say("sheet", shown(found.sheet))


def _cells(group: "HeatGroup") -> tuple[str, ...]:
    found = group.difference
    if found is None or group.share_of_heat is None or group.share_of_face is None:
        return (group.by, group.label, str(group.n), "-", "-", "-", "-")
    bounds = f"{found.interval.low:+.3f} to {found.interval.high:+.3f}"
    means = (f"{group.share_of_heat:.3f}", f"{group.share_of_face:.3f}", f"{found.mean:+.3f}")
    return (group.by, group.label, str(group.n), *means, bounds)
