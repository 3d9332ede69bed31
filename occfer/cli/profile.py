"""`occfer profile`: parse, call, print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from occfer.cli.options import CacheDir, Device, Format, OverwriteFolder, on_this_machine
from occfer.cli.progress import progress
from occsynth.cli.output import say, shown, table

if TYPE_CHECKING:
    from occfer.evaluation.profile import ProfileGroup


def profile(
    checkpoint: Annotated[
        list[Path],
        typer.Option(
            "--checkpoint",
            metavar="F",
            help="Run folder, model file or hf://ORG/NAME; give it twice to compare two models.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the table, the figure and the predictions."),
    ],
    manifest: Annotated[
        list[Path] | None,
        typer.Option(
            "--manifest",
            metavar="CSV",
            help="Manifest to test on; repeatable. Default: the training manifest and those beside it that differ only "
            "in the occlusion mode.",
        ),
    ] = None,
    device: Device = "auto",
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, help="Images per call of the model.")
    ] = 64,
    cache_dir: CacheDir = None,
    figure_format: Format = "png",
    overwrite: OverwriteFolder = False,
) -> None:
    """Test one model or two by what hides the face and how much of it: the robustness profile."""
    from occfer.evaluation.profile import ProfileOptions
    from occfer.evaluation.profile import profile as run_profile

    options = ProfileOptions(
        checkpoints=tuple(map(on_this_machine, checkpoint)),
        manifests=tuple(manifest or ()),
        out=out,
        device=device,
        batch_size=batch_size,
        cache_dir=cache_dir,
        overwrite=overwrite,
        figure_format=figure_format,
    )
    with progress() as on_step:
        found = run_profile(options, on_step)
    for note in found.notes:
        say(note, err=True)
    for letter, model in zip("AB", found.models, strict=False):
        say(f"{letter}: {model.title} on {found.tested}")
    header = ["by", "group", "n"]
    for letter in "AB"[: len(found.models)]:
        header += [letter, "95 % interval"]
    if len(found.models) > 1:
        header += ["A - B", "95 % interval"]
    table(header, [_cells(group) for group in found.groups])
    say("table", shown(out / "profile.csv"))
    say("figure", shown(out / f"profile.{figure_format}"))


def _cells(group: "ProfileGroup") -> list[str]:
    cells = [group.by, group.label, str(group.n)]
    for share in group.shares:
        cells += [f"{share.accuracy:.3f}", f"{share.interval.low:.3f} to {share.interval.high:.3f}"]
    if group.paired is not None:
        bounds = group.paired.interval
        cells += [f"{group.paired.difference:+.3f}", f"{bounds.low:+.3f} to {bounds.high:+.3f}"]
    return cells
