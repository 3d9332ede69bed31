"""`occsynth build`: make pairs from a raw database."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from occsynth.build.report import BuildReport
from occsynth.cli.options import Backend, Root, Scheduler, Slurm, Templates, Workers
from occsynth.cli.output import counted, progress_bar, say, shown, warn
from occsynth.manifest import manifest_name
from occsynth.modes import DESCRIPTIONS, GROUPS, expand
from occsynth.option_values import CATEGORIES, AlignKind, Fill, ImageFormat, Look, SquareAt, TemplateSplit

_GROUPS = [f"{name} ({', '.join(modes)})" for name, modes in GROUPS.items()]
_MODE_HELP = f"Modes to build, separated by commas: {', '.join([*DESCRIPTIONS, *_GROUPS])}; see `occsynth modes`."


def build(
    db: Annotated[str, typer.Option("--db", metavar="KEY", help="Key of the database: see `occsynth databases`.")],
    mode: Annotated[str, typer.Option("--mode", metavar="MODE[,MODE]", help=_MODE_HELP)],
    root: Root = None,
    size: Annotated[
        int | None,
        typer.Option("--size", metavar="PX", help="Side of the aligned face in pixels; default the database's."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Seed of the occlusions; another number draws others.")
    ] = 0,
    fill: Annotated[Fill, typer.Option("--fill", help="What hides the face.")] = "template",
    category: Annotated[
        str,
        typer.Option(
            "--category",
            metavar=",".join(CATEGORIES),
            help="Template categories to draw from; default all of these.",
        ),
    ] = "",
    templates: Templates = None,
    align: Annotated[
        AlignKind | None,
        typer.Option("--align", help="How faces are aligned; default similarity, or none for images already aligned."),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option("--variant", metavar="NAME", help="Which form of the database: see `occsynth databases`."),
    ] = None,
    subset: Annotated[
        Path | None,
        typer.Option("--subset", metavar="LIST", help="Text file with the names of the images to keep, one per line."),
    ] = None,
    classes: Annotated[
        int, typer.Option("--classes", metavar="7|8", help="How many classes to keep: the eighth is contempt.")
    ] = 7,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            metavar="CODE=CLASS,...",
            help="What the codes of labels mean, such as 1=surprise,2=fear; default the database's own scheme.",
        ),
    ] = "",
    folds: Annotated[
        Path | None,
        typer.Option(
            "--folds",
            metavar="LIST",
            help="Which fold each image or subject is in: lines `name fold`, or a folder with one list per fold.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The build root: the folder to write to.")] = Path(
        "builds"
    ),
    image_format: Annotated[
        ImageFormat, typer.Option("--format", help="File format of the images: png is exact, jpeg is smaller.")
    ] = "png",
    workers: Workers = None,
    backend: Backend = "loky",
    scheduler: Scheduler = "",
    slurm: Slurm = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Continue an interrupted build, or start it over.")
    ] = True,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Build again what already exists under this name, and replace files there that no build made.",
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with an error if there are rejects; the manifest is still written.")
    ] = False,
    colour_match: Annotated[
        bool, typer.Option("--colour-match", help="Pull a template's brightness half-way towards the face's.")
    ] = False,
    shadow: Annotated[bool, typer.Option("--shadow", help="Draw a contact shadow under templates.")] = False,
    keep_colour: Annotated[
        bool, typer.Option("--keep-colour", help="Leave templates and noise coloured where the face is grey.")
    ] = False,
    look: Annotated[
        Look | None,
        typer.Option(
            "--look",
            help="Templates as if photographed with the face, or as they are; default pasted in the paper's modes.",
        ),
    ] = None,
    square_at: Annotated[
        SquareAt, typer.Option("--square-at", help="Where the squares of r8, r16 and r24 have their centre.")
    ] = "picture",
    template_split: Annotated[
        TemplateSplit,
        typer.Option(
            "--template-split",
            help="Templates to draw: all; those for training; or those held out, for tests on unseen ones.",
        ),
    ] = "all",
) -> None:
    """Make pairs, masks and one manifest per mode from a raw database."""
    from occsynth.build.build import build as run_build
    from occsynth.build.options import BuildOptions

    options = BuildOptions(
        db=db,
        modes=tuple(expand(mode)),
        root=root,
        size_px=size,
        seed=seed,
        fill=fill,
        categories=tuple(filter(None, (each.strip() for each in category.split(",")))) or None,
        templates=templates,
        align=align,
        variant=variant,
        subset=subset,
        classes=classes,
        labels=labels,
        folds=folds,
        out=out,
        image_format=image_format,
        workers=workers,
        backend=backend,
        scheduler=scheduler,
        slurm=tuple(slurm or ()),
        resume=resume,
        overwrite=overwrite,
        strict=strict,
        colour_match=colour_match,
        shadow=shadow,
        keep_colour=keep_colour,
        look=look,
        square_at=square_at,
        template_split=template_split,
    )
    with progress_bar() as progress:
        report = run_build(options, progress)
    print_build(report)


def print_build(report: BuildReport) -> None:
    """Prints manifests, rows, rejects with their list, and the next command to type."""
    from occsynth.build.duplicates import in_words

    for warning in report.warnings:
        warn(warning)
    what = "already built" if report.reused else f"in {report.seconds:.1f} s"
    modes = f" in each of {len(report.manifests)} modes" if len(report.manifests) > 1 else ""
    say(f"{counted(report.rows, 'pair')}{modes} from {report.sources} sources, {what}")
    for manifest in report.manifests:
        say("manifest", shown(manifest), f"{report.rows} rows")
    if report.rejects or report.excluded:
        excluded = f", {report.excluded} left out by the protocol" if report.excluded else ""
        listed = shown(report.rejects_csv[0])
        say("rejects", f"{report.rejects} of {report.sources} sources{excluded}; see {listed}")
    else:
        say("rejects", f"0 of {report.sources} sources")
    first = report.manifests[0]
    name = manifest_name(first)
    if report.duplicates:
        listed = shown(first.with_name(f"{name}.json"))
        across = f": {in_words(report.duplicates_across)}" if report.duplicates_across else ""
        say("duplicates", f"{counted(report.duplicates, 'group')} of equal images{across}; see {listed}")
        if conflicts := report.duplicates_across.get("expression"):
            warn(f"{counted(conflicts, 'group')} of equal images with different labels: not more than one can be right")
    sheet = shown(first.parent.parent / f"{name}.png")
    say("next", f"occsynth preview {shlex.quote(shown(first))} -o {shlex.quote(sheet)}")
