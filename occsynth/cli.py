"""The command line of occsynth: parse, call, print. OpenCV, MediaPipe and the like load inside the commands."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from occsynth import __version__, cli_manifests, cli_pictures
from occsynth.cli_lists import databases, modes
from occsynth.cli_options import (
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
from occsynth.cli_output import Commands, end_quietly_when_interrupted, fail, progress_bar
from occsynth.cli_templates import templates

# piped help is not wrapped, as all piped output
_PIPED = {} if sys.stdout.isatty() else {"terminal_width": 1000}

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_PIPED,
    help="Occluded faces from a raw face database, each paired with its clean one, in manifests that replay pixel for "
    "pixel.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"occsynth {__version__}")
        raise typer.Exit


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options that stand before a command."""


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
    from occsynth import build as building
    from occsynth.cli_report import print_build
    from occsynth.modes.names import expand
    from occsynth.settings import BuildOptions

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
        report = building.build(options, progress)
    print_build(report)


def doctor() -> None:
    """Look at versions, system libraries and shipped files, and run a self-test."""
    from occsynth.doctor import run_doctor

    checks = run_doctor()
    for check in checks:
        typer.echo(f"{'ok' if check.ok else 'FAIL'}\t{check.name}\t{check.detail}")
    bad = [check.name for check in checks if not check.ok]
    if bad:
        raise fail(f"{len(bad)} of {len(checks)} checks failed: {', '.join(bad)}")


for _command in (
    build,
    cli_manifests.replay,
    cli_manifests.verify,
    cli_manifests.publish,
    cli_pictures.preview,
    cli_pictures.stats,
    cli_manifests.landmarks,
    doctor,
    modes,
):
    app.command()(_command)
app.add_typer(databases, name="databases")
app.add_typer(templates, name="templates")


def main() -> None:
    """The console script `occsynth`."""
    end_quietly_when_interrupted()
    app(sys.argv[1:], prog_name="occsynth")
