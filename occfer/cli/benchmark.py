"""`occfer benchmark`: parse, call, print."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from occfer.cli.contestants import (
    AnswersFile,
    BenchmarkCheckpoint,
    Describe,
    Function,
    ListPictures,
    ModelFile,
    one_of,
    open_contestant,
    results_folder,
)
from occfer.cli.options import CacheDir, Device, OverwriteFolder
from occfer.cli.progress import progress
from occsynth.cli.options import Root, Workers
from occsynth.cli.output import counted, progress_bar, say, shown, table, warn

if TYPE_CHECKING:
    from occfer.benchmark.result import BenchmarkResult, ColumnResult
    from occfer.metrics.intervals import Interval


def benchmark(
    suite: Annotated[
        str,
        typer.Option("--suite", metavar="NAME|FOLDER", help="A suite that ships, such as demo, or a frozen folder."),
    ],
    checkpoint: BenchmarkCheckpoint = None,
    model: ModelFile = None,
    answers: AnswersFile = None,
    function: Function = "",
    describe: Describe = None,
    list_pictures: ListPictures = None,
    root: Root = None,
    real: Annotated[
        Path | None,
        typer.Option(
            "--real", metavar="LIST", help="The list of real occlusions that the suite points to: test on it as well."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="Folder for the results; default: benchmark/<suite> in the run folder, or benchmark/<model>/<suite>.",
        ),
    ] = None,
    builds: Annotated[
        Path | None,
        typer.Option(
            "--builds", metavar="DIR", help="Where the suite's pictures are made; default: builds/suites/<suite>."
        ),
    ] = None,
    device: Device = "auto",
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, help="Images per call of the model.")
    ] = 64,
    cache_dir: CacheDir = None,
    workers: Workers = None,
    overwrite: OverwriteFolder = False,
) -> None:
    """Test a model on a frozen suite: one table, and a result that others can compare with theirs."""
    from occfer.benchmark.run import run_benchmark
    from occfer.benchmark.suites import folder_name, ready_suite
    from occsynth.suites.shipped import find_suite

    folder = find_suite(suite)
    name = folder_name(folder)
    if list_pictures is None:
        one_of(checkpoint, model, answers, function, describe)
        contestant = open_contestant(
            *(checkpoint, model, answers, function, describe),
            device=device,
            batch_size=batch_size,
            cache_dir=cache_dir,
        )
    with progress_bar() as bar:
        ready = ready_suite(
            folder,
            builds or Path("builds/suites") / name,
            root=root,
            real=real,
            workers=workers,
            progress=bar,
            say=partial(say, err=True),
        )
    for warning in ready.warnings:
        warn(warning)
    if list_pictures is not None:
        from occfer.outside.answer_table import write_picture_list

        asked = (ready.clean, *ready.columns, *filter(None, (ready.real,)))
        count = write_picture_list(list_pictures, [each.question for each in asked], overwrite=overwrite)
        say("pictures", shown(list_pictures), counted(count, "row"))
        return
    results = out or results_folder(checkpoint, contestant, name)
    with progress() as on_step:
        found = run_benchmark(ready, contestant, results, overwrite=overwrite, on_step=on_step)
    print_result(found)
    say("results", shown(results))


def print_result(result: "BenchmarkResult") -> None:
    """Prints what was tested, the table, and what a reader must know."""
    about, suite = result.contestant, result.suite
    say(f"{about.name} ({about.about or about.kind}) on {suite.name} {suite.version}, digest {suite.digest[:12]}")
    lines = [_column(result.clean), *map(_column, result.columns)]
    for mean in (result.mean, *result.groups):
        name = "mean" if mean is result.mean else f"mean of {mean.name}"
        lines.append(
            (f"{name}, {counted(mean.columns, 'column')}", "", f"{mean.accuracy:.3f}", _bounds(mean.interval), "", "")
        )
    lines.append(_column(result.real) if result.real else ("real", "-", "-", "-", "", ""))
    table(("column", "n", "accuracy", "95 % interval", "drop", "95 % interval"), lines)
    if result.relative_drop is not None:
        say(f"relative drop from clean to the mean: {100 * result.relative_drop:.1f} %")
    worst = result.worst
    say(f"worst column: {worst.name}, accuracy {worst.accuracy:.3f}, {_bounds(worst.interval)}")
    say(f"interval of the clean faces: {result.clean.interval.how}")
    if result.provenance.selected_by:
        say(f"selected by {result.provenance.selected_by}")
    for note in result.notes:
        say(note, err=True)
    for mark in result.provenance.marks:
        warn(f"{about.name}: {mark}{f': {result.provenance.doubt}' if result.provenance.doubt else ''}")


def _column(column: "ColumnResult") -> tuple[str, ...]:
    drop = ("", "")
    if column.drop is not None and column.drop_interval is not None:
        drop = (f"{column.drop:+.3f}", f"{column.drop_interval.low:+.3f} to {column.drop_interval.high:+.3f}")
    return (column.name, str(column.n), f"{column.accuracy:.3f}", _bounds(column.interval), *drop)


def _bounds(interval: "Interval") -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"
