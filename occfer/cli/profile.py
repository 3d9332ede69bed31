"""`occfer profile`: parse, call, print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from occfer.cli.options import CacheDir, Device, DeviceName, Format, FormatName
from occfer.cli.progress import progress
from occsynth.cli.output import shown, table

if TYPE_CHECKING:
    from occfer.evaluation.profile import ProfileRow


def profile(
    checkpoint: Annotated[
        list[Path],
        typer.Option("--checkpoint", metavar="F", help="A run folder or a model file; twice for the difference."),
    ],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Table, figure and predictions go there.")],
    manifest: Annotated[
        list[Path] | None,
        typer.Option(
            "--manifest",
            metavar="CSV",
            help="Default: the training manifest and every one beside it that differs in the mode alone; repeatable.",
        ),
    ] = None,
    device: Device = DeviceName.auto,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="N", min=1, help="Images at once.")] = 64,
    cache_dir: CacheDir = None,
    figure_format: Format = FormatName.png,
) -> None:
    """Test a model, or two, by what hides the face and how much of it: the robustness profile."""
    from occfer.evaluation.profile import ProfileOptions
    from occfer.evaluation.profile import profile as run_profile
    from occfer.evaluation.profile_figure import profile_figure
    from occfer.metrics.figure_files import save

    options = ProfileOptions(
        checkpoints=tuple(checkpoint),
        manifests=tuple(manifest or ()),
        out=out,
        device=device.value,
        batch_size=batch_size,
        cache_dir=cache_dir,
    )
    with progress() as on_step:
        found = run_profile(options, on_step)
    for note in found.notes:
        typer.echo(note, err=True)
    for letter, model in zip("AB", found.models, strict=False):
        typer.echo(f"{letter}: {model.title} on {found.tested}")
    header = ["by", "group", "n"]
    for letter in "AB"[: len(found.models)]:
        header += [letter, "95 % interval"]
    if len(found.models) > 1:
        header += ["A - B", "95 % interval"]
    table(header, [_cells(row) for row in found.rows])
    figure = save(profile_figure(found), out / f"profile.{figure_format.value}")
    typer.echo(f"table\t{shown(out / 'profile.csv')}")
    typer.echo(f"figure\t{shown(figure)}")


def _cells(row: "ProfileRow") -> list[str]:
    cells = [row.by, row.label, str(row.n)]
    for share in row.shares:
        cells += [f"{share.accuracy:.3f}", f"{share.interval.low:.3f} to {share.interval.high:.3f}"]
    if row.paired is not None:
        bounds = row.paired.interval
        cells += [f"{row.paired.difference:+.3f}", f"{bounds.low:+.3f} to {bounds.high:+.3f}"]
    return cells
