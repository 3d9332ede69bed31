"""`occfer compare`: parse, call, print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from occfer.cli.options import OverwriteFolder
from occsynth.cli.output import say, shown, table

if TYPE_CHECKING:
    from occfer.evaluation.result_folders import Result
    from occfer.metrics.accuracy import AccuracyEstimate
    from occfer.metrics.paired import GroupComparison

RUN = "Run folder, folder of a run over all folds, or evaluation folder"


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help=f"{RUN}: two, or with --control any number of them.")
    ],
    control: Annotated[
        list[Path] | None,
        typer.Option(
            "--control",
            metavar="RUN",
            help=f"{RUN} that each of the others is compared with; repeatable, a control for each seed.",
        ),
    ] = None,
    manifest: Annotated[
        list[Path] | None,
        typer.Option(
            "--manifest", metavar="CSV", help="Manifest of the pairs' images; default: where the runs found it."
        ),
    ] = None,
    pictures: Annotated[
        int, typer.Option("--pictures", metavar="N", min=0, help="Number of pairs on the contact sheet, at most.")
    ] = 24,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder for a table and a contact sheet.")
    ] = None,
    overwrite: OverwriteFolder = False,
) -> None:
    """Compare two runs on the pairs that both were tested on: an exact test, the difference, and where they differ.

    With --control, compare any number of runs with one, p-values adjusted over the runs. With a control for each seed,
    runs that differ in their seed alone are one line.
    """
    if control:
        if manifest:
            raise typer.BadParameter("--manifest is for a contact sheet, which --control does not make")
        _compare_with_control(runs, control, out, overwrite)
        return
    if len(runs) != 2:
        raise typer.BadParameter(f"{len(runs)} runs: give two, or name the one to compare with by --control")
    a, b = runs
    from occfer.evaluation.compare import CompareOptions
    from occfer.evaluation.compare import compare as run_comparison
    from occfer.metrics.accuracy import basis_line
    from occfer.metrics.heat import comparison_lines
    from occfer.metrics.paired import tests_of
    from occfer.metrics.significance import shown_p

    options = CompareOptions(a=a, b=b, manifests=tuple(manifest or ()), pictures=pictures, out=out, overwrite=overwrite)
    found = run_comparison(options)
    for note in found.notes:
        say(note, err=True)
    total = found.groups[0]
    say(basis_line(found.common.a.pairs))
    for name, result, share in (("A", found.a, total.a), ("B", found.b, total.b)):
        say(_line(name, result, share, total.n))
    bounds = f"95 % interval {total.interval.low:+.3f} to {total.interval.high:+.3f} ({total.interval.how})"
    say(f"A - B: {total.difference:+.3f}, {bounds}")
    say(f"{total.test}: A alone right on {total.only_a}, B alone on {total.only_b}, p = {shown_p(total.p)}")
    table(
        ("by", "group", "n", "A", "B", "A - B", "95 % interval", "p (Holm)"),
        [_cells(group) for group in found.groups[1:]],
    )
    names = tests_of(found.groups[1:])
    say(f"p (Holm): {names}, adjusted over the {len(found.groups) - 1} groups of this table")
    for what, heat in found.heat.items():
        for line in comparison_lines(what, heat):
            say(line)
    for path in found.files:
        say(path.name, shown(path))


def _compare_with_control(runs: list[Path], controls: list[Path], out: Path | None, overwrite: bool) -> None:
    from occfer.evaluation.against_control import compare_with_control
    from occfer.metrics.intervals import METHOD
    from occfer.metrics.paired import tests_of
    from occfer.metrics.significance import shown_p

    found = compare_with_control(runs, controls, out, overwrite=overwrite)
    for note in found.notes:
        say(note, err=True)
    for each in found.controls:
        say("control", each.title)
    table(
        (
            "run",
            "n",
            "accuracy",
            "control",
            "difference",
            "95 % interval",
            "alone right",
            "control alone",
            "p",
            "p (Holm)",
        ),
        [
            (group.label, *_cells(group)[2:7], str(group.only_a), str(group.only_b), shown_p(group.p), _cells(group)[7])
            for group in found.groups
        ],
    )
    how = f"{tests_of(found.groups)}, (Holm) over the {len(found.groups)} lines of this table"
    say(f"95 % intervals: {METHOD}; p: {how}")
    for path in found.files:
        say(path.name, shown(path))


def _line(name: str, result: "Result", share: "AccuracyEstimate", n: int) -> str:
    bounds = f"95 % interval {share.interval.low:.3f} to {share.interval.high:.3f}"
    return f"{name}: {result.title}: accuracy {share.accuracy:.3f}, {bounds}, n = {n} ({share.interval.how})"


def _cells(group: "GroupComparison") -> tuple[str, ...]:
    from occfer.metrics.significance import shown_p

    between = f"{group.interval.low:+.3f} to {group.interval.high:+.3f}"
    accuracies = (f"{group.a.accuracy:.3f}", f"{group.b.accuracy:.3f}")
    return (
        group.by,
        group.label,
        str(group.n),
        *accuracies,
        f"{group.difference:+.3f}",
        between,
        shown_p(group.p_holm),
    )
