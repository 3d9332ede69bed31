"""`occfer reproduce`: the paper's tables and figures, on its databases or on the demo's."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from occfer.cli.options import Format
from occfer.cli.progress import telling
from occfer.cli.training_flags import OF_MANY_RUNS, with_training_flags
from occfer.errors import ConfigError, DataError
from occsynth.cli.options import Backend, Scheduler, Slurm, Workers
from occsynth.cli.output import counted, fail, say, shown, table
from occsynth.option_values import Fill
from occsynth.processes import SAFE_PATH

if TYPE_CHECKING:
    from occfer.protocols.manifests import NeededBuild
    from occfer.protocols.reproduce import ExecutionContext
    from occfer.protocols.request import Request
    from occfer.tables.result_table import ResultTable
    from occsynth.slurm import SlurmJobs


class WhatName(StrEnum):
    """What can be reproduced."""

    table1 = "table1"
    table2 = "table2"
    table3 = "table3"
    table4 = "table4"
    figure2 = "figure2"
    figure3 = "figure3"
    figure4 = "figure4"


AlignChoice = Literal["similarity", "own"]
# The paper's database, for what needs one database alone.
PAPER_DATABASES = {WhatName.table2: ("ck+",), WhatName.figure2: ("affectnet",)}


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str) -> str:
    if not all(word.isdecimal() for word in _words(text)):
        raise typer.BadParameter(f"'{text}' must be a list of folds, such as 0,1")
    return text


@with_training_flags(OF_MANY_RUNS)
def reproduce(
    settings: dict[str, Any],
    what: Annotated[WhatName, typer.Argument(help="Table or figure of the paper.")],
    db: Annotated[
        str, typer.Option("--db", metavar="KEY[,KEY]", help="Databases; default: the paper's. demo needs no files.")
    ] = "",
    root: Annotated[
        list[str] | None,
        typer.Option(
            "--root",
            metavar="[KEY=]DIR",
            help="Root of a raw database, from which missing builds are made; repeatable.",
        ),
    ] = None,
    builds: Annotated[
        Path,
        typer.Option(
            "--builds", metavar="DIR", help="Build root, where manifests are looked for and missing builds are made."
        ),
    ] = Path("builds"),
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for runs and tables.")] = Path("reproduce"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Run a small version that takes minutes, to see that everything works.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="List the jobs with an estimate of the time, and run nothing.")
    ] = False,
    rows: Annotated[
        str, typer.Option("--rows", metavar="NAME[,NAME]", help="Methods to run; default: all of the table.")
    ] = "",
    folds: Annotated[
        str, typer.Option("--folds", metavar="K[,K]", callback=_numbers, help="Folds to run; default: all.")
    ] = "",
    modes: Annotated[
        str,
        typer.Option(
            "--modes",
            metavar="MODE[,MODE]",
            help="Occlusion modes to run, those of the table or others; default: all of the table.",
        ),
    ] = "",
    align: Annotated[
        AlignChoice,
        typer.Option(
            "--align",
            help="For Tables 1 and 3: similarity aligns all faces alike that a model is trained and tested on; own "
            "leaves each database as it is built without this option.",
        ),
    ] = "similarity",
    fill: Annotated[
        Fill, typer.Option("--fill", help="What hides the faces; the paper's templates unless you choose otherwise.")
    ] = "template",
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", min=1, help="Number of seeds per method; default: 3, or 1 with --quick."),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            "--subset", metavar="KEY=LIST", help="For Table 3: list of a database's really occluded images, as a file."
        ),
    ] = None,
    test_manifest: Annotated[
        list[Path] | None,
        typer.Option("--test-manifest", metavar="CSV", help="For Table 3: further manifest to test on; repeatable."),
    ] = None,
    keep_models: Annotated[
        bool,
        typer.Option(
            "--keep-models",
            help="Keep every model file; default: only those of full and those that are tested again later.",
        ),
    ] = False,
    faces: Annotated[int, typer.Option("--faces", metavar="N", min=1, help="Number of faces in Figures 2 and 4.")] = 7,
    figure_seed: Annotated[
        int, typer.Option("--figure-seed", metavar="N", help="Seed that chooses the faces of a figure.")
    ] = 0,
    figure_format: Format = "png",
    workers: Workers = None,
    backend: Backend = "loky",
    scheduler: Scheduler = "",
    slurm: Slurm = None,
) -> None:
    """Make a table or figure of the paper, with the paper's numbers beside ours; a second call continues the first."""
    from occfer.jobs.worker import how_many
    from occfer.protocols.request import Request
    from occsynth.slurm import jobs_at_once

    request = Request(
        what=what.value,
        databases=_words(db),
        quick=quick,
        methods=_words(rows),
        folds=tuple(map(int, _words(folds))),
        modes=_words(modes),
        fill=fill,
        align=align,
        seeds=seeds,
        settings=settings,
        builds=builds.resolve(),
        out=out.resolve(),  # workers of a cluster may begin elsewhere
        subsets=tuple((key, Path(path)) for key, path in map(_pair, subset or [])),
        test_manifests=tuple(test_manifest or ()),
        keep_models=keep_models,
        faces=faces,
        figure_seed=figure_seed,
        figure_format=figure_format,
        command=shlex.join(["occfer", *sys.argv[1:]]),
    )
    many = how_many(workers or jobs_at_once(backend), str(settings.get("device", "auto")))
    roots = dict(_root(text, request.databases or PAPER_DATABASES.get(what, ())) for text in root or [])
    context = _context(roots, many, backend, scheduler, _slurm_jobs(request.out, slurm))
    if plan:
        _show_plan(request, context, many)
    elif what is WhatName.table4:
        _run_speed(request)
    elif what.value.startswith("table"):
        _run_table(request, context)
    else:
        _draw(request, context)


