"""`occsynth suite make|check|freeze`: suites that models are compared on."""

from pathlib import Path
from typing import Annotated

import typer

from occsynth.cli.options import Overwrite, Root, Workers
from occsynth.cli.output import Commands, counted, fail, progress_bar, say, shown, table, warn

suite = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, check and freeze suites: sets of test faces, clean and occluded, that `occfer benchmark` tests on.",
)


@suite.command()
def make(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for the suite and its builds.")],
    db: Annotated[
        str,
        typer.Option(
            "--db",
            metavar="KEY",
            help="Database: every mode of the paper, coverage of 20, 40 and 60 %, the upper and the lower half, each "
            "with templates for training and with unseen ones, on its official test part.",
        ),
    ] = "",
    recipe: Annotated[
        str,
        typer.Option("--recipe", metavar="NAME|FOLDER", help="A suite.toml to follow instead: ferplus, or your own."),
    ] = "",
    root: Root = None,
    folds: Annotated[
        str,
        typer.Option(
            "--folds", metavar="K[,K]", help="For --db without a test part: the folds to test on; default all."
        ),
    ] = "",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="For --db: seed of the occlusions.")] = 0,
    workers: Workers = None,
    overwrite: Overwrite = False,
) -> None:
    """Build every column of a suite, from a database or by a recipe; run again, it continues."""
    from occsynth.databases.read_only import refuse_remembered_roots
    from occsynth.suites.make import make_suite, recipe_for
    from occsynth.suites.shipped import find_suite
    from occsynth.suites.suite import read_suite

    if bool(db) == bool(recipe):
        raise typer.BadParameter("give one of --db and --recipe")
    refuse_remembered_roots(out, "-o")
    if recipe and (folds or seed):
        raise typer.BadParameter("--folds and --seed go with --db; a recipe names its own")
    wanted = read_suite(find_suite(recipe)) if recipe else recipe_for(db, root, folds=_numbers(folds), seed=seed)
    with progress_bar() as progress:
        made = make_suite(wanted, out, root=root, workers=workers, overwrite=overwrite, progress=progress)
    for warning in made.warnings:
        warn(warning)
    what = f"{counted(len(made.suite.columns), 'column')} of {made.faces} faces each"
    say(f"{made.suite.name} {made.suite.version}: {what}")
    say("suite", shown(out / "suite.toml"))
    say("next", f"occsynth suite freeze {shown(out)} -o FOLDER")


def _numbers(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isascii() and word.isdecimal() and len(word) < 5 for word in words):
        raise typer.BadParameter(f"'{text}' is not a list of whole numbers, such as 0,1", param_hint="--folds")
    return tuple(sorted({int(word) for word in words}))


@suite.command()
def freeze(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `occsynth suite make` made.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for the suite that can be shared.")],
    overwrite: Overwrite = False,
) -> None:
    """Publish a suite's manifests, without images, labels and names, and seal them with a digest."""
    from occsynth.databases.read_only import refuse_remembered_roots
    from occsynth.suites.freeze import freeze as run_freeze

    refuse_remembered_roots(out, "-o")
    frozen = run_freeze(folder, out, overwrite=overwrite)
    say("suite", shown(out), f"{frozen.name} {frozen.version}, {counted(len(frozen.columns), 'column')}")
    say("digest", frozen.digest)


@suite.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A suite that ships, such as demo, or a folder.")],
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="NAME|FOLDER",
            help="Say what differs from this suite; default the one that ships under the same name.",
        ),
    ] = "",
) -> None:
    """Say whether a folder is the frozen suite that its digest names, and what differs from another one."""
    from occsynth.suites.check import check as run_check
    from occsynth.suites.check import differences
    from occsynth.suites.shipped import find_suite, shipped_suites
    from occsynth.suites.suite import read_suite

    found = run_check(find_suite(name))
    this = found.suite
    table(
        ("column", "mode", "templates", "counts in"),
        [(each.name, each.mode, each.templates, ", ".join(each.groups)) for each in this.columns],
    )
    other = against or (this.name if this.name in shipped_suites() else "")
    if other:
        for line in differences(this, read_suite(find_suite(other))):
            say(f"differs from {other}:", line)
    for problem in found.problems:
        say("problem:", problem)
    if found.problems:
        raise fail(f"{name} is not a frozen suite: {counted(len(found.problems), 'problem')}")
    say(f"{this.name} {this.version}: {counted(len(this.columns), 'column')} of {found.faces} faces each")
    say("digest", this.digest)
