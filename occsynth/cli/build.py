"""occsynth.cli.build.build: docstring to write."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from occsynth.build.report import BuildReport
from occsynth.cli.options import (
    AlignName,
    Backend,
    BackendName,
    FillName,
    FormatName,
    Root,
    Scheduler,
    Templates,
    Workers,
)
from occsynth.cli.output import counted, progress_bar, shown, warn
from occsynth.manifest import manifest_name


def build(
    db: Annotated[str, typer.Option("--db", metavar="KEY", help="A database: see `occsynth databases`.")],
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="MODE[,MODE]",
            help="random, eyes, mouth, r8, r16, r24, table2 (the last five) or real: see `occsynth modes`.",
        ),
    ],
    root: Root = None,
    size: Annotated[
        int | None, typer.Option("--size", metavar="PX", help="Side of the aligned face; default the database's.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another number draws other occlusions.")] = 0,
    fill: Annotated[FillName, typer.Option("--fill", help="What hides the face.")] = FillName.template,
    category: Annotated[
        str, typer.Option("--category", metavar="food,hand,drink", help="Templates to draw from; default all three.")
    ] = "",
    templates: Templates = None,
    align: Annotated[
        AlignName | None, typer.Option("--align", help="Default similarity, or none where the images are aligned.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="NAME", help="The form of the database: see `databases`.")
    ] = None,
    subset: Annotated[
        Path | None, typer.Option("--subset", metavar="LIST", help="Only the images whose stems a text file lists.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The build root.")] = Path("builds"),
    image_format: Annotated[FormatName, typer.Option("--format", help="png is exact; jpeg is small.")] = FormatName.png,
    workers: Workers = None,
    backend: Backend = BackendName.loky,
    scheduler: Scheduler = "",
    resume: Annotated[bool, typer.Option("--resume/--no-resume", help="Go on from what a killed build left.")] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make anew a build of that name that is there already.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Rejects are an error.")] = False,
    colour_match: Annotated[
        bool, typer.Option("--colour-match", help="Pull a template's brightness half-way to the face's.")
    ] = False,
    shadow: Annotated[bool, typer.Option("--shadow", help="A contact shadow under templates.")] = False,
) -> None:
    """Make pairs, masks and one manifest a mode from a raw database."""
    from occsynth.build.build import build as run_build

    pass
    from occsynth.build.settings import BuildOptions
    from occsynth.modes import expand

    options = BuildOptions(
        db=db,
        modes=tuple(expand(mode)),
        root=root,
        size_px=size,
        seed=seed,
        fill=fill.value,
        categories=tuple(filter(None, (each.strip() for each in category.split(",")))) or None,
        templates=templates,
        align=align and align.value,
        variant=variant,
        subset=subset,
        out=out,
        image_format=image_format.value,
        workers=workers,
        backend=backend.value,
        scheduler=scheduler,
        resume=resume,
        overwrite=overwrite,
        strict=strict,
        colour_match=colour_match,
        shadow=shadow,
    )
    with progress_bar() as progress:
        report = run_build(options, progress)
    print_build(report)


def print_build(report: BuildReport) -> None:
    """Manifests, rows, rejects with their list, and the next command to type."""
    for warning in report.warnings:
        warn(warning)
    what = "was built already" if report.reused else f"in {report.seconds:.1f} s"
    modes = f" in each of {len(report.manifests)} modes" if len(report.manifests) > 1 else ""
    typer.echo(f"{counted(report.rows, 'pair')}{modes} from {report.sources} sources, {what}")
    for manifest in report.manifests:
        typer.echo(f"manifest\t{shown(manifest)}\t{report.rows} rows")
    if report.rejects or report.excluded:
        excluded = f", {report.excluded} left out by the protocol" if report.excluded else ""
        listed = shown(report.rejects_csv[0])
        typer.echo(f"rejects\t{report.rejects} of {report.sources} sources{excluded}; see {listed}")
    else:
        typer.echo(f"rejects\t0 of {report.sources} sources")
    first = report.manifests[0]
    name = manifest_name(first)
    if report.duplicates:
        listed = shown(first.with_name(f"{name}.json"))
        typer.echo(f"duplicates\t{report.duplicates} groups of equal images across splits or subjects; see {listed}")
    sheet = shown(first.parent.parent / f"{name}.png")
    typer.echo(f"next\toccsynth preview {shlex.quote(shown(first))} -o {shlex.quote(sheet)}")