def _pair(text: str) -> tuple[str, str]:
    key, equals, path = text.partition("=")
    if not equals or not key or not path:
        raise ConfigError(f"--subset {text}: give a database and a file, such as raf-db=occlusion_list.txt")
    return key, path


def _root(text: str, databases: Sequence[str]) -> tuple[str, Path]:
    """A database and its raw root: `ck+=DIR`, or DIR alone where there is one database."""
    key, equals, path = text.partition("=")
    if equals and "/" not in key:
        return key, Path(path)
    if len(databases) != 1:
        example = databases[0] if databases else "ck+"
        raise ConfigError(f"--root {text}: name the database that it belongs to, such as {example}=DIR")
    return databases[0], Path(text)


def _slurm_jobs(out: Path, options: Sequence[str] | None) -> "SlurmJobs":
    from occfer.jobs.graph import lost_job
    from occsynth.slurm import SLURM_FOLDER, SlurmJobs

    return SlurmJobs(out / SLURM_FOLDER, tuple(options or ()), lost=lost_job)


def _context(
    roots: dict[str, Path], workers: int, backend: str, scheduler: str, jobs: "SlurmJobs"
) -> "ExecutionContext":
    from occfer.jobs.worker import workplace
    from occfer.protocols.reproduce import ExecutionContext
    from occsynth.parallel import run_chunks

    tell = partial(say, err=True)
    run = partial(run_chunks, workers=workers, backend=backend, scheduler=scheduler, slurm=jobs)
    return ExecutionContext(
        # builds are made on this machine: jobs with a GPU would let it idle
        build=partial(_build, roots=roots, workers=None if backend == "slurm" else workers),
        parallel_map=telling(run, tell),
        workplace=workplace(workers, backend),
        say=tell,
    )


def _build(builds: Sequence["NeededBuild"], out: Path, roots: dict[str, Path], workers: int | None) -> None:
    """Makes builds of one database and size through occsynth's command line."""
    from occfer.protocols.manifests import TEMPLATE

    first = builds[0]
    command = ["build", "--db", first.database]
    command += ["--mode", ",".join(each.mode for each in builds), "--out", str(out)]
    for option, value in (
        ("--root", roots.get(first.database)),
        ("--size", first.size_px),
        ("--subset", first.subset),
        ("--align", "similarity" if first.aligned else None),
        ("--fill", None if first.fill == TEMPLATE else first.fill),
        ("--classes", None if first.classes == 7 else first.classes),
        ("--workers", workers),
    ):
        command += [] if value is None else [option, str(value)]
    say(f"$ {shlex.join(['occsynth', *command])}", err=True)
    last = "occsynth build ended without a message"
    with subprocess.Popen(
        [sys.executable, "-m", "occsynth", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **SAFE_PATH, "PYTHONIOENCODING": "utf-8"},
    ) as process:
        try:
            for line in process.stdout or ():
                last = line.strip() or last
                say(*line.rstrip("\n").split("\t"), err=True)
        except BaseException:  # a signal may have reached this process alone
            process.terminate()
            raise
    if process.returncode:
        raise DataError(last.removeprefix("error: "))


def _show_plan(request: "Request", context: "ExecutionContext", workers: int) -> None:
    from occfer.protocols.estimate import plan_lines

    for line in plan_lines(request, context.workplace, workers):
        say(line)


def _run_table(request: "Request", context: "ExecutionContext") -> None:
    from occfer.protocols.reproduce import reproduce as run

    made = run(request, context)
    _show(made.table, made.file)
    _end(made.failures, sum(each.blocked for each in made.table.provenance.failed))


def _run_speed(request: "Request") -> None:
    from occfer.protocols.speed import reproduce_speed

    _show(*reproduce_speed(request, partial(say, err=True)))


def _draw(request: "Request", context: "ExecutionContext") -> None:
    from occfer.protocols.paper_figures import draw

    made = draw(request, context)
    say(made.caption)
    say("figure", shown(made.file))
    _end(made.failures, 0)


def _show(made: "ResultTable", file: Path) -> None:
    from occfer.tables.cell_texts import grid, legend, published_grid, quantity

    for note in made.notes:
        say(note, err=True)
    table(*grid(made))
    for line in (quantity(made), *legend(made)):
        say(line)
    if made.published:
        table(*published_grid(made))
    say("table", shown(file))


def _end(failures: int, blocked: int) -> None:
    """Exit code 1 where something failed, after everything else was done."""
    if failures:
        raise fail(f"{counted(failures, 'job')} failed{f' and blocked {blocked}' if blocked else ''}; see above")
