"""`occfer leaderboard`: parse, call, print."""

from pathlib import Path
from typing import Annotated

import typer

from occfer.cli.options import OverwriteFolder
from occsynth.cli.output import counted, say, shown


def leaderboard(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...", help="Files benchmark.json, or folders that hold such files at any depth."
        ),
    ],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the page and its CSV.")] = Path(
        "site"
    ),
    overwrite: OverwriteFolder = False,
) -> None:
    """Put the results of `occfer benchmark` on a static page that works offline: a sortable table for each suite."""
    from occfer.leaderboard.page import write_leaderboard

    made = write_leaderboard(results, out, overwrite=overwrite)
    count = sum(len(board.results) for board in made.boards)
    say(f"{counted(count, 'result')} on {counted(len(made.boards), 'suite')}")
    say("page", shown(made.page))
    say("figures", shown(made.figures))
